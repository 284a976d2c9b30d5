// SPDX-License-Identifier: GPL-2.0
/* Layers over layers: which belong together, and snapshots. */
#include <gtest/gtest.h>

#include <thread>

#include "lib/uuid.h"
#include "support/core_log_support.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;
constexpr u64 kSize = 8 * kMiB;

Uuid uuid_of(u8 n) {
    Uuid uuid{};
    uuid.fill(n);
    return uuid;
}

/* A log of UUID n over a layer that has, or will have, UUID below. */
LogCowConfig layer_config(u8 n, u8 below) {
    LogCowConfig config = log_config(kSize);
    config.uuid = uuid_of(n);
    config.base_uuid = uuid_of(below);
    config.over_layer = true;
    config.parent = "lower.cow";
    return config;
}

class CoreLayers : public testing::Test {
protected:
    CoreLayers() {
        LogCowConfig config = log_config(kSize);
        config.uuid = uuid_of(1);
        make_log(&lower_, config);
        make_log(&upper_, layer_config(2, 50));
    }

    static int snapshot(const LogDevice &device, SparseIo *io, std::string *why = nullptr) {
        cw_report report = {};
        int err = cw_device_snapshot(device.get(), io->get(), &report);
        if (why != nullptr) {
            *why = report.text;
        }
        return err;
    }
    /* lower_ with some data, frozen, and upper_ over it. */
    void freeze() {
        LogDevice device(base_.get(), {lower_.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        ASSERT_EQ(device.write(kMiB, text_bytes(kMiB)), 0);
        ASSERT_EQ(snapshot(device, &upper_), 0);
        model_.write(kMiB, text_bytes(kMiB));
    }
    std::string refusal(const std::vector<cw_io *> &layers, bool read_only = false) {
        LogDevice device(base_.get(), layers, read_only);
        EXPECT_EQ(device.err() == 0, device.get() != nullptr);
        return device.err() != 0 ? device.why() : "";
    }
    void change_super(SparseIo *io, const std::function<void(cw_disk_log_super *)> &change) {
        for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
            auto super = std::make_unique<cw_disk_log_super>();
            const Bytes raw = io->bytes(slot * CW_LOG_SUPER_STRIDE, sizeof(*super));
            memcpy(super.get(), raw.data(), raw.size());
            if (memcmp(super->magic, CW_LOG_MAGIC, 8) != 0) {
                continue;
            }
            change(super.get());
            super->crc = cw_to_le32(cw_log_super_crc(super.get()));
            const u8 *bytes = reinterpret_cast<const u8 *>(super.get());
            io->put(slot * CW_LOG_SUPER_STRIDE, Bytes(bytes, bytes + sizeof(*super)));
        }
    }

    SparseIo base_{"base.img", kSize};
    SparseIo lower_{"lower.cow"};
    SparseIo upper_{"upper.cow"};
    Model model_{Bytes(kSize)};
};

/* ---- snapshots ---- */

TEST_F(CoreLayers, WhatWasWrittenIsBelowAndWhatComesIsAbove) {
    LogDevice device(base_.get(), {lower_.get()});
    ASSERT_EQ(device.write(0, text_bytes(kMiB, 1)), 0);
    ASSERT_EQ(snapshot(device, &upper_), 0);
    EXPECT_EQ(device.read(0, kMiB), text_bytes(kMiB, 1));
    lower_.before_change = [] { return -EROFS; };
    ASSERT_EQ(device.write(4096, text_bytes(8192, 2)), 0);
    ASSERT_EQ(device.flush(), 0);
    EXPECT_EQ(device.read(4096, 8192), text_bytes(8192, 2));
    EXPECT_EQ(device.read(0, 4096), slice(text_bytes(kMiB, 1), 0, 4096));
    ASSERT_EQ(device.close(), 0);
    EXPECT_EQ(LogDevice(base_.get(), {lower_.get()}, true).read(0, kMiB), text_bytes(kMiB, 1));
    LogDevice again(base_.get(), {upper_.get(), lower_.get()});
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.read(4096, 8192), text_bytes(8192, 2));
}

TEST_F(CoreLayers, WhatWasNotFlushedIsDurableAfterASnapshot) {
    u64 unflushed = 0;
    LogDevice device(base_.get(), {lower_.get()});
    lower_.before_write = [&](u64, size_t) { return unflushed++, 0; };
    lower_.before_flush = [&] { return unflushed = 0, 0; };
    ASSERT_EQ(device.write(0, text_bytes(kMiB)), 0);
    EXPECT_GT(unflushed, 0u);
    ASSERT_EQ(snapshot(device, &upper_), 0);
    EXPECT_EQ(unflushed, 0u);
}

TEST_F(CoreLayers, InfoAndStatisticsAreThoseOfTheNewTop) {
    LogDevice device(base_.get(), {lower_.get()});
    ASSERT_EQ(device.write(0, text_bytes(kMiB)), 0);
    ASSERT_EQ(snapshot(device, &upper_), 0);
    cw_device_info info;
    cw_device_get_info(device.get(), &info);
    EXPECT_EQ(info.nr_layers, 2u);
    EXPECT_TRUE(info.writable);
    EXPECT_STREQ(cw_device_layer_name(device.get(), 0), "upper.cow");
    EXPECT_STREQ(cw_device_layer_name(device.get(), 1), "lower.cow");
    EXPECT_EQ(device.stat().plain_bytes, 0u);
}

TEST_F(CoreLayers, LimitAndSpaceAreThoseOfTheNewTop) {
    LogDevice device(base_.get(), {lower_.get()});
    ASSERT_EQ(cw_device_set_limit(device.get(), 64 * kMiB), 0);
    ASSERT_EQ(snapshot(device, &upper_), 0);
    cw_cow_space space = {};
    cw_device_get_space(device.get(), &space);
    EXPECT_EQ(space.state, CW_COW_OK);
    EXPECT_EQ(space.limit, 0U);
    lower_.before_change = [] { return -EROFS; };
    ASSERT_EQ(cw_device_set_limit(device.get(), 32 * kMiB), 0);
    cw_device_tend(device.get());
    cw_device_get_space(device.get(), &space);
    EXPECT_EQ(space.limit, 32 * kMiB);
    ASSERT_EQ(device.close(), 0);
}

TEST_F(CoreLayers, ManySnapshotsOneOverTheOther) {
    constexpr u32 kLayers = 20;
    std::vector<std::unique_ptr<SparseIo>> more;
    std::vector<cw_io *> chain = {lower_.get()};
    LogDevice device(base_.get(), chain);
    std::mt19937 random(1);
    for (u32 i = 0; i < kLayers; i++) {
        const Bytes data = mixed_bytes(&random, 30000);
        const u64 off = random() % (kSize - data.size());
        ASSERT_EQ(device.write(off, data), 0);
        model_.write(off, data);
        more.push_back(std::make_unique<SparseIo>("layer" + std::to_string(i)));
        make_log(more.back().get(), layer_config(static_cast<u8>(100 + i), static_cast<u8>(i)));
        if (i == 0) { /* no layer is known by zeros */
            EXPECT_EQ(snapshot(device, more.back().get()), -EINVAL);
            make_log(more.back().get(), layer_config(100, 77));
        }
        std::string why;
        ASSERT_EQ(snapshot(device, more.back().get(), &why), 0) << why;
        chain.insert(chain.begin(), more.back()->get());
    }
    EXPECT_EQ(device.read(0, kSize), model_.bytes());
    ASSERT_EQ(device.close(), 0);
    LogDevice again(base_.get(), chain);
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.read(0, kSize), model_.bytes());
}

TEST_F(CoreLayers, ThereAreNoMoreSnapshotsThanLayers) {
    std::vector<std::unique_ptr<SparseIo>> more;
    LogDevice device(base_.get(), {lower_.get()});
    std::string why;
    for (u32 i = 1; i <= CW_MAX_LAYERS; i++) {
        more.push_back(std::make_unique<SparseIo>("layer" + std::to_string(i)));
        make_log(more.back().get(), layer_config(static_cast<u8>(100 + i), static_cast<u8>(i)));
        ASSERT_EQ(snapshot(device, more.back().get(), &why), i < CW_MAX_LAYERS ? 0 : -E2BIG) << why;
    }
    EXPECT_EQ(why, "layer63: would be layer 65, there may be 64");
    EXPECT_EQ(device.write(0, Bytes(4096, 1)), 0);
}

/* Threads that use a device at once. A page is of one byte, so that a mixture shows. */
struct Crowd {
    static constexpr u64 kWriters = 2;
    static constexpr u64 kShare = kSize / CW_PAGE_SIZE / kWriters;

    LogDevice &device;
    std::atomic<bool> stop = false;
    std::atomic<u64> wrong = 0;
    std::atomic<u64> writes = 0;

    void write(u64 thread) {
        std::mt19937_64 random(thread);
        std::vector<u8> pages(kShare);
        while (!stop) {
            const u64 at = random() % kShare;
            const u64 off = (thread * kShare + at) * CW_PAGE_SIZE;
            const bool zero = random() % 4 == 0;
            pages[at] = zero ? 0 : static_cast<u8>(1 + random() % 255);
            wrong += zero ? device.zero(off, CW_PAGE_SIZE) != 0
                          : device.write(off, Bytes(CW_PAGE_SIZE, pages[at])) != 0;
            const u64 other = random() % kShare;
            wrong += device.read((thread * kShare + other) * CW_PAGE_SIZE, CW_PAGE_SIZE) !=
                     Bytes(CW_PAGE_SIZE, pages[other]);
            wrong += random() % 32 == 0 && device.flush() != 0;
            writes++;
        }
    }

    void read() {
        std::mt19937_64 random(9);
        while (!stop) {
            const u64 page = random() % (kSize / CW_PAGE_SIZE);
            const Bytes got = device.read(page * CW_PAGE_SIZE, CW_PAGE_SIZE);
            wrong += got.empty() || got != Bytes(CW_PAGE_SIZE, got[0]);
            (void)device.stat();
            wrong += cw_device_set_limit(device.get(), 64 * kMiB) != 0;
            cw_device_tend(device.get());
            cw_cow_space space = {};
            cw_device_get_space(device.get(), &space);
            wrong += space.state != CW_COW_OK && space.state != CW_COW_READ_ONLY;
            wrong += std::string(cw_device_layer_format(device.get(), 0)) != "log";
        }
    }
};

/* For ThreadSanitizer, too. */
TEST_F(CoreLayers, SnapshotsWhileOthersWriteAndRead) {
    constexpr u8 kSnapshots = 8;
    std::vector<std::unique_ptr<SparseIo>> more;
    std::vector<cw_io *> chain = {lower_.get()};
    LogDevice device(base_.get(), chain);
    Crowd crowd{device};
    std::vector<std::thread> threads;
    for (u64 i = 0; i < Crowd::kWriters; i++) {
        threads.emplace_back([&crowd, i] { crowd.write(i); });
    }
    threads.emplace_back([&crowd] { crowd.read(); });
    for (u8 i = 1; i <= kSnapshots; i++) {
        for (const u64 until = crowd.writes + 100; crowd.writes < until;) {
            std::this_thread::yield();
        }
        more.push_back(std::make_unique<SparseIo>("layer" + std::to_string(i)));
        make_log(more.back().get(), layer_config(100 + i, i));
        EXPECT_EQ(snapshot(device, more.back().get()), 0);
        chain.insert(chain.begin(), more.back()->get());
    }
    crowd.stop = true;
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(crowd.wrong, 0u);
    const Bytes all = device.read(0, kSize);
    ASSERT_EQ(device.close(), 0);
    LogDevice again(base_.get(), chain);
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.read(0, kSize), all);
}

/* ---- snapshots that fail change nothing ---- */

/* Acknowledged data may be lost, whatever the next flush says. */
TEST_F(CoreLayers, AFailedFlushIsFinalForASnapshotToo) {
    LogDevice device(base_.get(), {lower_.get()});
    ASSERT_EQ(device.write(0, text_bytes(8192)), 0);
    lower_.before_flush = [] { return -ENOSPC; };
    EXPECT_EQ(device.flush(), -ENOSPC);
    lower_.before_flush = nullptr;
    EXPECT_EQ(snapshot(device, &upper_), -ENOSPC);
    (void)device.close();
    auto id = std::make_unique<cw_cow_identity>();
    ASSERT_EQ(cw_cow_identify(lower_.get(), id.get(), nullptr), 0);
    EXPECT_FALSE(id->frozen);
}

TEST_F(CoreLayers, ADeviceThatIsNotWrittenHasNoSnapshots) {
    std::string why;
    LogDevice device(base_.get(), {lower_.get()}, true);
    EXPECT_EQ(snapshot(device, &upper_, &why), -EROFS);
    EXPECT_EQ(why, "the device is read-only, so it has nothing to be frozen");
    LogDevice bare(base_.get(), {});
    EXPECT_EQ(snapshot(bare, &upper_), -EROFS);
}

TEST_F(CoreLayers, TheNewLayerHasToBeMadeForThat) {
    SparseIo other("other.cow");
    LogDevice device(base_.get(), {lower_.get()});
    std::string why;
    EXPECT_EQ(snapshot(device, &other, &why), -EINVAL);
    EXPECT_EQ(why, "other.cow: is empty, no COW file");
    make_log(&other, log_config(kSize));
    EXPECT_EQ(snapshot(device, &other, &why), -EINVAL);
    EXPECT_EQ(why, "other.cow: was not made to lie over another COW file");
    LogCowConfig config = layer_config(2, 50);
    config.size = kSize / 2;
    make_log(&other, config);
    EXPECT_EQ(snapshot(device, &other, &why), -EINVAL);
    EXPECT_EQ(why, "other.cow: was made for lower.cow of 4194304 bytes, but lower.cow has 8388608");
    ASSERT_EQ(device.close(), 0);
    EXPECT_EQ(refusal({lower_.get()}), "");
}

TEST_F(CoreLayers, ANewLayerThatWasUsedIsRefused) {
    freeze();
    std::string why;
    SparseIo other("other.cow");
    make_log(&other, log_config(kSize));
    LogDevice device(base_.get(), {other.get()});
    EXPECT_EQ(snapshot(device, &upper_, &why), -EINVAL);
    EXPECT_EQ(why, "upper.cow: has been used, and a new layer must be empty");
}

/* Whichever call on the files fails, the device goes on as before. */
TEST_F(CoreLayers, ASnapshotThatFailsChangesNothing) {
    for (SparseIo *bad : {&lower_, &upper_}) {
        for (u64 good = 0;; good++) {
            LogCowConfig config = log_config(kSize);
            config.uuid = uuid_of(1);
            make_log(&lower_, config);
            make_log(&upper_, layer_config(2, 50));
            LogDevice device(base_.get(), {lower_.get()});
            ASSERT_EQ(device.write(0, text_bytes(kMiB, 7)), 0);
            u64 left = good;
            bad->before_write = [&](u64, size_t) { return left == 0 ? -EIO : (left--, 0); };
            const int err = snapshot(device, &upper_);
            bad->before_write = nullptr;
            ASSERT_EQ(device.read(0, kMiB), text_bytes(kMiB, 7));
            if (err == 0) {
                EXPECT_GT(good, 0u);
                break;
            }
            cw_device_info info;
            cw_device_get_info(device.get(), &info);
            EXPECT_EQ(info.nr_layers, 1u);
            ASSERT_EQ(device.write(kMiB, text_bytes(kMiB, 8)), 0);
            ASSERT_EQ(device.close(), 0);
            LogDevice again(base_.get(), {lower_.get()});
            ASSERT_EQ(again.err(), 0) << again.why();
            ASSERT_EQ(again.read(kMiB, kMiB), text_bytes(kMiB, 8));
        }
    }
}

/* A full layer is when one wants a new one most. */
TEST_F(CoreLayers, AFullLayerCanBeFrozen) {
    std::mt19937 random(3);
    lower_.set_max(6 * kMiB);
    LogDevice device(base_.get(), {lower_.get()});
    for (u64 off = 0; off < kSize; off += 65536) {
        const Bytes data = random_bytes(65536, static_cast<u32>(off + 1));
        if (device.write(off, data) != 0) {
            break;
        }
        model_.write(off, data);
    }
    ASSERT_EQ(device.write(7 * kMiB, random_bytes(65536)), -ENOSPC);
    lower_.can_allocate = true;
    ASSERT_EQ(snapshot(device, &upper_), 0);
    ASSERT_EQ(device.write(7 * kMiB, text_bytes(65536)), 0);
    model_.write(7 * kMiB, text_bytes(65536));
    EXPECT_EQ(device.read(0, kSize), model_.bytes());
    ASSERT_EQ(device.close(), 0);
    LogDevice again(base_.get(), {upper_.get(), lower_.get()});
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.read(0, kSize), model_.bytes());
}

/* Nor does it need room for that: without any the superblock alone says it. */
TEST_F(CoreLayers, WithoutRoomForACheckpointTheSuperblockAloneSaysIt) {
    LogDevice device(base_.get(), {lower_.get()});
    ASSERT_EQ(device.write(0, text_bytes(kMiB)), 0);
    model_.write(0, text_bytes(kMiB));
    lower_.before_write = [](u64 off, size_t) { return off >= CW_LOG_START ? -ENOSPC : 0; };
    ASSERT_EQ(snapshot(device, &upper_), 0);
    EXPECT_EQ(device.read(0, kSize), model_.bytes());
    ASSERT_EQ(device.close(), 0);
    EXPECT_NE(refusal({lower_.get()}), "");
    LogDevice again(base_.get(), {upper_.get(), lower_.get()});
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.read(0, kSize), model_.bytes());
}

/* ---- which belong together ---- */

TEST_F(CoreLayers, AFrozenLayerIsNotWritten) {
    freeze();
    EXPECT_EQ(refusal({lower_.get()}),
              "lower.cow: is frozen: layers may lie over it, and it must not change");
    EXPECT_EQ(refusal({lower_.get()}, true), "");
}

TEST_F(CoreLayers, AFrozenLayerIsSharedByTwoTops) {
    freeze();
    const Bytes all = model_.bytes();
    SparseIo top[2] = {SparseIo("top0"), SparseIo("top1")};
    lower_.before_change = [] { return -EROFS; };
    for (SparseIo &io : top) {
        make_log(&io, layer_config(static_cast<u8>(io.get()->name[3]), 50));
    }
    LogDevice a(base_.get(), {top[0].get(), lower_.get()});
    LogDevice b(base_.get(), {top[1].get(), lower_.get()});
    for (LogDevice *device : {&a, &b}) {
        const u8 mark = device == &a ? 1 : 2;
        ASSERT_EQ(device->err(), 0) << device->why();
        EXPECT_EQ(device->read(0, kSize), all);
        ASSERT_EQ(device->write(12345, Bytes(7000, mark)), 0);
        EXPECT_EQ(device->read(12345, 7000), Bytes(7000, mark));
        ASSERT_EQ(device->discard(kMiB, 8192), 0);
        EXPECT_EQ(device->read(kMiB, 8192), slice(all, kMiB, 8192));
    }
    EXPECT_EQ(a.read(12345, 7000), Bytes(7000, 1));
}

TEST_F(CoreLayers, ALayerWithoutWhatIsBelowItIsRefused) {
    freeze();
    EXPECT_EQ(refusal({upper_.get()}),
              "upper.cow: lies over the COW file lower.cow, which is not given");
}

TEST_F(CoreLayers, ALayerMadeForTheImageIsNotPutOverALayer) {
    freeze();
    SparseIo other("other.cow");
    make_log(&other, log_config(kSize));
    EXPECT_EQ(refusal({other.get(), lower_.get()}),
              "other.cow: was made for the image /images/base.img itself, and lower.cow is a COW "
              "file");
}

TEST_F(CoreLayers, ALayerOverAnotherThanItWasMadeForIsRefused) {
    freeze();
    SparseIo other("other.cow");
    make_log(&other, layer_config(3, 51));
    EXPECT_EQ(refusal({other.get(), lower_.get()}),
              "other.cow: was made for lower.cow, but lower.cow is another layer (UUIDs differ)");
    EXPECT_EQ(refusal({upper_.get(), upper_.get(), lower_.get()}),
              "upper.cow: is not frozen, so nothing can lie over it");
}

TEST_F(CoreLayers, ALayerThatMayHaveChangedIsNoParent) {
    freeze();
    change_super(&lower_, [](cw_disk_log_super *super) { super->ro_compat = cw_to_le64(0); });
    EXPECT_EQ(refusal({upper_.get(), lower_.get()}),
              "lower.cow: is not frozen, so nothing can lie over it");
}

/* A UUID stands for the content, so diverging copies get different ones. */
TEST_F(CoreLayers, TwoCopiesFrozenApartAreDifferentLayers) {
    SparseIo copy("copy.cow");
    copy.copy_from(&lower_);
    freeze();
    SparseIo above("above.cow");
    make_log(&above, layer_config(3, 51));
    {
        LogDevice device(base_.get(), {copy.get()});
        ASSERT_EQ(device.write(0, text_bytes(4096)), 0);
        ASSERT_EQ(snapshot(device, &above), 0);
    }
    EXPECT_NE(refusal({upper_.get(), copy.get()}), "");
    EXPECT_NE(refusal({above.get(), lower_.get()}), "");
    EXPECT_EQ(refusal({above.get(), copy.get()}), "");
}

/* ---- a layer's description of itself ---- */

TEST_F(CoreLayers, ALayerSaysWhatItIs) {
    auto id = std::make_unique<cw_cow_identity>();
    ASSERT_EQ(cw_cow_identify(upper_.get(), id.get(), nullptr), 0);
    EXPECT_EQ(id->format, &cw_cow_log);
    EXPECT_EQ(memcmp(id->uuid, uuid_of(2).data(), CW_UUID_LEN), 0);
    EXPECT_EQ(memcmp(id->below_uuid, uuid_of(50).data(), CW_UUID_LEN), 0);
    EXPECT_STREQ(id->below, "lower.cow");
    EXPECT_EQ(id->size, kSize);
    EXPECT_TRUE(id->over_layer);
    EXPECT_TRUE(id->unused);
    EXPECT_FALSE(id->frozen);
    freeze();
    ASSERT_EQ(cw_cow_identify(upper_.get(), id.get(), nullptr), 0);
    EXPECT_FALSE(id->unused);
    ASSERT_EQ(cw_cow_identify(lower_.get(), id.get(), nullptr), 0);
    EXPECT_TRUE(id->frozen);
    EXPECT_FALSE(id->over_layer);
    EXPECT_EQ(memcmp(id->uuid, uuid_of(50).data(), CW_UUID_LEN), 0);
}

}  // namespace
}  // namespace cloopw::test

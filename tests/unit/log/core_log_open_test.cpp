// SPDX-License-Identifier: GPL-2.0
/* Attaching a COW log: what is refused, and files that lie. */
#include <gtest/gtest.h>

#include "support/core_log_support.h"
#include "support/hooks.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;
constexpr u64 kSize = 8 * kMiB;

using Super = cw_disk_log_super;

class CoreLogOpen : public testing::Test {
protected:
    CoreLogOpen() { make_log(&cow_, log_config(kSize, "none")); }

    /* Writes into the log, and leaves it as a crash would or closed. */
    void use(bool closed) {
        SparseIo open("cow.img");
        open.copy_from(&cow_);
        LogDevice device(base_.get(), {open.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        std::mt19937 random(1);
        for (unsigned int i = 0; i < 60; i++) {
            const u64 off = random() % (kSize - 100000);
            ASSERT_EQ(device.write(off, mixed_bytes(&random, 1 + random() % 100000)), 0);
            ASSERT_EQ(device.discard(off / 2, random() % 50000), 0);
        }
        all_ = device.read(0, kSize);
        if (closed) {
            ASSERT_EQ(device.close(), 0);
        }
        cow_.copy_from(&open);
    }
    /* Changes the superblocks and makes their checksums right again. */
    void change_super(const std::function<void(Super *)> &change) {
        for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
            auto super = std::make_unique<Super>();
            const Bytes raw = cow_.bytes(slot * CW_LOG_SUPER_STRIDE, sizeof(Super));
            memcpy(super.get(), raw.data(), raw.size());
            if (memcmp(super->magic, CW_LOG_MAGIC, 8) != 0) {
                continue;
            }
            change(super.get());
            super->crc = cw_to_le32(cw_log_super_crc(super.get()));
            const u8 *bytes = reinterpret_cast<const u8 *>(super.get());
            cow_.put(slot * CW_LOG_SUPER_STRIDE, Bytes(bytes, bytes + sizeof(Super)));
        }
    }
    /* The same for the entries of the map's records, which no codec has. */
    void change_records(const std::function<void(log_record *, u64 *entries)> &change) {
        Bytes file = cow_.bytes(0, cow_.size());
        file.resize(file.size() + LOG_RECORD_ROOM);
        for (u64 off = CW_LOG_START; off < cow_.size(); off += CW_SECTOR_SIZE) {
            log_record record;
            if (cw_log_record_decode(&file[off], CW_SECTOR_SIZE, &record) != 0 ||
                record.type != CW_LOG_META) {
                continue;
            }
            ASSERT_EQ(record.codec, CW_CODEC_NONE);
            std::vector<u64> entries(CW_LOG_FANOUT);
            memcpy(entries.data(), &file[off + cw_log_payload_at(&record)], CW_PAGE_SIZE);
            change(&record, entries.data());
            memcpy(&file[off + cw_log_payload_at(&record)], entries.data(), CW_PAGE_SIZE);
            cw_log_record_encode(&file[off], &record);
        }
        file.resize(cow_.size());
        cow_.put(0, file);
    }
    /* The refusal's text; "" when it opened. */
    std::string refusal(bool read_only = false) {
        LogDevice device(base_.get(), {cow_.get()}, read_only);
        EXPECT_EQ(device.err() == 0, device.get() != nullptr);
        return device.err() != 0 ? device.why() : "";
    }

    SparseIo base_{"base.img", kSize};
    SparseIo cow_{"cow.img"};
    Bytes all_;
};

TEST_F(CoreLogOpen, ABaseOfAnotherSizeIsRefusedNamingBoth) {
    SparseIo other("other.img", kSize + 512);
    LogDevice device(other.get(), {cow_.get()});
    EXPECT_EQ(device.err(), -EINVAL);
    EXPECT_EQ(device.why(),
              "cow.img: was made for /images/base.img of 8388608 bytes, but other.img has 8389120");
}

TEST_F(CoreLogOpen, ABaseWithAnotherUuidIsRefusedNamingBoth) {
    change_super([](Super *super) { super->base_uuid[3] = 7; });
    EXPECT_EQ(refusal(),
              "cow.img: was made for /images/base.img, but base.img is another image (UUIDs "
              "differ)");
}

TEST_F(CoreLogOpen, ABaseModifiedSinceIsRefusedUnlessNobodyKnows) {
    change_super([](Super *super) { super->base_mtime = cw_to_le64(1000); });
    EXPECT_EQ(refusal(), "");
    base_.set_mtime(1001);
    EXPECT_EQ(refusal(),
              "cow.img: was made for /images/base.img as modified at 1000, but base.img was "
              "modified at 1001; if it was only copied, 'touch -d @1000' makes it as it was");
    base_.set_mtime(1000);
    EXPECT_EQ(refusal(), "");
}

/* 2040, 2106 and before 1970 */
TEST_F(CoreLogOpen, AnyTimeOfABaseIsKept) {
    for (s64 time : {s64{2'208'988'800}, (s64{1} << 32) + 5, s64{-5}}) {
        change_super([=](Super *super) { super->base_mtime = cw_to_le64(static_cast<u64>(time)); });
        base_.set_mtime(time);
        EXPECT_EQ(refusal(), "") << time;
        base_.set_mtime(static_cast<u32>(time) ^ 1);
        const std::string text = std::to_string(time);
        EXPECT_NE(refusal().find("as modified at " + text + ", but"), std::string::npos) << text;
        EXPECT_NE(refusal().find("'touch -d @" + text + "'"), std::string::npos) << text;
    }
}

TEST_F(CoreLogOpen, UnknownFeaturesAreRefusedAsTheirWordSays) {
    change_super([](Super *super) { super->compat = cw_to_le64(1); });
    EXPECT_EQ(refusal(), "");
    change_super([](Super *super) { super->ro_compat = cw_to_le64(4); });
    EXPECT_NE(refusal().find("forbid this driver to write (feature bits 0x4)"), std::string::npos);
    EXPECT_EQ(refusal(true), "");
    change_super([](Super *super) { super->incompat = cw_to_le64(4); });
    EXPECT_NE(refusal(true).find("incompatible feature bits 0x4"), std::string::npos);
}

TEST_F(CoreLogOpen, AnotherVersionIsRefused) {
    change_super([](Super *super) { super->version = cw_to_le32(2); });
    EXPECT_NE(refusal().find("version 2"), std::string::npos);
}

TEST_F(CoreLogOpen, ACodecThatIsNotThereIsRefused) {
    change_super([](Super *super) { super->codec = cw_to_le32(CW_CODEC_XZ); });
    EXPECT_NE(refusal().find("asks for codec xz, which no COW log has"), std::string::npos);
    change_super([](Super *super) { super->codec = cw_to_le32(CW_CODEC_IDS); });
    EXPECT_NE(refusal().find("asks for codec " + std::to_string(CW_CODEC_IDS)), std::string::npos);
    change_super([](Super *super) {
        super->codec = cw_to_le32(CW_CODEC_ZSTD);
        super->codec_level = cw_to_le32(1000);
    });
    EXPECT_NE(refusal().find("asks for level 1000"), std::string::npos);
}

TEST_F(CoreLogOpen, EitherSuperblockAloneIsEnough) {
    use(true);
    const Bytes junk = random_bytes(CW_LOG_SUPER_LEN);
    const Bytes first = cow_.bytes(0, CW_LOG_SUPER_LEN);
    const Bytes second = cow_.bytes(CW_LOG_SUPER_STRIDE, CW_LOG_SUPER_LEN);
    /* The older one leads to the checkpoint before, and the log from there. */
    cow_.put(CW_LOG_SUPER_STRIDE, junk);
    EXPECT_EQ(refusal(true), "");
    cow_.put(CW_LOG_SUPER_STRIDE, second);
    Bytes no_crc = first;
    no_crc[200] ^= 1;
    cow_.put(0, no_crc);
    EXPECT_EQ(refusal(true), "");
    cow_.put(CW_LOG_SUPER_STRIDE, junk);
    EXPECT_NE(refusal(true).find("neither superblock is sound"), std::string::npos);
}

/* An unreadable superblock may be sound, and lead to newer data. */
TEST_F(CoreLogOpen, ASuperblockThatCannotBeReadIsNotPassedOver) {
    use(true);
    for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
        /* The first time the file's beginning is looked at. */
        u32 reads = slot;
        cow_.before_read = [&](u64 off, size_t) {
            return off == slot * CW_LOG_SUPER_STRIDE && reads++ != 0 ? -EIO : 0;
        };
        const std::string why =
            "cow.img: copy " + std::to_string(slot) +
            " of the superblock cannot be read (Input/output error): cloopwck tells "
            "whether the other is enough";
        EXPECT_EQ(refusal(), why);
        reads = slot;
        EXPECT_EQ(refusal(true), why);
    }
}

/* Perhaps it was the newer one. The second may as well be left from before a file system. */
TEST_F(CoreLogOpen, AnOverwrittenBeginningIsRefusedWithTheRemedy) {
    use(true);
    const Bytes first = cow_.bytes(0, CW_LOG_SUPER_LEN);
    const std::string why =
        "cow.img: the beginning of this COW file is overwritten: cloopwck -y writes it again if "
        "nothing is lost by that";
    for (const Bytes &lost : {Bytes(8), Bytes(CW_LOG_SUPER_LEN), random_bytes(512)}) {
        cow_.put(0, lost);
        EXPECT_EQ(refusal(true), why);
        EXPECT_EQ(refusal(), why);
        cow_.put(0, first);
    }
    cow_.put(0, Bytes(8));
    cow_.put(CW_LOG_SUPER_STRIDE + 200, Bytes(1, 1));
    EXPECT_EQ(refusal(), "cow.img: is no COW file of a known format");
}

TEST_F(CoreLogOpen, ANumberThatNoLogReachesIsRefused) {
    change_super([](Super *super) { super->gen_limit = cw_to_le64(~u64{0}); });
    EXPECT_NE(refusal().find("has a number that no log reaches"), std::string::npos);
}

/* They were followed when the map's segments were cleaned, wherever they led. */
TEST_F(CoreLogOpen, ARootThatTheDeviceDoesNotNeedIsRefused) {
    use(true);
    const std::string why =
        "cow.img: the map is damaged (Input/output error): cloopwck rebuilds it from the log";
    change_super([](Super *super) { super->map_root[1] = cw_to_le64(~u64{0} >> 1); });
    EXPECT_EQ(refusal(), why);
    change_super([](Super *super) {
        super->map_root[1] = cw_to_le64(0);
        super->usage_root[15] = cw_to_le64(1);
    });
    EXPECT_EQ(refusal(), why);
}

TEST_F(CoreLogOpen, AFileThatCannotBeWrittenIsRefused) {
    cow_.before_change = [] { return -EIO; };
    EXPECT_EQ(refusal(), "cow.img: cannot be written (Input/output error)");
}

/* A base or a COW file that claims a size, and reads as zeros. */
struct SizedIo : cw_io {
    explicit SizedIo(u64 bytes, int err = 0) : cw_io{}, bytes_(bytes), err_(err) {
        calls_.pread = [](cw_io *, void *buf, size_t len, u64) {
            memset(buf, 0, len);
            return 0;
        };
        calls_.size = [](cw_io *io, u64 *size) {
            *size = static_cast<SizedIo *>(io)->bytes_;
            return static_cast<SizedIo *>(io)->err_;
        };
        ops = &calls_;
        name = "sized";
    }
    cw_io_ops calls_{};
    u64 bytes_;
    int err_;
};

TEST_F(CoreLogOpen, ABaseThatIsTooLongIsRefused) {
    /* The second and the last ones have few pages of the map in 32 bits. */
    for (const u64 size : {u64{33} << 40, (u64{1} << 53) + (u64{1} << 21), u64{1} << 53,
                           u64{1} << 60, u64{1} << 62, CW_LOG_MAX_SIZE + CW_SECTOR_SIZE}) {
        SizedIo base(size);
        change_super([&](Super *super) { super->size = cw_to_le64(size); });
        EXPECT_EQ(LogDevice(&base, {cow_.get()}).why(),
                  "cow.img: a COW log covers up to 32 TiB, and sized has " + std::to_string(size) +
                      " bytes");
    }
    SizedIo base(CW_LOG_MAX_SIZE);
    change_super([](Super *super) { super->size = cw_to_le64(CW_LOG_MAX_SIZE); });
    LogDevice device(&base, {cow_.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    const Bytes data = random_bytes(CW_SECTOR_SIZE);
    EXPECT_EQ(device.write(CW_LOG_MAX_SIZE - data.size(), data), 0);
    EXPECT_EQ(device.read(CW_LOG_MAX_SIZE - data.size(), CW_SECTOR_SIZE), data);
    SizedIo more(~u64{0});
    LogDevice other(&more, {cow_.get()});
    EXPECT_EQ(other.why(), "sized: 18446744073709551615 bytes are too many for a device");
}

TEST_F(CoreLogOpen, AFileWhoseSizeCannotBeToldIsRefused) {
    SizedIo file(0, -EIO);
    EXPECT_EQ(LogDevice(&file, {cow_.get()}).why(),
              "sized: its size cannot be told (Input/output error)");
    EXPECT_EQ(LogDevice(base_.get(), {&file}).why(),
              "sized: its size cannot be told (Input/output error)");
}

TEST_F(CoreLogOpen, ATruncatedFileIsRefused) {
    use(true);
    cow_.truncate(CW_LOG_START + kMiB);
    EXPECT_NE(refusal(true).find("truncated"), std::string::npos);
    cow_.truncate(4096);
    EXPECT_NE(refusal(true), "");
    cow_.truncate(100);
    EXPECT_NE(refusal(true), "");
}

/* The attach writes nothing, not even recovered data. */
TEST_F(CoreLogOpen, AReadOnlyAttachWritesNothing) {
    use(false);
    cow_.before_change = [] { return -EROFS; };
    const u64 writes = cow_.writes;
    LogDevice device(base_.get(), {cow_.get()}, true);
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.read(0, kSize), all_);
    EXPECT_EQ(device.write(0, Bytes(512)), -EROFS);
    EXPECT_EQ(device.flush(), 0);
    EXPECT_EQ(device.close(), 0);
    EXPECT_EQ(cow_.writes, writes);
    EXPECT_EQ(cow_.flushes, 0u);
}

TEST_F(CoreLogOpen, StatCountsWhatIsHeldAcrossAttaches) {
    SparseIo open("cow.img");
    make_log(&open, log_config(kSize, "lz4"));
    cw_cow_stat before{};
    {
        LogDevice device(base_.get(), {open.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        EXPECT_EQ(device.stat().plain_bytes, 0u);
        EXPECT_EQ(device.stat().live_bytes, 0u);
        ASSERT_EQ(device.write(0, text_bytes(kMiB)), 0);
        ASSERT_EQ(device.zero(kMiB, 65536), 0);
        before = device.stat();
        EXPECT_EQ(before.plain_bytes, kMiB + 65536);
        EXPECT_GT(before.live_bytes, kMiB / 8);
        EXPECT_LT(before.live_bytes, kMiB / 2);
        ASSERT_EQ(device.write(0, text_bytes(kMiB, 2)), 0);
        EXPECT_GT(device.stat().dead_bytes, before.live_bytes);
    }
    LogDevice device(base_.get(), {open.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.stat().plain_bytes, before.plain_bytes);
    EXPECT_NEAR(static_cast<double>(device.stat().live_bytes),
                static_cast<double>(before.live_bytes), 65536);
    ASSERT_EQ(device.discard(0, kSize), 0);
    EXPECT_EQ(device.stat().plain_bytes, 0u);
}

TEST_F(CoreLogOpen, ADamagedRecordIsAnErrorForItsPagesAlone) {
    use(true);
    CaptureLog log;
    /* Half of a segment's sectors: not the first, which recovery starts with. */
    for (u64 off = CW_LOG_START + 2 * kMiB; off < CW_LOG_START + 3 * kMiB; off += 4096) {
        cow_.put(off + 100, Bytes(8, 0x5a));
    }
    LogDevice device(base_.get(), {cow_.get()}, true);
    if (device.err() != 0) { /* the map was there */
        EXPECT_NE(device.why().find("map is damaged"), std::string::npos);
        return;
    }
    u64 bad = 0;
    for (u64 off = 0; off < kSize; off += CW_PAGE_SIZE) {
        const Bytes page = device.read(off, CW_PAGE_SIZE);
        bad += page.empty() ? 1 : 0;
        EXPECT_TRUE(page.empty() || page == slice(all_, off, CW_PAGE_SIZE)) << off;
    }
    EXPECT_GT(bad, 0u);
    EXPECT_LT(bad, kSize / CW_PAGE_SIZE / 2);
    EXPECT_FALSE(log.lines().empty());
}

TEST_F(CoreLogOpen, RunningOutOfMemoryAnywhereLeavesNothingBehind) {
    use(false);
    for (unsigned int n = 0;; n++) {
        SparseIo open("cow.img");
        open.copy_from(&cow_);
        FailAllocations fail(nth_allocation(n));
        LogDevice device(base_.get(), {open.get()});
        if (device.err() == 0) {
            EXPECT_GT(n, 10u);
            break;
        }
        ASSERT_EQ(device.err(), -ENOMEM) << n << ": " << device.why();
    }
}

/* ---- files made to deceive: whatever they say, nothing but an error comes of it ---- */

/* Where records are, as far as segments begin with one. */
std::vector<u64> find_records(const Bytes &file) {
    std::vector<u64> places;
    for (u64 off = CW_LOG_START; off + CW_SECTOR_SIZE <= file.size(); off += CW_SECTOR_SIZE) {
        log_record record;
        if (cw_log_record_decode(&file[off], CW_SECTOR_SIZE, &record) == 0) {
            places.push_back(off);
        }
    }
    return places;
}

/* A number that is right, nearly right, or nonsense. */
u64 lie(u64 truth, std::mt19937_64 *random) {
    switch ((*random)() % 6) {
        case 0:
            return (*random)();
        case 1:
            return ~u64{0};
        case 2:
            return 0;
        case 3:
            return truth ^ u64 { 1 } << (*random)() % 64;
        default:
            return truth + (*random)() % 5 - 2;
    }
}

void corrupt_map_page(Bytes *file, u64 off, std::mt19937_64 *random) {
    std::vector<u64> entries(CW_LOG_FANOUT);
    u8 *payload = &(*file)[off + sizeof(cw_disk_log_record)];
    memcpy(entries.data(), payload, CW_PAGE_SIZE);
    for (unsigned int i = 0; i < 8; i++) {
        const u64 at = (*random)() % ((*random)() % 2 == 0 ? 8 : CW_LOG_FANOUT);
        entries[at] = lie(entries[(*random)() % CW_LOG_FANOUT], random);
    }
    memcpy(payload, entries.data(), CW_PAGE_SIZE);
}

void corrupt_record(log_record *record, std::mt19937_64 *random) {
    switch ((*random)() % 10) {
        case 0:
            record->type = static_cast<u8>(1 + (*random)() % 8);
            break;
        case 1:
            record->page = lie(record->page, random);
            break;
        case 2:
            record->pages = static_cast<u32>(lie(record->pages, random));
            break;
        case 3:
            record->codec = static_cast<u8>((*random)() % 6);
            break;
        case 4:
            record->data_mask = static_cast<u16>(lie(record->data_mask, random));
            break;
        case 5:
            record->zero_mask = static_cast<u16>(lie(record->zero_mask, random));
            break;
        case 6:
            record->from = lie(record->from, random);
            break;
        case 7:
            record->next_gen = lie(record->next_gen, random);
            break;
        case 8:
            record->gen = lie(record->gen, random);
            break;
        default:
            record->seq = lie(record->seq, random);
    }
}

/* Ranges that reach before the first page, or behind the last number. */
TEST_F(CoreLogOpen, ARangeWithoutPagesIsNoRecord) {
    Bytes buf(LOG_RECORD_ROOM);
    for (const cw_log_record_type type : {CW_LOG_DROP, CW_LOG_WIPE}) {
        for (const u32 pages : {0u, 1u, CW_LOG_FANOUT, CW_LOG_FANOUT + 1, ~0u}) {
            log_record record{};
            record.type = type;
            record.pages = pages;
            cw_log_record_encode(buf.data(), &record);
            const bool right = pages == 1 || pages == CW_LOG_FANOUT;
            EXPECT_EQ(cw_log_record_decode(buf.data(), CW_SECTOR_SIZE, &record), right ? 0 : -EIO)
                << pages;
            EXPECT_EQ(cw_log_record_fits(&record, kSize / CW_PAGE_SIZE), right) << pages;
        }
    }
    for (const cw_log_record_type type : {CW_LOG_DROP, CW_LOG_WIPE, CW_LOG_WRITE}) {
        log_record record{};
        record.type = type;
        record.pages = 2;
        record.page = ~u64{0};
        EXPECT_FALSE(cw_log_record_fits(&record, ~u64{0}));
        record.pages = 0;
        record.page = 0;
        EXPECT_FALSE(cw_log_record_fits(&record, kSize / CW_PAGE_SIZE));
    }
}

/*
 * The usage calls the map's segments free. Segments that turned out to be bad still counted
 * as free, and a write looked for one for ever.
 */
TEST_F(CoreLogOpen, SegmentsThatTheMapNeedsAndTheUsageGivesAwayAreNeverTaken) {
    {
        LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        ASSERT_EQ(device.write(0, random_bytes(kSize)), 0);
    }
    change_records([](log_record *record, u64 *entries) {
        for (u32 i = 0; record->from == CW_LOG_META_USAGE && i < CW_LOG_FANOUT; i++) {
            const u64 gen = entries[i] >> CW_LOG_USAGE_GEN_SHIFT << CW_LOG_USAGE_GEN_SHIFT;
            entries[i] = gen | (entries[i] == 0 ? 0 : CW_LOG_USAGE_HELD);
        }
    });
    CaptureLog log;
    cow_.set_max(cow_.size() + 4 * kMiB);
    LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.zero(0, kSize), 0);
    std::mt19937 random(2);
    for (unsigned int i = 0; i < 400; i++) {
        const u64 off = random() % (kSize / CW_PAGE_SIZE - 16) * CW_PAGE_SIZE;
        const Bytes data = random_bytes(16 * u64{CW_PAGE_SIZE}, i);
        if (device.write(off, data) == 0) {
            ASSERT_EQ(device.read(off, 16 * CW_PAGE_SIZE), data) << i;
        }
        (void)device.discard(random() % kSize / 2, 100000);
    }
}

class CoreLogLies : public CoreLogOpen, public testing::WithParamInterface<unsigned int> {
protected:
    /* Uses the device in all ways; that it ends is all that is asked. */
    void use_it(std::mt19937_64 *random) {
        CaptureLog log;
        LogDevice device(base_.get(), {cow_.get()}, (*random)() % 4 == 0);
        if (device.err() != 0) {
            EXPECT_NE(device.why(), "");
            return;
        }
        Bytes page(CW_PAGE_SIZE);
        for (u64 off = 0; off < kSize; off += CW_PAGE_SIZE) {
            (void)cw_device_read(device.get(), off, CW_PAGE_SIZE, page.data());
        }
        for (unsigned int i = 0; i < 30; i++) {
            const u64 off = (*random)() % (kSize - 70000);
            (void)device.write(off, random_bytes(1 + (*random)() % 70000, i));
            (void)device.discard((*random)() % kSize / 2, kSize / 8);
        }
        (void)device.flush();
        EXPECT_LE(device.stat().plain_bytes / CW_PAGE_SIZE, ~u64{0});
    }
};

TEST_P(CoreLogLies, InTheSuperblock) {
    std::mt19937_64 random(GetParam());
    use(GetParam() % 2 == 0);
    for (unsigned int i = 0; i < 20; i++) {
        SparseIo kept("cow.img");
        kept.copy_from(&cow_);
        change_super([&](Super *super) {
            switch (random() % 10) {
                case 0:
                    super->seq = cw_to_le64(lie(cw_from_le64(super->seq), &random));
                    break;
                case 1:
                    super->gen_limit = cw_to_le64(lie(cw_from_le64(super->gen_limit), &random));
                    break;
                case 2:
                    super->segments = cw_to_le64(lie(cw_from_le64(super->segments), &random));
                    break;
                case 3:
                    super->log_gen = cw_to_le64(lie(cw_from_le64(super->log_gen), &random));
                    break;
                case 4:
                    super->log_seq = cw_to_le64(lie(cw_from_le64(super->log_seq), &random));
                    break;
                case 5:
                    super->log_segment = cw_to_le32(
                        static_cast<u32>(lie(cw_from_le32(super->log_segment), &random)));
                    break;
                case 6:
                    super->log_sector =
                        cw_to_le32(static_cast<u32>(lie(cw_from_le32(super->log_sector), &random)));
                    break;
                case 7:
                    super->meta_segment = cw_to_le32(
                        static_cast<u32>(lie(cw_from_le32(super->meta_segment), &random)));
                    super->meta_sector = cw_to_le32(
                        static_cast<u32>(lie(cw_from_le32(super->meta_sector), &random)));
                    break;
                case 8:
                    super->map_root[0] = cw_to_le64(lie(cw_from_le64(super->map_root[0]), &random));
                    break;
                default:
                    super->usage_root[0] =
                        cw_to_le64(lie(cw_from_le64(super->usage_root[0]), &random));
            }
        });
        ASSERT_NO_FATAL_FAILURE(use_it(&random));
        cow_.copy_from(&kept);
    }
}

TEST_P(CoreLogLies, InTheRecords) {
    std::mt19937_64 random(GetParam() + 1000);
    use(GetParam() % 2 == 0);
    SparseIo kept("cow.img");
    kept.copy_from(&cow_);
    Bytes file = kept.bytes(0, kept.size());
    file.resize(file.size() + LOG_RECORD_ROOM);
    const std::vector<u64> places = find_records(file);
    ASSERT_GT(places.size(), 50u);
    for (unsigned int i = 0; i < 20; i++) {
        Bytes changed = file;
        for (unsigned int k = 0; k < 4; k++) {
            const u64 off = places[random() % places.size()];
            log_record record;
            if (cw_log_record_decode(&changed[off], CW_SECTOR_SIZE, &record) != 0) {
                continue; /* a lie told before */
            }
            if (record.type == CW_LOG_META) {
                corrupt_map_page(&changed, off, &random);
            } else {
                corrupt_record(&record, &random);
            }
            cw_log_record_encode(&changed[off], &record);
        }
        changed.resize(kept.size());
        cow_.put(0, changed);
        ASSERT_NO_FATAL_FAILURE(use_it(&random));
        cow_.copy_from(&kept);
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CoreLogLies, testing::Range(0u, 12u));

}  // namespace
}  // namespace cloopw::test

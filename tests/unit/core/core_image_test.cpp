// SPDX-License-Identifier: GPL-2.0
/* The behaviour that all formats of base images share, and the raw format. */
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/data.h"
#include "support/hooks.h"
#include "support/images.h"

namespace cloopw::test {
namespace {

using testing::Test;

TEST(CoreImage, FormatsAreFoundByName) {
    EXPECT_EQ(cw_image_format_by_name("cloopw"), &cw_image_cloopw);
    EXPECT_EQ(cw_image_format_by_name("cloop2"), &cw_image_cloop2);
    EXPECT_EQ(cw_image_format_by_name("raw"), &cw_image_raw);
    EXPECT_EQ(cw_image_format_by_name("qcow2"), nullptr);
}

TEST(CoreImage, TheFormatIsRecognized) {
    TestIo native("a", native_image(text_bytes(10000), 4096, cw_codec_lz4));
    TestIo cloop2("b", cloop2_image(text_bytes(10000), 4096));
    TestIo raw("c", text_bytes(10000));
    EXPECT_EQ(OpenImage(&native)->format, &cw_image_cloopw);
    EXPECT_EQ(OpenImage(&cloop2)->format, &cw_image_cloop2);
    EXPECT_EQ(OpenImage(&raw)->format, &cw_image_raw);
}

TEST(CoreImage, AForcedRawFormatShowsTheFileItself) {
    const Bytes file = native_image(text_bytes(10000), 4096, cw_codec_lz4);
    TestIo io("a", file);
    OpenImage image(&io, &cw_image_raw);
    Bytes out;
    ASSERT_EQ(image.read(0, static_cast<u32>(file.size()), &out), 0);
    EXPECT_EQ(out, file);
}

TEST(CoreImage, AForcedFormatThatItIsNotIsRefused) {
    TestIo io("some.img", text_bytes(10000));
    for (const cw_image_format *format : {&cw_image_cloopw, &cw_image_cloop2}) {
        OpenImage image(&io, format);
        EXPECT_EQ(image.err(), -EINVAL);
        EXPECT_EQ(image.get(), nullptr);
        EXPECT_EQ(image.why(), "some.img: is no " + std::string(format->name) + " image");
    }
}

TEST(CoreImage, AnEmptyFileIsRefused) {
    TestIo io("some.img");
    OpenImage image(&io);
    EXPECT_EQ(image.err(), -EINVAL);
    EXPECT_EQ(image.why(), "some.img: is empty");
}

TEST(CoreImage, AFileThatCannotBeReadIsRefused) {
    TestIo io("some.img", text_bytes(10000));
    io.before_read = [](u64, size_t) { return -EIO; };
    OpenImage image(&io);
    EXPECT_EQ(image.err(), -EIO);
    EXPECT_EQ(image.why(), "some.img: cannot be read (Input/output error)");
}

TEST(CoreImage, ClosingNoneIsFine) {
    cw_image *none = nullptr;
    cw_image_close(none);
    EXPECT_EQ(none, nullptr);
}

/* Leaves nothing behind: LeakSanitizer looks on. */
TEST(CoreImage, OpenFailsCleanlyWhereverMemoryEnds) {
    TestIo io("a", native_image(text_bytes(10000), 4096, cw_codec_zstd));
    cw_cache *cache = cw_cache_create(65536);
    int err = -ENOMEM;
    unsigned int n = 0;
    for (; err != 0 && n < 100; n++) {
        cw_image *image;
        FailAllocations fail(nth_allocation(n));
        err = cw_image_open(io.get(), cache, nullptr, &image, nullptr);
        if (err != 0) {
            EXPECT_EQ(err, -ENOMEM) << n;
            EXPECT_EQ(image, nullptr) << n;
        }
        cw_image_close(image);
    }
    EXPECT_EQ(err, 0);
    EXPECT_GT(n, 3u);
    cw_cache_destroy(cache);
}

TEST(CoreImageRaw, SizeIsTheFiles) {
    TestIo io("a", text_bytes(1234));
    EXPECT_EQ(OpenImage(&io)->size, 1234u);
}

TEST(CoreImageRaw, ReadsAnyRange) {
    const Bytes plain = text_bytes(10000);
    TestIo io("a", plain);
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(777, 5001, &out), 0);
    EXPECT_EQ(out, slice(plain, 777, 5001));
}

TEST(CoreImageRaw, BehindItsEndAreZeros) {
    const Bytes plain = text_bytes(1000);
    TestIo io("a", plain);
    OpenImage image(&io);
    Bytes expected = slice(plain, 900, 100), out;
    expected.resize(124);
    ASSERT_EQ(image.read(900, 124, &out), 0);
    EXPECT_EQ(out, expected);
}

TEST(CoreImageRaw, FarBehindItsEndAreZeros) {
    TestIo io("a", text_bytes(1000));
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(1ull << 60, 512, &out), 0);
    EXPECT_EQ(out, Bytes(512));
}

TEST(CoreImageRaw, AFileThatCannotBeReadIsCounted) {
    TestIo io("a", text_bytes(10000));
    OpenImage image(&io);
    io.before_read = [](u64 off, size_t) { return off >= 4096 ? -EIO : 0; };
    Bytes out;
    EXPECT_EQ(image.read(4096, 512, &out), -EIO);
    EXPECT_EQ(cw_atomic64_read(&image->errors), 1);
    EXPECT_EQ(image.read(0, 512, &out), 0);
}

TEST(CoreImageRaw, AFileThatShrankIsAnErrorAndNotGarbage) {
    TestIo io("a", text_bytes(10000));
    OpenImage image(&io);
    io.set_content(text_bytes(5000));
    Bytes out;
    EXPECT_EQ(image.read(4096, 4096, &out), -EIO);
}

TEST(CoreImageRaw, KnowsNothingOfWhatWillBeRead) {
    TestIo io("a", text_bytes(10000));
    OpenImage image(&io);
    cw_image_will_read(image.get(), 0, 10000);
    EXPECT_EQ(io.hints(), std::vector<TestIo::Range>());
}

/* ---- reading blocks, the same for all formats that have some ---- */

struct BlockCase {
    std::string name;
    std::function<Bytes(const Bytes &plain, u32 block_size)> make;
};

class CoreImageBlocks : public testing::TestWithParam<BlockCase> {
protected:
    Bytes make(const Bytes &plain, u32 block_size = 4096) const {
        return GetParam().make(plain, block_size);
    }
};

TEST_P(CoreImageBlocks, ShowsWhatWasPutIn) {
    const Bytes plain = text_bytes(100 * 4096);
    TestIo io("a", make(plain));
    OpenImage image(&io);
    ASSERT_EQ(image.err(), 0) << image.why();
    Bytes out;
    ASSERT_EQ(image.read(0, static_cast<u32>(plain.size()), &out), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreImageBlocks, ShowsWhatDoesNotShrink) {
    const Bytes plain = random_bytes(10 * 4096);
    TestIo io("a", make(plain));
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(0, static_cast<u32>(plain.size()), &out), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreImageBlocks, ReadsAnyRange) {
    const Bytes plain = text_bytes(20 * 4096 - 512);
    TestIo io("a", make(plain));
    OpenImage image(&io, nullptr, 3 * 4096);
    std::mt19937 random(1);
    for (int i = 0; i < 300; i++) {
        const u32 off = static_cast<u32>(random() % plain.size());
        const u32 len = static_cast<u32>(random() % std::min<u64>(20000, plain.size() - off));
        Bytes out;
        ASSERT_EQ(image.read(off, len, &out), 0);
        ASSERT_EQ(out, slice(plain, off, len)) << off << "+" << len;
    }
}

TEST_P(CoreImageBlocks, ReadsWithoutACache) {
    const Bytes plain = text_bytes(5 * 4096);
    TestIo io("a", make(plain));
    OpenImage image(&io);
    FailAllocations fail([](size_t) { return true; });
    Bytes out;
    ASSERT_EQ(image.read(100, 9000, &out), 0);
    EXPECT_EQ(out, slice(plain, 100, 9000));
}

TEST_P(CoreImageBlocks, PartsOfABlockDecompressItOnce) {
    const Bytes plain = text_bytes(5 * 4096);
    TestIo io("a", make(plain));
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(0, 100, &out), 0);
    int reads = 0;
    io.before_read = [&reads](u64, size_t) { return reads++ * 0; };
    ASSERT_EQ(image.read(100, 100, &out), 0);
    EXPECT_EQ(out, slice(plain, 100, 100));
    EXPECT_EQ(reads, 0);
}

TEST_P(CoreImageBlocks, AWholeBlockGoesPastTheCache) {
    TestIo io("a", make(text_bytes(5 * 4096)));
    cw_cache *cache = cw_cache_create(1 << 20);
    cw_image *image;
    ASSERT_EQ(cw_image_open(io.get(), cache, nullptr, &image, nullptr), 0);
    Bytes out(4096);
    ASSERT_EQ(cw_image_read(image, 4096, 4096, out.data()), 0);
    EXPECT_EQ(cw_cache_peek(cache, image->owner, 1), nullptr);
    cw_image_close(image);
    cw_cache_destroy(cache);
}

TEST_P(CoreImageBlocks, CloseLeavesNothingInTheCache) {
    TestIo io("a", make(text_bytes(5 * 4096)));
    cw_cache *cache = cw_cache_create(1 << 20);
    cw_image *image;
    ASSERT_EQ(cw_image_open(io.get(), cache, nullptr, &image, nullptr), 0);
    Bytes out(100);
    ASSERT_EQ(cw_image_read(image, 100, 100, out.data()), 0);
    cw_image_close(image);
    cw_cache_stats stats;
    cw_cache_get_stats(cache, &stats);
    EXPECT_EQ(stats.bytes, 0u);
    cw_cache_destroy(cache);
}

/* Where the stored bytes of blocks [first, last] begin and how long they are in all. */
TestIo::Range stored_range(const OpenImage &image, u64 first, u64 last) {
    cw_extent from;
    cw_extent to;
    EXPECT_EQ(cw_image_locate(image.get(), first, &from), 0);
    EXPECT_EQ(cw_image_locate(image.get(), last, &to), 0);
    return {from.offset, to.offset + to.stored - from.offset};
}

TEST_P(CoreImageBlocks, WhatWillBeReadIsFetchedAtOnce) {
    TestIo io("a", make(text_bytes(20 * 4096)));
    OpenImage image(&io);
    cw_image_will_read(image.get(), 2 * 4096 + 100, 3 * 4096);
    EXPECT_EQ(io.hints(), std::vector{stored_range(image, 2, 5)});
}

TEST_P(CoreImageBlocks, OutsideNothingWillBeRead) {
    TestIo io("a", make(text_bytes(2 * 4096)));
    OpenImage image(&io);
    cw_image_will_read(image.get(), 0, 0);
    cw_image_will_read(image.get(), 4096, 4097);
    cw_image_will_read(image.get(), UINT64_MAX, 2);
    EXPECT_EQ(io.hints(), std::vector<TestIo::Range>());
}

/* The data is behind the index in cloop2 and before it in cloopw. */
TEST_P(CoreImageBlocks, AReadErrorIsEioAndNotKept) {
    const Bytes plain = text_bytes(5 * 4096);
    TestIo io("some.img", make(plain));
    OpenImage image(&io);
    CaptureLog log;
    Bytes out;
    io.before_read = [](u64, size_t) { return -ENXIO; };
    EXPECT_EQ(image.read(4096, 100, &out), -EIO);
    io.before_read = nullptr;
    ASSERT_EQ(image.read(4096, 100, &out), 0);
    EXPECT_EQ(out, slice(plain, 4096, 100));
    EXPECT_EQ(cw_atomic64_read(&image->errors), 1);
    ASSERT_EQ(log.lines().size(), 1u);
    EXPECT_EQ(log.lines()[0].rfind("some.img: block 1 ", 0), 0u) << log.lines()[0];
}

/* Threads that share blocks; TSan looks on. */
/* A copy with a wrong byte in block 2; the source is right. */
TEST_P(CoreImageBlocks, WrongBytesOfACopyAreReadAgainFromTheSource) {
    const Bytes plain = text_bytes(5 * 4096);
    const Bytes source = make(plain);
    TestIo io("some.img", source);
    OpenImage image(&io);
    const TestIo::Range stored = stored_range(image, 2, 2);
    Bytes copy = source;
    copy[stored.off + stored.len / 2] = static_cast<u8>(~copy[stored.off + stored.len / 2]);
    io.set_content(copy);
    CaptureLog log;
    Bytes out;
    EXPECT_EQ(image.read(2 * 4096, 4096, &out), -EIO);
    EXPECT_EQ(log.lines().size(), 1u);

    std::vector<TestIo::Range> distrusted;
    io.distrusted = [&](u64 off, u64 len) {
        distrusted.push_back({off, len});
        io.set_content(source);
        return true;
    };
    ASSERT_EQ(image.read(2 * 4096, 4096, &out), 0);
    EXPECT_EQ(out, slice(plain, 2 * 4096, 4096));
    EXPECT_EQ(distrusted, std::vector{stored});
    EXPECT_EQ(log.lines().size(), 1u);
}

TEST_P(CoreImageBlocks, ASourceThatIsWrongItselfIsAskedOnce) {
    const Bytes plain = text_bytes(5 * 4096);
    Bytes file = make(plain);
    TestIo io("some.img", file);
    OpenImage image(&io);
    const TestIo::Range stored = stored_range(image, 2, 2);
    file[stored.off + stored.len / 2] = static_cast<u8>(~file[stored.off + stored.len / 2]);
    io.set_content(file);
    int asked = 0;
    io.distrusted = [&](u64, u64) {
        asked++;
        return true;
    };
    CaptureLog log;
    Bytes out;
    EXPECT_EQ(image.read(2 * 4096, 4096, &out), -EIO);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(log.lines().size(), 1u);
}

TEST_P(CoreImageBlocks, ManyThreadsReadAtOnce) {
    const Bytes plain = text_bytes(32 * 4096);
    TestIo io("a", make(plain));
    OpenImage image(&io, nullptr, 4 * 4096);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned int id = 0; id < 8; id++) {
        threads.emplace_back([&, id] {
            std::mt19937 random(id);
            for (int i = 0; i < 200; i++) {
                const u32 off = static_cast<u32>(random() % (plain.size() - 9000));
                const u32 len = static_cast<u32>(random() % 9000);
                Bytes out;
                if (image.read(off, len, &out) != 0 || out != slice(plain, off, len)) {
                    wrong++;
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, CoreImageBlocks,
    testing::Values(BlockCase{"cloop2",
                              [](const Bytes &plain, u32 block_size) {
                                  return cloop2_image(plain, block_size);
                              }},
                    BlockCase{"cloopw_none",
                              [](const Bytes &plain, u32 block_size) {
                                  return native_image(plain, block_size, cw_codec_none);
                              }},
                    BlockCase{"cloopw_zlib",
                              [](const Bytes &plain, u32 block_size) {
                                  return native_image(plain, block_size, cw_codec_zlib);
                              }},
                    BlockCase{"cloopw_lz4",
                              [](const Bytes &plain, u32 block_size) {
                                  return native_image(plain, block_size, cw_codec_lz4);
                              }},
                    BlockCase{"cloopw_zstd",
                              [](const Bytes &plain, u32 block_size) {
                                  return native_image(plain, block_size, cw_codec_zstd);
                              }}),
    [](const auto &info) { return info.param.name; });

}  // namespace
}  // namespace cloopw::test

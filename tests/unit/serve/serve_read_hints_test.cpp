// SPDX-License-Identifier: GPL-2.0
/* A server tells the image's file of reads to come. */
#include "lib/serve/read_hints.h"

#include <gtest/gtest.h>

#include "support/data.h"
#include "support/images.h"

namespace cloopw {

static bool operator==(const ByteRange &a, const ByteRange &b) {
    return a.off == b.off && a.len == b.len;
}

namespace test {
namespace {

TEST(ServeReadHints, TheFirstReadOfAStreamGetsAllOfIt) {
    const std::vector<ByteRange> reads = {{4096, 4096}, {100, 10}, {8192, 8192}, {16384, 512}};
    EXPECT_EQ(streams_of(reads),
              (std::vector<ByteRange>{{4096, 12800}, {100, 10}, {8192, 8192}, {16384, 512}}));
}

TEST(ServeReadHints, AStreamMayArriveFromItsEnd) {
    EXPECT_EQ(streams_of({{20, 10}, {10, 10}, {0, 10}}),
              (std::vector<ByteRange>{{0, 30}, {10, 10}, {0, 10}}));
}

TEST(ServeReadHints, ReadsThatOverlapAreNoStream) {
    EXPECT_EQ(streams_of({{0, 10}, {5, 10}, {0, 10}}),
              (std::vector<ByteRange>{{0, 10}, {5, 10}, {0, 10}}));
    EXPECT_TRUE(streams_of({}).empty());
}

/* An image of two blocks of 8 KiB, which are stored side by side. */
class ServeReadHintsOfAnImage : public testing::Test {
protected:
    std::vector<TestIo::Range> hints_for(const ByteRange &range) {
        OpenDevice device(&base_, {});
        hint_read(*device.get(), range);
        return base_.hints();
    }

    TestIo base_{"base", native_image(text_bytes(2 * 8192), 8192, cw_codec_lz4)};
};

TEST_F(ServeReadHintsOfAnImage, ARangeOfTwoBlocksIsFetchedAtOnce) {
    EXPECT_EQ(hints_for({4096, 8192}).size(), 1u);
}

TEST_F(ServeReadHintsOfAnImage, ARangeOfOneBlockIsNotWorthAHint) {
    EXPECT_TRUE(hints_for({8192, 8192}).empty());
    EXPECT_TRUE(hints_for({0, 0}).empty());
}

}  // namespace
}  // namespace test
}  // namespace cloopw

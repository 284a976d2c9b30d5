// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <set>

#include "support/data.h"
#include "support/images.h"

namespace cloopw::test {
namespace {

class Context {
public:
    Context(const cw_codec &codec, int level, u32 max_len) : codec_(codec) {
        err_ = codec.create(&ctx_, level, max_len);
    }
    ~Context() { codec_.destroy(ctx_); }
    Context(const Context &) = delete;
    Context &operator=(const Context &) = delete;

    int err() const { return err_; }

    int compress(Bytes *dst, const Bytes &src) const {
        return codec_.compress(ctx_, dst->data(), static_cast<u32>(dst->size()), src.data(),
                               static_cast<u32>(src.size()));
    }
    int decompress(Bytes *dst, const Bytes &src) const {
        return codec_.decompress(ctx_, dst->data(), static_cast<u32>(dst->size()), src.data(),
                                 static_cast<u32>(src.size()));
    }

private:
    const cw_codec &codec_;
    void *ctx_ = nullptr;
    int err_;
};

constexpr u32 kLen = 65536;

class CoreCodec : public testing::TestWithParam<const cw_codec *> {
protected:
    const cw_codec &codec() const { return *GetParam(); }
    Context reader() const { return Context(codec(), -1, kLen); }
};

TEST_P(CoreCodec, RoundTripsText) {
    const Bytes plain = text_bytes(kLen);
    Bytes out(kLen);
    ASSERT_EQ(reader().decompress(&out, compress(codec(), plain)), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreCodec, RoundTripsZeros) {
    const Bytes plain(kLen);
    Bytes out = random_bytes(kLen);
    ASSERT_EQ(reader().decompress(&out, compress(codec(), plain)), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreCodec, RoundTripsWhatDoesNotShrinkWhenThereIsRoom) {
    const Bytes plain = random_bytes(kLen);
    Bytes out(kLen);
    ASSERT_EQ(reader().decompress(&out, compress(codec(), plain)), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreCodec, RoundTripsLengthsThatAreNotRound) {
    for (const u32 len : {1u, 2u, 15u, 511u, 4097u, 65535u}) {
        const Bytes plain = text_bytes(len);
        Bytes out(len);
        ASSERT_EQ(reader().decompress(&out, compress(codec(), plain)), 0) << len;
        EXPECT_EQ(out, plain) << len;
    }
}

TEST_P(CoreCodec, RoundTripsTheLongestBlock) {
    const Bytes plain = text_bytes(CW_NATIVE_MAX_BLOCK);
    Bytes out(plain.size());
    Context wide(codec(), -1, CW_NATIVE_MAX_BLOCK);
    ASSERT_EQ(wide.decompress(&out, compress(codec(), plain)), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreCodec, SaysZeroWhenTheResultDoesNotFit) {
    Context writer(codec(), codec().default_level, kLen);
    Bytes out(kLen - 1);
    EXPECT_EQ(writer.compress(&out, random_bytes(kLen)), 0);
}

TEST_P(CoreCodec, SaysZeroWhenThereIsRoomForOneByteOnly) {
    Context writer(codec(), codec().default_level, kLen);
    Bytes out(1);
    EXPECT_EQ(writer.compress(&out, text_bytes(kLen)), 0);
}

TEST_P(CoreCodec, CompressesTheSameToTheSame) {
    const Bytes plain = text_bytes(kLen);
    EXPECT_EQ(compress(codec(), plain), compress(codec(), plain));
}

TEST_P(CoreCodec, ForgetsWhatItsContextCompressedBefore) {
    Context writer(codec(), codec().default_level, kLen);
    const Bytes plain = text_bytes(kLen, 2);
    Bytes first(kLen), second(kLen);
    const int n = writer.compress(&first, plain);
    ASSERT_GE(writer.compress(&second, text_bytes(kLen, 3)), 0);
    ASSERT_EQ(writer.compress(&second, plain), n);
    first.resize(static_cast<size_t>(n));
    second.resize(static_cast<size_t>(n));
    EXPECT_EQ(first, second);
}

TEST_P(CoreCodec, EveryLevelMakesAContext) {
    for (int level = codec().min_level; level <= codec().max_level; level++) {
        EXPECT_EQ(Context(codec(), level, kLen).err(), 0) << level;
    }
}

TEST_P(CoreCodec, EveryLevelRoundTrips) {
    const Bytes plain = text_bytes(kLen);
    for (int level = codec().min_level; level <= codec().max_level; level++) {
        Bytes stored(kLen), out(kLen);
        const int n = Context(codec(), level, kLen).compress(&stored, plain);
        ASSERT_EQ(n > 0, codec().id != CW_CODEC_NONE) << level;
        stored.resize(n > 0 ? static_cast<size_t>(n) : 0);
        ASSERT_EQ(reader().decompress(&out, n > 0 ? stored : plain), 0) << level;
        EXPECT_EQ(out, plain) << level;
    }
}

TEST_P(CoreCodec, RefusesAStreamThatIsLongerThanTheBlock) {
    Bytes out(kLen - 1);
    EXPECT_EQ(reader().decompress(&out, compress(codec(), text_bytes(kLen))), -EIO);
}

TEST_P(CoreCodec, RefusesAStreamThatIsShorterThanTheBlock) {
    Bytes out(kLen + 1);
    EXPECT_EQ(reader().decompress(&out, compress(codec(), text_bytes(kLen))), -EIO);
}

TEST_P(CoreCodec, RefusesEveryTruncation) {
    const Bytes stored = compress(codec(), text_bytes(2048));
    Bytes out(2048);
    for (size_t len = 0; len < stored.size(); len++) {
        EXPECT_EQ(reader().decompress(&out, slice(stored, 0, len)), -EIO) << len;
    }
}

TEST_P(CoreCodec, RefusesATrailingByte) {
    for (const int byte : {0, 1, 0x50, 0xff}) {
        Bytes stored = compress(codec(), text_bytes(kLen));
        stored.push_back(static_cast<u8>(byte));
        Bytes out(kLen);
        EXPECT_EQ(reader().decompress(&out, stored), -EIO) << byte;
    }
}

TEST_P(CoreCodec, RefusesASecondStreamBehindTheFirst) {
    Bytes stored = compress(codec(), text_bytes(kLen));
    const Bytes copy = stored;
    stored.insert(stored.end(), copy.begin(), copy.end());
    Bytes out(kLen);
    EXPECT_EQ(reader().decompress(&out, stored), -EIO);
}

/* Destination and source are exact heap blocks: ASan sees a byte too many. */
TEST_P(CoreCodec, GarbageIsRefusedOrFillsTheBlock) {
    for (unsigned int seed = 0; seed < 500; seed++) {
        Bytes out(4096);
        const int err = reader().decompress(&out, random_bytes(1 + seed * 7 % 4095, seed));
        EXPECT_TRUE(err == 0 || err == -EIO) << err;
    }
}

TEST_P(CoreCodec, AFlippedBitIsRefusedOrFillsTheBlock) {
    const Bytes stored = compress(codec(), text_bytes(512));
    for (size_t bit = 0; bit < stored.size() * 8; bit++) {
        Bytes bad = stored, out(512);
        bad[bit / 8] ^= static_cast<u8>(1u << bit % 8);
        const int err = reader().decompress(&out, bad);
        EXPECT_TRUE(err == 0 || err == -EIO) << err;
    }
}

TEST_P(CoreCodec, WorksAfterItRefusedGarbage) {
    const Bytes plain = text_bytes(kLen);
    Context context(codec(), -1, kLen);
    Bytes out(kLen);
    ASSERT_EQ(context.decompress(&out, random_bytes(100)), -EIO);
    ASSERT_EQ(context.decompress(&out, compress(codec(), plain)), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreCodec, IsFoundByItsName) { EXPECT_EQ(cw_codec_by_name(codec().name), &codec()); }

TEST_P(CoreCodec, IsReadByTheCodecOfItsId) {
    const Bytes plain = text_bytes(kLen);
    const cw_codec *by_id = cw_codec_by_id(codec().id);
    ASSERT_NE(by_id, nullptr);
    Bytes out(kLen);
    ASSERT_EQ(Context(*by_id, -1, kLen).decompress(&out, compress(codec(), plain)), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreCodec, ItsDefaultLevelIsOneOfItsLevels) {
    EXPECT_LE(codec().min_level, codec().default_level);
    EXPECT_LE(codec().default_level, codec().max_level);
}

INSTANTIATE_TEST_SUITE_P(All, CoreCodec, testing::ValuesIn(cw_codecs, cw_codecs + cw_codecs_count),
                         [](const auto &info) { return std::string(info.param->name); });

TEST(CoreCodecTable, NamesAreUnique) {
    std::set<std::string> names;
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        names.insert(cw_codecs[i]->name);
    }
    EXPECT_EQ(names.size(), cw_codecs_count);
}

TEST(CoreCodecTable, IdsFitTheirWord) {
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        EXPECT_LT(cw_codecs[i]->id, CW_CODEC_IDS) << cw_codecs[i]->name;
    }
}

TEST(CoreCodecTable, Lz4IsReadByLz4AndNotByLz4hc) {
    EXPECT_EQ(cw_codec_by_id(CW_CODEC_LZ4), &cw_codec_lz4);
}

TEST(CoreCodecTable, UnknownIdsHaveNoCodec) {
    EXPECT_EQ(cw_codec_by_id(CW_CODEC_IDS), nullptr);
    EXPECT_EQ(cw_codec_by_id(255), nullptr);
}

TEST(CoreCodecTable, UnknownNamesHaveNoCodec) {
    EXPECT_EQ(cw_codec_by_name("lz5"), nullptr);
    EXPECT_EQ(cw_codec_by_name(""), nullptr);
}

}  // namespace
}  // namespace cloopw::test

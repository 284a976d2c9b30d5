// SPDX-License-Identifier: GPL-2.0
#include "lib/cow/log_writer.h"

#include <gtest/gtest.h>

#include <memory>

#include "lib/error.h"

namespace cloopw::test {
namespace {

std::string refusal(const LogCowConfig &config) {
    auto super = std::make_unique<cw_disk_log_super>();
    try {
        encode_log_super(super.get(), config);
    } catch (const Error &e) {
        return e.what();
    }
    return "";
}

TEST(LogCowWriter, ALevelThatTheCodecHasNotIsRefused) {
    LogCowConfig config;
    config.codec = "zstd";
    config.level = 3;
    EXPECT_EQ(refusal(config), "");
    config.level = 100;
    EXPECT_NE(refusal(config).find("codec zstd has levels "), std::string::npos);
    EXPECT_NE(refusal(config).find(", not 100"), std::string::npos);
}

TEST(LogCowWriter, ADeviceThatIsTooLongIsRefused) {
    LogCowConfig config;
    config.size = CW_LOG_MAX_SIZE;
    EXPECT_EQ(refusal(config), "");
    for (const u64 size : {CW_LOG_MAX_SIZE + 1, (u64{1} << 53) + (u64{1} << 21), ~u64{0}}) {
        config.size = size;
        EXPECT_EQ(refusal(config), "a COW log covers up to 32 TiB, and the device has " +
                                       std::to_string(size) + " bytes");
    }
}

/* The path is only a remark: UUID or time identify the file below. */
TEST(LogCowWriter, APathForWhichThereIsNoRoomIsCut) {
    LogCowConfig config;
    struct cw_disk_log_super super;
    const std::string longest(CW_LOG_PARENT_LEN - 1, 'x');
    for (const char *more : {"", "x", "xxxx"}) {
        config.parent = longest + more;
        encode_log_super(&super, config);
        EXPECT_EQ(super.parent, longest);
    }
    config.parent = longest.substr(1) + "\xc3\xa9";
    encode_log_super(&super, config);
    EXPECT_EQ(super.parent, longest.substr(1));
}

}  // namespace
}  // namespace cloopw::test

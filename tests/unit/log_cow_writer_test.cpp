// SPDX-License-Identifier: GPL-2.0
#include "lib/log_cow_writer.h"

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

TEST(LogCowWriter, APathForWhichThereIsNoRoomIsRefused) {
    LogCowConfig config;
    config.parent = std::string(CW_LOG_PARENT_LEN - 1, 'x');
    EXPECT_EQ(refusal(config), "");
    config.parent += 'x';
    EXPECT_EQ(refusal(config).rfind("the path of what is below is longer than the ", 0), 0u);
}

}  // namespace
}  // namespace cloopw::test

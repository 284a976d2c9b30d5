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

TEST(LogCowWriter, APathForWhichThereIsNoRoomIsRefused) {
    LogCowConfig config;
    config.parent = std::string(CW_LOG_PARENT_LEN - 1, 'x');
    EXPECT_EQ(refusal(config), "");
    config.parent += 'x';
    EXPECT_EQ(refusal(config).rfind("the path of what is below is longer than the ", 0), 0u);
}

}  // namespace
}  // namespace cloopw::test

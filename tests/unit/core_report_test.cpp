// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <string>

#include "lib/core.h"

namespace cloopw::test {
namespace {

TEST(CoreReport, KeepsTheTextAndReturnsTheError) {
    cw_report report = {};
    EXPECT_EQ(cw_refuse(&report, -EINVAL, "%s: %d", "a", 5), -EINVAL);
    EXPECT_STREQ(report.text, "a: 5");
}

/* The first reason is the cause, the others are its consequences. */
TEST(CoreReport, KeepsTheFirstReason) {
    cw_report report = {};
    cw_refuse(&report, -EINVAL, "first");
    EXPECT_EQ(cw_refuse(&report, -EIO, "second"), -EIO);
    EXPECT_STREQ(report.text, "first");
}

TEST(CoreReport, NobodyNeedsToAskForTheReason) {
    EXPECT_EQ(cw_refuse(nullptr, -EINVAL, "first"), -EINVAL);
}

TEST(CoreReport, ALongReasonIsCut) {
    cw_report report = {};
    cw_refuse(&report, -EINVAL, "%s", std::string(1000, 'x').c_str());
    EXPECT_EQ(std::string(report.text), std::string(CW_REPORT_LEN - 1, 'x'));
}

TEST(CoreReport, ErrorsHaveNames) {
    EXPECT_STREQ(cw_error_text(-EFBIG), "File too large");
    EXPECT_STREQ(cw_error_text(ENOSPC), "No space left on device");
    EXPECT_STREQ(cw_error_text(-99999), "Unknown error");
}

/* A name, and a text from a file, may end on a terminal. */
TEST(CoreReport, HasNoControlCharacters) {
    cw_report report = {};
    cw_refuse(&report, -EINVAL, "bad\n\x1b[2J\x7fname \xc3\xa9");
    EXPECT_STREQ(report.text, "bad??[2J?name \xc3\xa9");
}

}  // namespace
}  // namespace cloopw::test

// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <string>

#include "lib/core.h"

namespace cloopw::test {
namespace {

TEST(CoreReport, KeepsTheTextAndReturnsTheError) {
    cw_report report = {};
    EXPECT_EQ(cw_refuse(&report, -EINVAL, CLOOPW_R_DAMAGED, "%s: %d", "a", 5), -EINVAL);
    EXPECT_STREQ(report.text, "a: 5");
}

/* The first reason is the cause, the others are its consequences. */
TEST(CoreReport, KeepsTheFirstReason) {
    cw_report report = {};
    cw_refuse(&report, -EINVAL, CLOOPW_R_DAMAGED, "first");
    EXPECT_EQ(cw_refuse(&report, -EIO, CLOOPW_R_UNREADABLE, "second"), -EIO);
    EXPECT_STREQ(report.text, "first");
    EXPECT_EQ(report.code, CLOOPW_R_DAMAGED);
}

TEST(CoreReport, NobodyNeedsToAskForTheReason) {
    EXPECT_EQ(cw_refuse(nullptr, -EINVAL, CLOOPW_R_DAMAGED, "first"), -EINVAL);
}

TEST(CoreReport, ALongReasonIsCut) {
    cw_report report = {};
    cw_refuse(&report, -EINVAL, CLOOPW_R_DAMAGED, "%s", std::string(1000, 'x').c_str());
    EXPECT_EQ(std::string(report.text), std::string(CW_REPORT_LEN - 1, 'x'));
}

TEST(CoreReport, SaysTheReasonOfAFile) {
    cw_report report = {};
    EXPECT_EQ(cw_refuse_file(&report, -EINVAL, CLOOPW_R_NOT_FROZEN, "a.cow"), -EINVAL);
    EXPECT_STREQ(report.text, "a.cow: is not frozen, so nothing can lie over it");
    EXPECT_EQ(report.code, CLOOPW_R_NOT_FROZEN);
}

/* Their numbers are the interface's: programs of other versions have them, too. */
TEST(CoreReport, ReasonsHaveNames) {
    EXPECT_EQ(CLOOPW_R_USERSPACE_CODEC, 43);
    EXPECT_EQ(CLOOPW_R_GROW_FAILED, 47);
    EXPECT_EQ(CLOOPW_R_RESET_FAILED, 49);
    EXPECT_STREQ(cw_reason_name(CLOOPW_R_TRUNCATED), "TRUNCATED");
    EXPECT_EQ(cw_reason_name(CLOOPW_R_NONE), nullptr);
    EXPECT_EQ(cw_reason_name(1u << 20), nullptr);
    EXPECT_EQ(cw_reason_by_name("no such"), CLOOPW_R_NONE);
    unsigned int code = 1;
    for (; cw_reason_name(code) != nullptr; code++) {
        EXPECT_EQ(cw_reason_by_name(cw_reason_name(code)), code);
    }
    EXPECT_EQ(code, CLOOPW_R_RESET_FAILED + 1u);
}

TEST(CoreReport, ErrorsHaveNames) {
    EXPECT_STREQ(cw_error_text(-EFBIG), "File too large");
    EXPECT_STREQ(cw_error_text(ENOSPC), "No space left on device");
    EXPECT_STREQ(cw_error_text(-99999), "Unknown error");
}

/* A name, and a text from a file, may end on a terminal. */
TEST(CoreReport, HasNoControlCharacters) {
    cw_report report = {};
    cw_refuse(&report, -EINVAL, CLOOPW_R_DAMAGED, "bad\n\x1b[2J\x7fname \xc3\xa9");
    EXPECT_STREQ(report.text, "bad??[2J?name \xc3\xa9");
}

}  // namespace
}  // namespace cloopw::test

// SPDX-License-Identifier: GPL-2.0
#include "lib/escape.h"

#include <gtest/gtest.h>

#include "lib/core.h"

/* The real one, without CaptureLog. */
extern "C" void __real_cw_log_bad(const char *fmt, ...);

namespace cloopw {
namespace {

TEST(Escape, TextStaysAsItIs) {
    for (const char *text : {"", "plain text", "Z\xc3\xbcrich", "\xe6\x97\xa5\xe6\x9c\xac",
                             "\xf0\x9f\x98\x80", "C:\\dir 'quoted' \"twice\""}) {
        EXPECT_EQ(escaped(text), text);
    }
}

TEST(Escape, ControlCharactersAreNamed) {
    EXPECT_EQ(escaped("a\nb\tc\rd"), "a\\nb\\tc\\rd");
    EXPECT_EQ(escaped("\x1b[2J\x07\x7f"), "\\x1b[2J\\x07\\x7f");
    EXPECT_EQ(escaped(std::string_view("\0", 1)), "\\x00");
    EXPECT_EQ(escaped("\xc2\x9b"
                      "2J\xc2\x85"),
              "\\u009b2J\\u0085");
}

TEST(Escape, WhatTheEngineSaysIsOneLine) {
    testing::internal::CaptureStderr();
    __real_cw_log_bad("%s: cannot be read (%d)", "a\nb\x1b[2J", 5);
    __real_cw_log_bad("%s", std::string(10000, 'x').c_str());
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(said, "a\\nb\\x1b[2J: cannot be read (5)\n" + std::string(8191, 'x') + "\n");
}

TEST(Escape, MarksOfDirectionAndFormatAreNamed) {
    EXPECT_EQ(escaped("exe.\xe2\x80\xaegnp"), "exe.\\u202egnp");
    EXPECT_EQ(escaped("\xe2\x80\xa8\xe2\x81\xa6\xef\xbb\xbf"), "\\u2028\\u2066\\ufeff");
    EXPECT_EQ(escaped("\xf3\xa0\x80\x81"), "\\U000e0001");
}

TEST(Escape, BytesThatAreNotUtf8AreNamed) {
    EXPECT_EQ(escaped("caf\xe9"), "caf\\xe9");             /* Latin-1 */
    EXPECT_EQ(escaped("\xc0\x9b"), "\\xc0\\x9b");          /* too long a form */
    EXPECT_EQ(escaped("\xe0\x80\x9b"), "\\xe0\\x80\\x9b"); /* too long a form */
    EXPECT_EQ(escaped("\xed\xa0\x80"), "\\xed\\xa0\\x80"); /* a surrogate */
    EXPECT_EQ(escaped("\xf4\x90\x80\x80x"), "\\xf4\\x90\\x80\\x80x");
    EXPECT_EQ(escaped("\xe2\x80"), "\\xe2\\x80"); /* cut off */
    EXPECT_EQ(escaped("\x9b"), "\\x9b");
}

}  // namespace
}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "lib/error_names.h"

#include <gtest/gtest.h>

namespace cloopw {
namespace {

TEST(ErrorNames, NumbersBecomeWords) {
    EXPECT_EQ(with_error_names("x: cannot be read (error 5)"),
              "x: cannot be read (Input/output error)");
    EXPECT_EQ(with_error_names("(error 27): a (error 28)"),
              "(File too large): a (No space left on device)");
}

TEST(ErrorNames, OtherTextStays) {
    for (const char *text : {"", "(error ", "(error x)", "(error 5", "(error -5)", "(error 0)",
                             "an (error )", "(error 99999999999)"}) {
        EXPECT_EQ(with_error_names(text), text);
    }
}

}  // namespace
}  // namespace cloopw

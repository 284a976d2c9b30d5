// SPDX-License-Identifier: GPL-2.0
/* Remedies go by the code of a refusal, and by errno only where a refusal has none. */
#include "lib/cow/refusal.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace cloopw::test {
namespace {

bool has(const std::string &text, const char *part) { return text.find(part) != std::string::npos; }

cloopw_reason reason_of(unsigned int code, const char *text) {
    cloopw_reason reason = {};
    reason.size = sizeof(reason);
    reason.code = code;
    strncpy(reason.text, text, sizeof(reason.text) - 1);
    return reason;
}

TEST(CowRefusal, TooManyLayersAreNoOtherVersion) {
    EXPECT_TRUE(has(remedy_of(CLOOPW_R_TOO_MANY_LAYERS, E2BIG), "mkcloopw --cow"));
    EXPECT_TRUE(has(remedy_of(CLOOPW_R_NONE, E2BIG), "different versions"));
}

TEST(CowRefusal, ACodeComesBeforeErrno) {
    EXPECT_TRUE(has(remedy_of(CLOOPW_R_READ_ONLY, EPERM), "without -r"));
    EXPECT_TRUE(has(remedy_of(CLOOPW_R_NONE, EPERM), "run this as root"));
}

TEST(CowRefusal, NoRemedyIsNoText) { EXPECT_EQ(remedy_of(CLOOPW_R_NONE, EIO), ""); }

TEST(CowRefusal, NamesTheDeviceWhereTheReasonNamesNoFile) {
    const Error named =
        refused("/dev/cloopw0", {"/a/image"}, reason_of(CLOOPW_R_NONE, "image: is bad"), -EINVAL);
    EXPECT_STREQ(named.what(), "image: is bad");
    const Error bare =
        refused("/dev/cloopw0", {"/a/image"}, reason_of(CLOOPW_R_NONE, "is bad"), -EINVAL);
    EXPECT_STREQ(bare.what(), "/dev/cloopw0: is bad");
    EXPECT_EQ(bare.err(), EINVAL);
}

TEST(CowRefusal, AnEmptyReasonIsTheErrno) {
    const Error silent = refused("/dev/cloopw0", {}, reason_of(CLOOPW_R_CHANGING, ""), EBUSY);
    EXPECT_TRUE(has(silent.what(), "/dev/cloopw0: "));
    EXPECT_TRUE(has(silent.what(), "; try again"));
    EXPECT_EQ(silent.code(), CLOOPW_R_CHANGING);
}

/* The kernel's text has no end of its own when it fills the field. */
TEST(CowRefusal, ATextWithoutAnEndIsBounded) {
    cloopw_reason reason = reason_of(CLOOPW_R_NONE, "");
    memset(reason.text, 'x', sizeof(reason.text));
    const Error full = refused("/dev/cloopw0", {}, reason, EIO);
    EXPECT_EQ(std::string(full.what()).size(), sizeof(reason.text) + strlen("/dev/cloopw0: "));
}

}  // namespace
}  // namespace cloopw::test

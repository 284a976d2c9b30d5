// SPDX-License-Identifier: GPL-2.0
#include "lib/port/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "support/data.h"

namespace cloopw::test {
namespace {

/* RFC 3720, appendix B.4 */
TEST(Crc32c, KnownValues) {
    Bytes zeros(32, 0);
    Bytes ones(32, 0xff);
    Bytes up(32);
    for (size_t i = 0; i < up.size(); i++) {
        up[i] = static_cast<u8>(i);
    }
    std::string digits = "123456789";
    EXPECT_EQ(cw_crc32c(zeros.data(), zeros.size()), 0x8a9136aau);
    EXPECT_EQ(cw_crc32c(ones.data(), ones.size()), 0x62a8ab43u);
    EXPECT_EQ(cw_crc32c(up.data(), up.size()), 0x46dd794eu);
    EXPECT_EQ(cw_crc32c(digits.data(), digits.size()), 0xe3069283u);
    EXPECT_EQ(cw_crc32c(nullptr, 0), 0u);
}

TEST(Crc32c, TablesAgreeWithTheInstruction) {
    Bytes bytes = random_bytes(1000);
    for (size_t len = 0; len < 100; len++) {
        for (size_t off = 0; off < 9; off++) {
            EXPECT_EQ(cw_crc32c(bytes.data() + off, len),
                      cw_crc32c_tables(bytes.data() + off, len));
        }
    }
    EXPECT_EQ(cw_crc32c(bytes.data(), 1000), cw_crc32c_tables(bytes.data(), 1000));
}

}  // namespace
}  // namespace cloopw::test

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_UUID_H
#define CLOOPW_LIB_UUID_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace cloopw {

using Uuid = std::array<uint8_t, 16>; /* zeros: none */

/* A random UUID, version 4. Throws Error without random numbers. */
Uuid random_uuid();

/* "0b7a6c5e-...": 16 bytes as a UUID; empty for all zeros. */
std::string format_uuid(const uint8_t *uuid);
/* The same, but zeros are written out. */
std::string uuid_text(const Uuid &uuid);
/* False: the text is not a UUID. */
bool parse_uuid(std::string_view text, uint8_t *uuid);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers of bytes as people write and read them. */
#ifndef CLOOPW_LIB_SIZE_H
#define CLOOPW_LIB_SIZE_H

#include <cstdint>
#include <string>
#include <string_view>

namespace cloopw {

/*
 * Parses a number of bytes. "4096", "64K", "64KiB", "1M", "2G", "1T", "1P" are powers of
 * 1024, in upper or lower case. "64KB", "1MB".. are powers of 1000, like for losetup.
 * Throws UsageError that names what ("--block-size") and the text.
 */
uint64_t parse_size(std::string_view text, std::string_view what);

/* "512 B", "64.0 KiB", "1.5 GiB" */
std::string format_size(uint64_t bytes);

/* The shortest text that parse_size reads back: "64K", "1M", "4097" */
std::string exact_size(uint64_t bytes);

}  // namespace cloopw

#endif

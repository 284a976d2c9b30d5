/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_COW_COW_HEADER_H
#define CLOOPW_COW_COW_HEADER_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace cloopw {

/* Writes a part of the header of a new COW. name is for messages. Throws Error. */
void write_cow_header(int fd, const std::string &name, const void *bytes, size_t len,
                      uint64_t off = 0);

}  // namespace cloopw

#endif

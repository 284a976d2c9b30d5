/* SPDX-License-Identifier: GPL-2.0 */
/* The structures of a file in words: superblocks, index, map, records. */
#ifndef CLOOPW_CLOOPWCK_DUMP_H
#define CLOOPW_CLOOPWCK_DUMP_H

#include <ostream>
#include <string>

#include "lib/check/check.h"

namespace cloopw {

/*
 * Prints the readable part of damaged structures, too. format: an image's; empty: probe.
 * Throws Error for a file that cannot be opened.
 */
void dump_image(std::ostream &out, const std::string &path, const std::string &format,
                const CheckOptions &options);
void dump_cow(std::ostream &out, const std::string &path, const CheckOptions &options);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a header names is a hint of whoever wrote the medium, and no more. It is looked
 * for beside the file that names it and nowhere else.
 */
#ifndef CLOOPW_LIB_HINT_H
#define CLOOPW_LIB_HINT_H

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/* The directory of the file, and that of what it is a link to, if that is another. */
std::vector<std::filesystem::path> hint_directories(const std::string &file);

/* Where that may be which the header of the file calls so: there, by its last name. */
std::vector<std::filesystem::path> hint_places(const std::string &file, const std::string &hint);

/*
 * Opens for reading, if it is a regular file or a block device; nullopt: it is not, or
 * cannot be. A link is followed to a block device only. Nothing else is ever opened, as
 * that may wait for ever, or do something.
 */
std::optional<Io> open_hint(const std::filesystem::path &path);

}  // namespace cloopw

#endif

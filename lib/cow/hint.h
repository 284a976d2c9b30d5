/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A name in a header is only a hint of the medium's author. The tools look for it beside
 * the file that names it, and nowhere else.
 */
#ifndef CLOOPW_LIB_HINT_H
#define CLOOPW_LIB_HINT_H

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/* The directory of the file. If the file is a link, also the directory of its target. */
std::vector<std::filesystem::path> hint_directories(const std::string &file);

/*
 * The places where the file may be that a header calls so: its last name, in those
 * directories.
 */
std::vector<std::filesystem::path> hint_places(const std::string &file, const std::string &hint);

/*
 * Opens a regular file or a block device for reading. nullopt: it is neither, or cannot be
 * opened. It follows a link to a block device only. It never opens another kind of file,
 * because the open may wait for ever, or do something.
 */
std::optional<Io> open_hint(const std::filesystem::path &path);

}  // namespace cloopw

#endif

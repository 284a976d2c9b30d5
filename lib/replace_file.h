/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_REPLACE_FILE_H
#define CLOOPW_LIB_REPLACE_FILE_H

#include <sys/types.h>

#include <string>

namespace cloopw {

/*
 * Puts a file of this text and mode in the place of path. A reader finds the old file or all
 * of the new one. A power cut may lose both. Throws Error.
 */
void replace_file(const std::string &path, const std::string &text, mode_t mode);

}  // namespace cloopw

#endif

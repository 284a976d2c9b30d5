/* SPDX-License-Identifier: GPL-2.0 */
/* Throws the content of a COW file away that is not attached. */
#ifndef CLOOPW_COW_RESET_H
#define CLOOPW_COW_RESET_H

#include <string>

namespace cloopw {

/*
 * Throws Error for a COW file that can hold no fewer changes: it is frozen, or its format
 * cannot be reset.
 */
void want_resettable(const std::string &path);

/*
 * The file stays, with its name, size and settings, and holds nothing. That is durable on
 * return; a power cut leaves all of the content or none. Throws Error, also for a file
 * that others use.
 */
void reset_cow_file(const std::string &path);

}  // namespace cloopw

#endif

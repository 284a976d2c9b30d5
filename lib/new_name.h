/* SPDX-License-Identifier: GPL-2.0 */
/* A file gets a name that nobody else may have got meanwhile. */
#ifndef CLOOPW_LIB_NEW_NAME_H
#define CLOOPW_LIB_NEW_NAME_H

#include <string>

namespace cloopw {

/*
 * Renames from to a name that does not exist: 0, or errno; EEXIST when it does.
 * NFS, ntfs-3g, exFAT by FUSE and others cannot check that in the rename itself:
 * there a hard link does, and where there are none, a look just before.
 */
int rename_to_new(const std::string &from, const std::string &to);

/* The ways that are left where the kernel or the file system has no RENAME_NOREPLACE. */
int rename_to_new_by_link(const std::string &from, const std::string &to);

}  // namespace cloopw

#endif

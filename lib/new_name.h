/* SPDX-License-Identifier: GPL-2.0 */
/* Gives a file a name that no other file has got meanwhile. */
#ifndef CLOOPW_LIB_NEW_NAME_H
#define CLOOPW_LIB_NEW_NAME_H

#include <string>

namespace cloopw {

/*
 * Renames from to a name that does not exist. Returns 0 or errno; EEXIST: the name exists.
 * NFS, ntfs-3g, exFAT by FUSE and others cannot check that in the rename itself. There a
 * hard link checks it. Without hard links, a look just before does.
 */
int rename_to_new(const std::string &from, const std::string &to);

/* The other ways, for a kernel or file system without RENAME_NOREPLACE. */
int rename_to_new_by_link(const std::string &from, const std::string &to);

}  // namespace cloopw

#endif

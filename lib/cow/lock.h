/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The writer of a COW file has it alone, in all programs. That takes locks of the open file
 * (F_OFD_SETLK), like QEMU's on images. The driver keeps its descriptor open until the
 * detach, and so the lock.
 */
#ifndef CLOOPW_LIB_COW_LOCK_H
#define CLOOPW_LIB_COW_LOCK_H

#include <string>

namespace cloopw {

/*
 * Locks the open file behind fd until its last descriptor is closed: exclusively for
 * writing, or shared for reading.
 *
 * Throws Error that names the holder, if that is known. It first gives the holder a moment
 * to end. Reading a frozen layer needs no lock: nobody writes it any more, though a device
 * may still hold its old lock. On a file system without locks there are none. Error also
 * for writing, when the file does not have this name any more.
 */
void lock_cow(int fd, const std::string &name, bool writable);

/*
 * Takes the lock for writing, without a wait; false: another has it. True on a file system
 * without locks.
 */
bool is_locked_alone(int fd);

/* Is the open file the file of this name? */
bool has_name(int fd, const std::string &name);

/*
 * Removes the name of a file that its maker takes back. False: another file has the name by
 * now, or others use the file, which stays. fd is open for writing.
 */
bool remove_unused(int fd, const std::string &name);

}  // namespace cloopw

#endif

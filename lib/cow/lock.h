/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who writes a COW file has it alone, in all programs: locks of the open file
 * (F_OFD_SETLK), as QEMU takes them on images. The driver keeps the descriptor
 * it was given open, and so its lock, until the device is detached.
 */
#ifndef CLOOPW_LIB_COW_LOCK_H
#define CLOOPW_LIB_COW_LOCK_H

#include <string>

namespace cloopw {

/*
 * For as long as what fd has opened stays open: to write it, or to read it,
 * which several may do at once. Throws Error that says who has it, as far as
 * that can be told. A frozen layer is read without regard to a lock: nobody
 * writes it any more, though a device may have a lock on it from when it did.
 * On a file system without locks there are none. Another that has it is given a
 * moment to end. One to write that has not this name any more is refused.
 */
void lock_cow(int fd, const std::string &name, bool writable);

/* Locks it to write, if nobody else has it at this moment. */
bool is_locked_alone(int fd);

/* Is what is open the file of this name? */
bool has_name(int fd, const std::string &name);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_OPEN_DATA_H
#define CLOOPW_LIB_OPEN_DATA_H

#include <string>

namespace cloopw {

/*
 * Opens a regular file or a block device with flags of open(), and O_CLOEXEC. Returns the
 * descriptor, or -1 with errno. EISDIR: it is a directory; EINVAL: another kind of file.
 *
 * It never opens another kind of file, even if the name gets another file meanwhile. Such
 * an open may wait for ever, or do something.
 */
int open_data(const std::string &path, int flags);

}  // namespace cloopw

#endif

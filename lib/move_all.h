/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_MOVE_ALL_H
#define CLOOPW_LIB_MOVE_ALL_H

#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace cloopw {

/* Moves all of it: 0 or -errno; -EIO at the end of the file. Call is pread or pwrite. */
template <typename Call, typename Buffer>
int move_all(Call call, int fd, Buffer *buf, size_t len, uint64_t at) {
    size_t done = 0;
    while (done < len) {
        const ssize_t n = call(fd, buf + done, len - done, static_cast<off_t>(at + done));
        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            return n < 0 ? -errno : -EIO;
        }
        done += n > 0 ? static_cast<size_t>(n) : 0;
    }
    return 0;
}

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Throws the content of a COW file away after the detach. */
#ifndef CLOOPW_COW_RESET_H
#define CLOOPW_COW_RESET_H

#include <string>

#include "lib/fd.h"

namespace cloopw {

/*
 * The COW file that a device writes to, for a reset after the detach. Opened before, so
 * that it stays the same file.
 */
class AttachedCow {
public:
    /*
     * Throws Error for a file that nobody has locked. Also for one that cannot be reset: it
     * is frozen, or has another format.
     */
    explicit AttachedCow(const std::string &path);

    /*
     * The file stays, with its name, size and settings, and holds nothing. That is durable
     * on return; a power cut leaves all of the content or none. Throws Error, also for a
     * file that others still use: it was not the device's.
     */
    void reset() const;

private:
    std::string path_;
    Fd fd_;
};

}  // namespace cloopw

#endif

// SPDX-License-Identifier: GPL-2.0
#include "repair.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "lib/check/log_scan.h"
#include "lib/cow/lock.h"
#include "lib/file_kind.h"

namespace cloopw {

namespace {

/*
 * Makes the damaged copy a copy of the sound one, with the same number, so an attach may
 * take either. The sound one stays unchanged. So a crash on the way changes nothing.
 */
void rewrite_super(const Io &io, const LogSupers &checked) {
    const LogSupers supers = read_log_supers(io.get());
    if (!supers.any() || supers.state != checked.state ||
        memcmp(&supers.best(), &checked.best(), sizeof(cw_disk_log_super)) != 0) {
        throw Error(std::string(io.name()) + ": has changed since it was checked; check it again");
    }
    for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
        if (supers.state[slot] != LogSupers::Copy::kSound) {
            io.write(&supers.best(), sizeof(cw_disk_log_super), u64{slot} * CW_LOG_SUPER_STRIDE);
        }
    }
    io.flush();
}

/* Refuses a device that is mounted, in use as swap, or below another device. */
Io open_alone(const std::string &path) {
    struct stat st = {};
    const bool device = stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode);
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (device ? O_EXCL : 0));
    if (fd < 0) {
        throw io_error(path, "cannot be repaired", errno,
                       errno == EBUSY ? "it is mounted, or in use by another device" : "");
    }
    return Io::adopt(fd, path);
}

/* Another content over the superblock may be the present use of the disk. */
void refuse_other_content(const Io &io) {
    const std::string found = disk_signature(io);
    if (!found.empty()) {
        throw Error(std::string(io.name()) + ": shows " + found +
                        " by now, which may be in use, and is left as it is; if that is a "
                        "mistake, 'wipefs' removes it, and --salvage takes what is left of the "
                        "COW file in any case",
                    EBUSY);
    }
}

}  // namespace

void repair_file(FileReport *report) {
    bool needed = false;
    for (const Finding &finding : report->findings.all()) {
        needed = needed || finding.repairable;
    }
    if (!needed) {
        return;
    }
    Io io = open_alone(report->path);
    lock_cow(io.fd(), io.name(), true);
    refuse_other_content(io);
    rewrite_super(io, report->supers);
    for (Finding &finding : report->findings.all()) {
        finding.repaired = finding.repairable;
    }
}

}  // namespace cloopw

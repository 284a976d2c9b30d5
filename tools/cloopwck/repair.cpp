// SPDX-License-Identifier: GPL-2.0
#include "repair.h"

#include <cstring>

#include "lib/cow_lock.h"
#include "lib/log_scan.h"

namespace cloopw {

namespace {

/*
 * The damaged copy becomes what the sound one is, with the same number: an
 * attach takes either for the same. The sound one is not touched, so a crash
 * on the way leaves what there was before.
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

}  // namespace

void repair_file(FileReport *report) {
    bool needed = false;
    for (const Finding &finding : report->findings.all()) {
        needed = needed || finding.repairable;
    }
    if (!needed) {
        return;
    }
    Io io = Io::open(report->path, Io::Mode::kReadWrite);
    lock_cow(io.fd(), io.name(), true);
    rewrite_super(io, report->supers);
    for (Finding &finding : report->findings.all()) {
        finding.repaired = finding.repairable;
    }
}

}  // namespace cloopw

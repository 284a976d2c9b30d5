// SPDX-License-Identifier: GPL-2.0
/* User-mode Linux's COW files of all versions. */
#include "cow_check.h"

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    cw_log_bad_quiet(true);
    cloopw::Io io = cloopw::Io::memory("uml", std::vector<u8>(data, data + size));
    cloopw::OpenedCow cow(io.get());
    if (!cow.refusal().empty() || cow.is_log()) {
        return 0;
    }
    cloopw::CheckOptions options;
    cloopw::Findings findings;
    (void)cloopw::check_uml(cow, options, findings);
    return 0;
}

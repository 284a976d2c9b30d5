/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a COW log ends for recovery that begins with a superblock, and which
 * records are there all the same. docs/cow-log.md, "Without a map", says what
 * these mean.
 */
#ifndef CLOOPW_LIB_LOG_END_H
#define CLOOPW_LIB_LOG_END_H

#include <vector>

#include "lib/core.h"

namespace cloopw {

struct PageRange {
    u64 page;
    u64 pages;
};

struct LogEnd {
    u64 next_seq = 0;        /* of the first record that the superblock does not lead to */
    u64 behind = 0;          /* records that it does not lead to */
    u64 newer = 0;           /* of these: such as only a later superblock can have allowed */
    bool torn = false;       /* the record at the end is there, but not all of it */
    bool cut = false;        /* where the log begins or goes on, there is nothing to be read */
    bool unreadable = false; /* so is some segment, which may be of the log */
    /* What those that are there changed; what is missing is not known. */
    std::vector<PageRange> pages;

    /* Do all records that there were since count? lost_copy: of the superblock. */
    bool leads_to_all(bool lost_copy) const {
        return newer == 0 && (!lost_copy || (behind == 0 && !cut && !unreadable));
    }
    /* All that there is of the log counts. */
    bool is_clean() const { return behind == 0 && !torn && !cut; }
};

/* Reads the log, and the first sector of each segment. */
LogEnd find_log_end(cw_io &io, const cw_disk_log_super &super);

}  // namespace cloopw

#endif

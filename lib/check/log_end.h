/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The end of a COW log in recovery from one superblock, and the records that are there all
 * the same. docs/explain/cow-log.md, "Without a map", says what they mean.
 */
#ifndef CLOOPW_LIB_LOG_END_H
#define CLOOPW_LIB_LOG_END_H

#include <vector>

#include "lib/core.h"
#include "log_scan.h"

namespace cloopw {

struct PageRange {
    u64 page;
    u64 pages;
};

struct LogEnd {
    u64 next_seq = 0;        /* number of the first record that the superblock does not lead to */
    u64 behind = 0;          /* records that it does not lead to */
    u64 newer = 0;           /* records of these that only a later superblock can have allowed */
    bool torn = false;       /* the record at the end is there in part */
    bool lost_begin = false; /* nothing can be read where the log begins */
    Readable last = Readable::kAll; /* the segment where the log ends */
    Readable all = Readable::kAll;  /* the worst of those that may be the log's */
    /* The ranges that the records behind the end changed. Missing records are unknown. */
    std::vector<PageRange> pages;

    /*
     * Does the log contain every record that ever counted? lost_copy: a superblock is lost.
     */
    bool leads_to_all(bool lost_copy) const {
        return newer == 0 && (!lost_copy || (behind == 0 && !is_cut() && all == Readable::kAll));
    }
    /* True when all records of the log count. */
    bool is_clean() const { return behind == 0 && !torn && !is_cut(); }
    /* Nothing can be read where the log begins or goes on. */
    bool is_cut() const { return lost_begin || last != Readable::kAll; }
};

/* Reads the log, and the first sector of each segment. */
LogEnd find_log_end(cw_io &io, const cw_disk_log_super &super);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rebuilds the map of a COW log from its segments, when the superblock's map is lost.
 * docs/explain/cow-log.md, "Without a map", says why the result is right, and where it cannot be.
 */
#ifndef CLOOPW_LIB_LOG_REBUILD_H
#define CLOOPW_LIB_LOG_REBUILD_H

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "check.h"
#include "cow_check.h"
#include "log_scan.h"

namespace cloopw {

class LogRebuild {
public:
    /* How much is known of a page of the map. */
    enum class Basis {
        kCheckpoint, /* the checkpoint's own page, and all records since */
        kLog,        /* an older page or none, and the remaining records */
    };

    /* How far to trust the input. */
    struct Trust {
        bool super = true;      /* the newest sound superblock is the newest one ever */
        bool past_gaps = false; /* records behind a gap count, too */
    };

    /* Borrows io and options. */
    LogRebuild(cw_io &io, u64 device_bytes, const LogSupers &supers, Trust trust,
               const CheckOptions &options);

    /*
     * Visits all pages of the map that have or may have entries, by number; `wanted` limits
     * them unless it is NULL. Reads the segments once for each 16 GiB of the device that
     * the log holds.
     */
    void pages(const std::set<u32> *wanted,
               const std::function<void(u32 n, const u64 *entries, Basis basis)> &visit);

    /* Generation of the segment to which an entry leads. */
    u64 gen_at(u64 sector) const;

    /* Records that the rebuild could not use. Valid after pages(). */
    u64 missing_records() const { return missing_; } /* among others */
    u64 dropped_records() const { return dropped_; } /* behind the end */
    /* Segments of another log, which was on this device before. */
    u64 foreign_segments() const { return foreign_; }
    /* True when all pages that lead to the map's are sound, so none is missed. */
    bool is_complete() const { return super_ != nullptr && tree_complete_; }

private:
    /* A page contains all records before this position. */
    struct Position {
        u64 gen = 0;
        u64 seq = 0;
    };
    struct Gens {
        u64 begin;
        u64 end;

        bool has(u64 gen) const { return gen >= begin && gen < end; }
    };
    struct Candidate {
        u64 word = 0;
        Position since;
    };
    struct Page {
        u64 word[CW_LOG_FANOUT] = {};
        u64 touched[CW_LOG_FANOUT] = {}; /* generation of the last change */
        Position since;
        bool complete = false; /* all records before that position are in it */
        Basis basis = Basis::kLog;
    };
    using Window = std::map<u32, std::unique_ptr<Page>>;

    static Gens own_gens(LogScan &scan, const LogSupers &supers);
    void survey();
    void survey_meta();
    void survey_record(const LogRecordAt &at);
    void order_segments();
    void walk_tree();
    bool walk_array(cw_log_meta kind, const std::vector<u64> &words, std::vector<u64> *below);
    void set_ends();
    void replay(Window *window);
    bool continues(const LogRecordAt &at);
    void apply(Window *window, const LogRecordAt &at);
    void apply_to(Page *page, u32 slot, const LogRecordAt &at, u32 i) const;
    Page *page_for(Window *window, u32 n) const;
    void fill_base(u32 n, Page *page);

    const u64 device_pages_;
    const cw_disk_log_super *super_; /* NULL: there is no trusted one */
    const bool past_gaps_;
    const CheckOptions &options_;
    LogScan scan_;
    LogRecordReader reader_;
    const Gens gens_; /* other generations are another log's */

    std::vector<LogSegmentInfo> info_;
    u64 foreign_ = 0;
    std::vector<u32> order_; /* segments of data, in the log's order */
    /* [order_]: records of this number or more were given up */
    std::vector<u64> end_;
    std::map<u32, Candidate> candidates_; /* the newest sound map page, by number */
    std::map<u32, u64> tree_;             /* map pages to which the checkpoint leads */
    bool tree_complete_ = false;          /* all pages that lead to the map's are sound */
    std::set<u32> touched_;               /* map pages that records change */
    Position checkpoint_;
    u64 strict_gen_ = 0; /* from this generation on, the first gap ends the log */
    u64 expected_ = 0;
    bool ended_ = false;
    u64 missing_ = 0;
    u64 dropped_ = 0;
};

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The map of a COW log from what the segments hold, for when the one that the
 * superblock leads to is lost. docs/cow-log.md, "Without a map", says why it
 * is right, and where it cannot be.
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
        kLog,        /* an older page or none, and the records that are left */
    };

    /* What to make of what there is. */
    struct Trust {
        bool super = true;      /* the newest sound superblock is the newest there was */
        bool past_gaps = false; /* records behind a gap count, too */
    };

    LogRebuild(cw_io &io, u64 device_bytes, const LogSupers &supers, Trust trust,
               const CheckOptions &options);

    /*
     * All pages of the map that have or may have entries, by number; only
     * those of `wanted` unless it is NULL. Reads the segments once for each 16
     * GiB of the device that the log has something of.
     */
    void pages(const std::set<u32> *wanted,
               const std::function<void(u32 n, const u64 *entries, Basis basis)> &visit);

    /* Generation of what is in the segment that an entry leads to. */
    u64 gen_at(u64 sector) const;

    /* Not to be told from the records there are. After pages(). */
    u64 missing_records() const { return missing_; } /* in the midst of others */
    u64 dropped_records() const { return dropped_; } /* behind the end */
    /* Segments of another log, which was on this device before. */
    u64 foreign_segments() const { return foreign_; }
    /* All pages that lead to those of the map are sound: none has been missed. */
    bool is_complete() const { return super_ != nullptr && tree_complete_; }

private:
    /* All records before this one are in the page. */
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
        bool complete = false; /* all that was there at that position is known */
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
    const cw_disk_log_super *super_; /* NULL: there is none that can be trusted */
    const bool past_gaps_;
    const CheckOptions &options_;
    LogScan scan_;
    LogRecordReader reader_;
    const Gens gens_; /* others are of another log */

    std::vector<LogSegmentInfo> info_;
    u64 foreign_ = 0;
    std::vector<u32> order_;              /* segments of data, as the log filled them */
    std::vector<u64> end_;                /* [order_]: what has this number or more was given up */
    std::map<u32, Candidate> candidates_; /* the newest sound page of the map, by number */
    std::map<u32, u64> tree_;             /* pages that the checkpoint leads to */
    bool tree_complete_ = false;          /* all pages that lead to the map's are sound */
    std::set<u32> touched_;               /* pages of the map that records speak of */
    Position checkpoint_;
    u64 strict_gen_ = 0; /* from here on the log ends at the first gap */
    u64 expected_ = 0;
    bool ended_ = false;
    u64 missing_ = 0;
    u64 dropped_ = 0;
};

}  // namespace cloopw

#endif

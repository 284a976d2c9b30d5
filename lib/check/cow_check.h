/* SPDX-License-Identifier: GPL-2.0 */
/* Checks one COW file of any format. It does not need the file below. */
#ifndef CLOOPW_LIB_COW_CHECK_H
#define CLOOPW_LIB_COW_CHECK_H

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "check.h"
#include "lib/cloopw.h"
#include "log_end.h"
#include "log_scan.h"

extern "C" {
#include "log/log_view.h"
}

namespace cloopw {

/* A COW file, opened over an invented base that fits it. The io is borrowed. */
class OpenedCow {
public:
    explicit OpenedCow(cw_io &io, bool writable = false);

    /* Why it could not be opened, without the file's name; empty: it is open. */
    const std::string &refusal() const { return refusal_; }
    unsigned int code() const { return code_; } /* like Error::code() */
    cw_cow &get() const { return *cow_; }
    const cw_cow_identity &identity() const { return *id_; }
    bool is_log() const { return cow_->format == &cw_cow_log; }
    /* For a log only: its counts; a segment, nullopt: it is out of the file. */
    cw_log_view view() const;
    std::optional<cw_log_segment_view> segment(u32 n) const;
    /*
     * The entries of map page n of a log. 1: they are there; 0: nothing in its range was
     * ever written; -EIO: the page is damaged.
     */
    int map_page(u32 n, std::array<u64, CW_LOG_FANOUT> &entries) const;

private:
    std::unique_ptr<cw_cow_identity> id_;
    std::unique_ptr<cw_cache, CDeleter<cw_cache_destroy>> cache_;
    std::unique_ptr<cw_cow, CDeleter<cw_cow_close>> cow_;
    std::string refusal_;
    unsigned int code_ = 0;
};

struct CowTotals {
    u64 plain_bytes = 0; /* bytes of the device that the file holds */
    u64 bad_bytes = 0;   /* bytes of these that cannot be read */
};

/* Pages of one record, side by side on the device, by the map; or pages of zeros. */
struct LogRun {
    u64 page;
    u32 pages;
    log_entry entry; /* the first page's entry */
    u64 gen;         /* generation that the record must have */
};

/* Splits a page of the map into runs. Absent pages are in none. */
std::vector<LogRun> runs_of(u64 first_page, const u64 *entries, u64 device_pages);

/* Reads records from a log by the map's entries. */
class LogRecordReader {
public:
    explicit LogRecordReader(cw_io &io);
    ~LogRecordReader();
    LogRecordReader(const LogRecordReader &) = delete;
    LogRecordReader &operator=(const LogRecordReader &) = delete;

    using GoodRun = std::function<void(const LogRun &run, const u8 *bytes)>;
    using BadRun = std::function<void(const LogRun &run, const std::string &why)>;

    /*
     * Returns the run's pages, one behind the other, until the next call. nullptr: they
     * cannot be read, and *why says the reason.
     */
    const u8 *read(const LogRun &run, std::string *why);
    /* The same; reads uncompressed pages one by one. */
    void read_all(const LogRun &run, const GoodRun &good, const BadRun &bad);
    /* Reads the 512 entries of a map page. False: the page is damaged, or another one. */
    bool read_meta(u64 word, cw_log_meta kind, u64 number, u64 *entries);
    bool decode_meta(const LogRecordAt &at, u64 *entries);

private:
    bool load(const LogRun &run, u32 len);
    bool is_sound(const LogRun &run, const log_record &record) const;

    cw_io &io_;
    cw_workspace_pool pool_{};
    cw_workspace *ws_ = nullptr;
};

/* Reports on the copies of a log's superblock. */
void check_log_supers(const LogSupers &supers, Findings &findings);

/* Checks the map, every record that it leads to, and the usage of the segments. */
CowTotals check_log(OpenedCow &cow, const CheckOptions &options, Findings &findings);

/*
 * Names the ranges that records behind the end changed as doubtful; size: bytes of the
 * device.
 */
void doubt_end(const LogEnd &end, u64 size, const std::string &text, Findings &findings);

/* Reports on the records to which the superblock does not lead. */
void check_log_end(const LogEnd &end, const LogSupers &supers, Findings &findings);

/* Checks that every sector with a set bit can be read. */
CowTotals check_uml(OpenedCow &cow, const CheckOptions &options, Findings &findings);

}  // namespace cloopw

#endif

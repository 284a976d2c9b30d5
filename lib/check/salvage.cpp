// SPDX-License-Identifier: GPL-2.0
#include "salvage.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <set>

#include "lib/holes.h"
#include "lib/image/image_writer.h"
#include "log_rebuild.h"

namespace cloopw {

namespace {

constexpr u64 kCacheBytes = u64{4} << 20;
constexpr u32 kChunk = 1u << 20;

/* A new log, written through the engine. */
class NewLog {
public:
    NewLog(const Io &out, const LogCowConfig &config)
        : out_(out), config_(config), cache_(cw_cache_create(kCacheBytes)) {
        if (!cache_) {
            throw std::bad_alloc();
        }
        /* Another order of records may need more room for a while. */
        LogCowConfig unlimited = config;
        unlimited.limit = 0;
        write_log_cow(out.fd(), out.name(), unlimited);
        cw_cow_base base = {};
        base.size = config.base_size != 0 ? config.base_size : config.size;
        base.name = config.parent.c_str();
        base.is_layer = config.over_layer;
        std::copy(config.base_uuid.begin(), config.base_uuid.end(), base.uuid);
        cw_report report = {};
        cw_cow *cow = nullptr;
        int err = cw_cow_open(&out.get(), cache_.get(), true, &base, &cow, &report);
        if (err != 0) {
            throw error_of(report, err, out.name(), "cannot be written");
        }
        cow_.reset(cow);
    }

    void write(u64 page, u32 pages, const u8 *bytes) {
        check(cow_->format->write(cow_.get(), page * CW_PAGE_SIZE, pages * CW_PAGE_SIZE, bytes));
    }
    void zero(u64 page, u32 pages) {
        check(cow_->format->zero(cow_.get(), page * CW_PAGE_SIZE, u64{pages} * CW_PAGE_SIZE));
    }
    /* False: the content needs more. */
    bool set_limit() {
        if (config_.limit == 0) {
            return true;
        }
        const int err = cow_->format->set_limit(cow_.get(), config_.limit);
        check(err == -ENOSPC ? 0 : err);
        return err == 0;
    }
    void finish(bool frozen) {
        check(cow_->format->flush(cow_.get()));
        if (frozen) {
            check(cow_->format->freeze(cow_.get(), config_.uuid.data()));
        }
        cow_.reset();
        out_.flush();
    }

private:
    void check(int err) const {
        if (err != 0) {
            throw io_error(out_.name(), "cannot be written", err);
        }
    }

    const Io &out_;
    const LogCowConfig &config_;
    std::unique_ptr<cw_cache, CDeleter<cw_cache_destroy>> cache_;
    std::unique_ptr<cw_cow, CDeleter<cw_cow_close>> cow_;
};

class LogSalvage {
public:
    LogSalvage(cw_io &io, const Io &out, const LogCowConfig &config, const CheckOptions &options)
        : io_(io),
          device_bytes_(config.size),
          options_(options),
          reader_(io),
          new_log_(out, config) {}

    SalvageResult run(const LogSalvageOptions &how) {
        const LogSupers supers = read_log_supers(io_);
        LogRebuild::Trust trust = {true, how.past_gaps};
        if (supers.any()) {
            const LogEnd end = find_log_end(io_, supers.best());
            trust.super = end.leads_to_all(supers.lost_copy());
            doubt_end(end, trust);
        }
        OpenedCow cow(io_);
        const bool is_open = cow.refusal().empty() && cow.is_log();
        if (is_open && trust.super && !trust.past_gaps) {
            copy_opened(cow, supers);
        } else {
            result_.findings.note("map",
                                  "rebuilt from the log" + (is_open ? "" : ": " + cow.refusal()));
            copy_rebuilt(nullptr, supers, trust);
        }
        if (!how.frozen && !new_log_.set_limit()) {
            result_.findings.note("log", "has no limit: its content needs more than the old one");
        }
        new_log_.finish(how.frozen);
        doubt_all_if(result_.findings.left_out() != 0, "what was left out of this list");
        return std::move(result_);
    }

private:
    void doubt_all_if(bool doubtful, const std::string &text) {
        if (doubtful) {
            result_.findings.doubt("log", text, {0, device_bytes_});
        }
    }

    /* Names the ranges of records that are not used, or that may be from after a gap. */
    void doubt_end(const LogEnd &end, const LogRebuild::Trust &trust) {
        const std::string text =
            trust.past_gaps
                ? "changed by records behind a gap in the log, which are used: may be newer "
                  "than what was before the gap"
                : "changed by records that recovery does not use, since one before them is not "
                  "complete: may be older than what was there; --past-gaps uses them";
        if (trust.super && !end.is_clean()) { /* else all is doubtful, or nothing */
            cloopw::doubt_end(end, device_bytes_, text, result_.findings);
        }
    }

    void copy_opened(OpenedCow &cow, const LogSupers &supers) {
        const u32 map_pages = cow.view().map_pages;
        std::array<u64, CW_LOG_FANOUT> entries{};
        std::set<u32> damaged;
        for (u32 n = 0; n < map_pages; n++) {
            const int found = cow.map_page(n, entries);
            if (found < 0) {
                damaged.insert(n);
            } else if (found > 0) {
                copy_page(n, entries.data(), [&](u64 sector) {
                    const auto segment = cow.segment(cw_log_segment_of(sector));
                    return segment ? segment->gen : 0;
                });
            }
        }
        if (!damaged.empty()) {
            result_.findings.note("map", std::to_string(damaged.size()) +
                                             " damaged pages of the map rebuilt from the log");
            copy_rebuilt(&damaged, supers, {});
        }
    }

    void copy_rebuilt(const std::set<u32> *wanted, const LogSupers &supers,
                      const LogRebuild::Trust &trust) {
        LogRebuild rebuild(io_, device_bytes_, supers, trust, options_);
        rebuild.pages(wanted, [&](u32 n, const u64 *entries, LogRebuild::Basis basis) {
            copy_page(n, entries, [&](u64 sector) { return rebuild.gen_at(sector); });
            if (basis == LogRebuild::Basis::kLog) {
                ByteRange range = range_of(u64{n} * CW_LOG_FANOUT, CW_LOG_FANOUT);
                result_.findings.doubt("map",
                                       "rebuilt from the records that are left: a range "
                                       "that was discarded or zeroed long ago may show "
                                       "older data",
                                       range);
            }
        });
        doubt_all_if(!rebuild.is_complete(),
                     "nothing that is whole leads to all records: where one is gone, what was "
                     "there before it is shown");
        if (rebuild.missing_records() != 0) {
            result_.findings.error("log", std::to_string(rebuild.missing_records()) +
                                              " records among the others are missing: where they "
                                              "wrote, what was there before them is shown");
        }
        if (rebuild.foreign_segments() != 0) {
            result_.findings.note("log", std::to_string(rebuild.foreign_segments()) +
                                             " segments are of another log and are left out");
        }
        if (rebuild.dropped_records() != 0) {
            result_.findings.note("log", std::to_string(rebuild.dropped_records()) +
                                             " records behind the end of the log are not used; "
                                             "--past-gaps uses them");
        }
    }

    template <typename GenAt>
    void copy_page(u32 n, const u64 *entries, GenAt gen_at) {
        const u64 pages = cw_div_up(device_bytes_, CW_PAGE_SIZE);
        for (LogRun &run : runs_of(u64{n} * CW_LOG_FANOUT, entries, pages)) {
            if (run.entry.state == CW_LOG_ZERO) {
                new_log_.zero(run.page, run.pages);
                result_.copied_bytes += u64{run.pages} * CW_PAGE_SIZE;
                continue;
            }
            run.gen = gen_at(run.entry.sector);
            copy_run(run);
        }
    }

    void copy_run(const LogRun &run) {
        if (run.entry.state == CW_LOG_DATA) {
            reader_.read_all(
                run, [this](const LogRun &good, const u8 *bytes) { keep(good, bytes); },
                [this](const LogRun &bad, const std::string &why) { lose(bad, "record", why); });
        } else {
            lose(run, "map", "the map's entry is not possible");
        }
        options_.advance(u64{run.entry.sectors} * CW_SECTOR_SIZE * run.pages / run.entry.pages);
    }

    void keep(const LogRun &run, const u8 *bytes) {
        new_log_.write(run.page, run.pages, bytes);
        result_.copied_bytes += u64{run.pages} * CW_PAGE_SIZE;
    }

    void lose(const LogRun &run, const char *what, const std::string &why) {
        ByteRange range = range_of(run.page, run.pages);
        result_.findings.damage(what, why, range);
        result_.lost_bytes += range.len;
    }

    ByteRange range_of(u64 page, u64 pages) const {
        u64 off = page * CW_PAGE_SIZE;
        return {off, std::min(pages * CW_PAGE_SIZE, device_bytes_ - off)};
    }

    cw_io &io_;
    const u64 device_bytes_;
    const CheckOptions &options_;
    LogRecordReader reader_;
    NewLog new_log_;
    SalvageResult result_;
};

}  // namespace

SalvageResult salvage_log(cw_io &io, const Io &out, const LogCowConfig &config,
                          const LogSalvageOptions &how, const CheckOptions &options) {
    return LogSalvage(io, out, config, options).run(how);
}

SalvageResult copy_readable(cw_io &io, const Io &out, u64 len, const CheckOptions &options) {
    SalvageResult result;
    std::vector<u8> buf(kChunk);
    auto copy = [&](u64 off, u32 part) {
        if (cw_pread(&io, buf.data(), part, off) != 0) {
            return false;
        }
        if (!all_zero(buf.data(), part)) {
            out.write(buf.data(), part, off);
        }
        result.copied_bytes += part;
        return true;
    };
    Holes holes(cw_fd_io_fd(&io), len);
    u64 step;
    for (u64 off = 0; off < len; off += step) {
        const u64 hole = holes.at(off);
        const u32 chunk = static_cast<u32>(std::min<u64>(kChunk, len - off));
        step = hole != 0 ? hole : chunk;
        options.advance(step);
        if (hole != 0 || copy(off, chunk)) {
            result.copied_bytes += hole;
            continue;
        }
        for (u32 at = 0; at < chunk; at += CW_SECTOR_SIZE) {
            const u32 part = std::min<u32>(CW_SECTOR_SIZE, chunk - at);
            if (!copy(off + at, part)) {
                result.findings.damage("data", "cannot be read from the file", {off + at, part});
                result.lost_bytes += part;
            }
        }
    }
    out.flush();
    return result;
}

}  // namespace cloopw

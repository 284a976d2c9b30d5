// SPDX-License-Identifier: GPL-2.0
#include "cow_check.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace cloopw {

namespace {

constexpr u64 kCacheBytes = u64{4} << 20;
constexpr u32 kUmlChunk = 1u << 20;

/* The base for which the file was made, by its own description. */
cw_cow_base base_of(const cw_cow_identity &id) {
    cw_cow_base base = {};
    base.size = id.below_size > ~u64{0} - CW_SECTOR_SIZE
                    ? id.below_size
                    : cw_round_up(id.below_size, CW_SECTOR_SIZE);
    base.name = id.below;
    base.is_layer = id.over_layer;
    std::copy(std::begin(id.below_uuid), std::end(id.below_uuid), base.uuid);
    return base;
}

}  // namespace

OpenedCow::OpenedCow(cw_io &io, bool writable)
    : id_(std::make_unique<cw_cow_identity>()), cache_(cw_cache_create(kCacheBytes)) {
    if (!cache_) {
        throw std::bad_alloc();
    }
    cw_report report = {};
    cw_cow *cow = nullptr;
    int err = cw_cow_identify(&io, id_.get(), &report);
    if (err == 0) {
        cw_cow_base base = base_of(*id_);
        err = cw_cow_open(&io, cache_.get(), writable, &base, &cow, &report);
    }
    if (err == -ENOMEM) {
        throw std::bad_alloc();
    }
    if (err != 0) {
        refusal_ = report.text[0] != '\0' ? without_name(report.text, io.name)
                                          : "cannot be read: " + errno_text(err);
        code_ = report.code;
    }
    cow_.reset(cow);
}

cw_log_view OpenedCow::view() const {
    cw_log_view view = {};
    cw_log_view_totals(cow_.get(), &view);
    return view;
}

std::optional<cw_log_segment_view> OpenedCow::segment(u32 n) const {
    cw_log_segment_view view = {};
    return cw_log_view_segment(cow_.get(), n, &view) ? std::optional(view) : std::nullopt;
}

int OpenedCow::map_page(u32 n, std::array<u64, CW_LOG_FANOUT> &entries) const {
    const int found = cw_log_view_map(cow_.get(), n, entries.data());
    if (found == -ENOMEM) {
        throw std::bad_alloc();
    }
    return found;
}

/* ---- the log ---- */

std::vector<LogRun> runs_of(u64 first_page, const u64 *entries, u64 device_pages) {
    std::vector<LogRun> runs;
    for (u32 slot = 0; slot < CW_LOG_FANOUT && first_page + slot < device_pages; slot++) {
        if (entries[slot] == 0) {
            continue;
        }
        LogRun run = {first_page + slot, 1, {}, 0};
        cw_log_entry_decode(entries[slot], &run.entry);
        if (!runs.empty()) {
            LogRun &last = runs.back();
            bool side_by_side = last.page + last.pages == run.page;
            bool data = run.entry.state == CW_LOG_DATA &&
                        run.entry.index == last.entry.index + last.pages &&
                        run.entry.sector == last.entry.sector &&
                        run.entry.sectors == last.entry.sectors &&
                        run.entry.codec == last.entry.codec && run.entry.pages == last.entry.pages;
            if (side_by_side && last.entry.state == run.entry.state &&
                (data || run.entry.state == CW_LOG_ZERO)) {
                last.pages++;
                continue;
            }
        }
        runs.push_back(run);
    }
    return runs;
}

LogRecordReader::LogRecordReader(cw_io &io) : io_(io) {
    cw_workspace_config config = {};
    config.codecs = CW_LOG_CODECS;
    config.stored_len = LOG_RECORD_ROOM;
    config.plain_len = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE;
    config.max_len = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE;
    if (cw_workspace_pool_init(&pool_, &config) != 0) {
        cw_workspace_pool_destroy(&pool_);
        throw std::bad_alloc();
    }
    ws_ = cw_workspace_get(&pool_);
}

LogRecordReader::~LogRecordReader() {
    cw_workspace_put(&pool_, ws_);
    cw_workspace_pool_destroy(&pool_);
}

bool LogRecordReader::load(const LogRun &run, u32 len) {
    const u64 at = cw_log_sector_offset(run.entry.sector);
    if (cw_pread(&io_, ws_->stored, len, at) == 0) {
        return true;
    }
    if (run.entry.codec != CW_CODEC_NONE) {
        return false;
    }
    /* An uncompressed record can be read in part: the header and these pages. */
    const u32 first =
        static_cast<u32>(sizeof(cw_disk_log_record) + run.entry.pages * sizeof(__le32)) +
        run.entry.index * CW_PAGE_SIZE;
    return first + run.pages * CW_PAGE_SIZE <= len &&
           cw_pread(&io_, ws_->stored, CW_SECTOR_SIZE, at) == 0 &&
           cw_pread(&io_, ws_->stored + first, size_t{run.pages} * CW_PAGE_SIZE, at + first) == 0;
}

/* Uncompressed pages have checksums of their own. */
bool LogRecordReader::is_sound(const LogRun &run, const log_record &record) const {
    if (record.codec != CW_CODEC_NONE) {
        return cw_log_record_check(ws_->stored, &record) == 0;
    }
    const u8 *payload = ws_->stored + cw_log_payload_at(&record);
    for (u32 i = run.entry.index; i < run.entry.index + run.pages; i++) {
        if (cw_log_page_check(ws_->stored, i, payload + size_t{i} * CW_PAGE_SIZE) != 0) {
            return false;
        }
    }
    return true;
}

const u8 *LogRecordReader::read(const LogRun &run, std::string *why) {
    const u32 len = run.entry.sectors * CW_SECTOR_SIZE;
    const std::string place = "the record at sector " + std::to_string(run.entry.sector);
    log_record record{};
    if (len == 0 || len > LOG_RECORD_ROOM || run.entry.index + run.pages > run.entry.pages) {
        *why = "the map's entry is not possible";
        return nullptr;
    }
    if (!load(run, len)) {
        *why = place + " cannot be read from the file";
        return nullptr;
    }
    if (cw_log_record_decode(ws_->stored, len, &record) != 0) {
        *why = place + " has a damaged header";
        return nullptr;
    }
    for (u32 i = 0; i < run.pages; i++) {
        log_entry entry = run.entry;
        entry.index += i;
        if (!cw_log_record_holds(&record, &entry, run.gen, run.page + i)) {
            *why = place + " is not the one that the map speaks of";
            return nullptr;
        }
    }
    if (!is_sound(run, record)) {
        *why = place + " has a wrong checksum";
        return nullptr;
    }
    if (record.codec == CW_CODEC_NONE) {
        return ws_->stored + cw_log_payload_at(&record) + size_t{run.entry.index} * CW_PAGE_SIZE;
    }
    if (cw_workspace_decompress(&pool_, ws_, record.codec, ws_->plain,
                                run.entry.pages * CW_PAGE_SIZE,
                                ws_->stored + cw_log_payload_at(&record), record.stored) != 0) {
        *why = place + " does not decompress";
        return nullptr;
    }
    return ws_->plain + size_t{run.entry.index} * CW_PAGE_SIZE;
}

void LogRecordReader::read_all(const LogRun &run, const GoodRun &good, const BadRun &bad) {
    std::string why;
    const u8 *bytes = read(run, &why);
    if (bytes != nullptr) {
        good(run, bytes);
        return;
    }
    if (run.pages == 1 || run.entry.codec != CW_CODEC_NONE) {
        bad(run, why);
        return;
    }
    for (u32 i = 0; i < run.pages; i++) {
        LogRun page = {run.page + i, 1, run.entry, run.gen};
        page.entry.index += i;
        read_all(page, good, bad);
    }
}

bool LogRecordReader::decode_meta(const LogRecordAt &at, u64 *entries) {
    return at.sound && cw_log_meta_decode(&pool_, ws_, at.bytes, &at.record, entries) == 0;
}

bool LogRecordReader::read_meta(u64 word, cw_log_meta kind, u64 number, u64 *entries) {
    log_entry entry{};
    cw_log_entry_decode(word, &entry);
    const u32 len = entry.sectors * CW_SECTOR_SIZE;
    LogRecordAt at = {{}, entry.sector, ws_->stored, true};
    return entry.state == CW_LOG_DATA && len != 0 && len <= LOG_RECORD_ROOM &&
           cw_pread(&io_, ws_->stored, len, cw_log_sector_offset(entry.sector)) == 0 &&
           cw_log_record_decode(ws_->stored, len, &at.record) == 0 &&
           at.record.type == CW_LOG_META && at.record.from == static_cast<u64>(kind) &&
           at.record.page == number && at.record.sectors == entry.sectors &&
           decode_meta(at, entries);
}

namespace {

const char *fault_of(LogSupers::Copy copy) {
    switch (copy) {
        case LogSupers::Copy::kEmpty:
            return " is missing";
        case LogSupers::Copy::kUnreadable:
            return " cannot be read from the file";
        default:
            return " is damaged (so does a crash while it is written)";
    }
}

}  // namespace

void check_log_supers(const LogSupers &supers, Findings &findings) {
    if (!supers.any()) {
        findings.error("superblock",
                       "neither copy of the superblock is sound; --salvage makes a new file of "
                       "what the log holds");
        return;
    }
    if (supers.is_new() && supers.state[1] == LogSupers::Copy::kEmpty) {
        return;
    }
    for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
        if (supers.state[slot] == LogSupers::Copy::kSound) {
            continue;
        }
        const std::string text = "copy " + std::to_string(slot) + fault_of(supers.state[slot]);
        if (supers.says_whether_frozen()) {
            findings.repairable("superblock", text);
        } else {
            findings.error("superblock",
                           text +
                               "; it may be the newer one, and say that the file is frozen: -y "
                               "leaves it as it is. If a layer lies over this file, --salvage NEW "
                               "--above LAYER makes one that fits, else --salvage NEW");
        }
    }
}

namespace {

class LogChecker {
public:
    LogChecker(OpenedCow &cow, const CheckOptions &options, Findings &findings)
        : cow_(cow),
          log_(cow.view()),
          options_(options),
          findings_(findings),
          reader_(*cow.get().io),
          live_(log_.segments) {}

    CowTotals run() {
        for (u32 n = 0; n < log_.map_pages; n++) {
            check_map_page(n);
        }
        if (map_complete_) {
            check_usage();
        }
        return totals_;
    }

private:
    ByteRange range_of(u64 page, u64 pages) const {
        u64 off = page * CW_PAGE_SIZE;
        return {off, std::min(pages * CW_PAGE_SIZE, cow_.get().size - off)};
    }

    void check_map_page(u32 n) {
        const u64 first = u64{n} * CW_LOG_FANOUT;
        std::array<u64, CW_LOG_FANOUT> entries{};
        const int found = cow_.map_page(n, entries);
        if (found < 0) {
            map_complete_ = false;
            ByteRange range = range_of(first, CW_LOG_FANOUT);
            findings_.damage("map", "the page of the map for this is damaged", range);
            totals_.bad_bytes += range.len;
            return;
        }
        if (found == 0) {
            return;
        }
        check_end_of_map(first, entries.data());
        for (LogRun &run : runs_of(first, entries.data(), log_.pages)) {
            check_run(run);
        }
    }

    void check_end_of_map(u64 first, const u64 *entries) {
        for (u32 slot = 0; slot < CW_LOG_FANOUT; slot++) {
            if (first + slot >= log_.pages && entries[slot] != 0) {
                findings_.error("map", "has entries behind the end of the device");
                map_complete_ = false;
                return;
            }
        }
    }

    void bad_run(const LogRun &run, const char *what, const std::string &why) {
        ByteRange range = range_of(run.page, run.pages);
        findings_.damage(what, why, range);
        totals_.bad_bytes += range.len;
    }

    void check_run(LogRun &run) {
        plain_pages_ += run.pages;
        totals_.plain_bytes += u64{run.pages} * CW_PAGE_SIZE;
        if (run.entry.state == CW_LOG_ZERO) {
            return;
        }
        if (run.entry.state != CW_LOG_DATA) {
            bad_run(run, "map", "the map's entry is not possible");
            return;
        }
        const auto segment = cow_.segment(cw_log_segment_of(run.entry.sector));
        if (!segment || run.entry.sector % CW_LOG_SEGMENT_SECTORS + run.entry.sectors >
                            CW_LOG_SEGMENT_SECTORS) {
            bad_run(run, "map", "the map leads out of the file");
            return;
        }
        const u32 n = cw_log_segment_of(run.entry.sector);
        if (!segment->has_data) {
            bad_run(run, "map",
                    "the map leads into segment " + std::to_string(n) + ", which has no data");
            return;
        }
        live_[n] += u64{cw_log_entry_share(&run.entry)} * run.pages;
        run.gen = segment->gen;
        if (!options_.quick) {
            check_record(run);
        }
    }

    void check_record(const LogRun &run) {
        reader_.read_all(
            run, [](const LogRun &, const u8 *) {},
            [this](const LogRun &bad, const std::string &why) { bad_run(bad, "record", why); });
        options_.advance(u64{run.entry.sectors} * CW_SECTOR_SIZE * run.pages / run.entry.pages);
    }

    void check_usage() {
        u32 wrong = 0;
        u32 bad = 0;
        for (u32 n = 0; n < log_.segments; n++) {
            const cw_log_segment_view segment = *cow_.segment(n);
            bad += segment.bad ? 1 : 0;
            if (!segment.bad && segment.has_data && segment.live != live_[n]) {
                wrong++;
            }
        }
        if (wrong != 0) {
            findings_.error("usage", "what lives in " + std::to_string(wrong) +
                                         " segments is not what the map says; do not write to it, "
                                         "--salvage makes a sound copy");
        }
        if (bad != 0) {
            findings_.note("usage", std::to_string(bad) +
                                        " segments are marked as damaged, their space is not used "
                                        "again; --salvage makes a copy without them");
        }
        if (plain_pages_ != log_.plain_pages) {
            findings_.error("usage", "the map has " + std::to_string(plain_pages_) +
                                         " pages, the superblock says " +
                                         std::to_string(log_.plain_pages));
        }
    }

    OpenedCow &cow_;
    const cw_log_view log_;
    const CheckOptions &options_;
    Findings &findings_;
    LogRecordReader reader_;
    std::vector<u64> live_; /* shares, as the map has them */
    u64 plain_pages_ = 0;
    bool map_complete_ = true;
    CowTotals totals_;
};

}  // namespace

CowTotals check_log(OpenedCow &cow, const CheckOptions &options, Findings &findings) {
    return LogChecker(cow, options, findings).run();
}

void doubt_end(const LogEnd &end, u64 size, const std::string &text, Findings &findings) {
    if (end.pages.empty()) {
        findings.note("log", text);
    }
    for (const PageRange &range : end.pages) {
        const u64 off = range.page * CW_PAGE_SIZE;
        findings.doubt("log", text, {off, std::min(range.pages * CW_PAGE_SIZE, size - off)});
    }
    /* Records behind an incomplete one are unknown. */
    findings.doubt("log",
                   "records written after the end of the log may be lost, and nothing shows it",
                   {0, size});
}

void check_log_end(const LogEnd &end, const LogSupers &supers, Findings &findings) {
    const u64 size = cw_from_le64(supers.best().size);
    const std::string count = std::to_string(end.behind);
    if (end.newer != 0) {
        findings.error("superblock",
                       std::to_string(end.newer) +
                           " records follow a later checkpoint whose superblock is lost: this one "
                           "leads to older data; do not write to it, --salvage takes them into "
                           "account");
    } else if (end.behind != 0 && supers.lost_copy()) {
        findings.error("superblock",
                       "the sound copy does not reach " + count +
                           " records: they may follow a later checkpoint whose superblock is the "
                           "damaged copy; do not write to it, --salvage takes them into account");
    } else if (end.behind != 0) {
        doubt_end(end, size,
                  count +
                      " records lie behind the end of the log: they were written last before a "
                      "crash, without a flush; or a record before them is damaged, then this is "
                      "older than it was",
                  findings);
    } else if (end.is_cut() || !end.leads_to_all(supers.lost_copy())) {
        findings.error("log", "a part of it cannot be read: the records written last may be there");
    } else if (end.torn) {
        doubt_end(end, size,
                  "the last record is not complete: it was being written in a crash, without a "
                  "flush; or it is damaged, then this is older than it was",
                  findings);
    }
}

/* ---- User-mode Linux's ---- */

CowTotals check_uml(OpenedCow &cow, const CheckOptions &options, Findings &findings) {
    cw_cow &uml = cow.get();
    CowTotals totals;
    std::vector<u8> buf(kUmlChunk);
    for (u64 off = 0; off < uml.size;) {
        u64 n = 0;
        int hit = uml.format->block_status(&uml, off, uml.size - off, &n);
        if (hit == -ENOMEM) {
            throw std::bad_alloc();
        }
        if (hit < 0) {
            findings.damage("bitmap", "the page of the bitmap for this cannot be read",
                            {off, uml.size - off});
            totals.bad_bytes += uml.size - off;
            return totals;
        }
        if (hit == CW_COW_MISS || options.quick) {
            totals.plain_bytes += hit == CW_COW_MISS ? 0 : n;
            off += n;
            continue;
        }
        for (u64 end = off + n; off < end;) {
            u32 len = static_cast<u32>(std::min<u64>(end - off, kUmlChunk));
            u32 done = 0;
            int err = uml.format->read(&uml, off, len, buf.data(), &done);
            if (err < 0) {
                len = std::min<u32>(len, CW_SECTOR_SIZE);
                err = uml.format->read(&uml, off, len, buf.data(), &done);
            }
            if (err < 0) {
                done = len;
                findings.damage("data", "cannot be read from the file", {off, len});
                totals.bad_bytes += len;
            }
            totals.plain_bytes += done;
            off += done;
            options.advance(done);
        }
    }
    return totals;
}

}  // namespace cloopw

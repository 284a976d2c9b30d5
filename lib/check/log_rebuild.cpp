// SPDX-License-Identifier: GPL-2.0
#include "log_rebuild.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cloopw {

namespace {

constexpr size_t kWindowPages = 8192; /* pages of the map in memory, 8 KiB each */
constexpr u64 kNever = ~u64{0};
constexpr u64 kOtherLog = u64{1} << 36; /* generations of one log are not so far apart */

bool may_have_payload(u8 type) { return type == CW_LOG_WRITE || type == CW_LOG_MOVE; }

bool is_at(u64 word, u64 sector) {
    log_entry entry{};
    cw_log_entry_decode(word, &entry);
    return entry.state == CW_LOG_DATA && entry.sector == sector;
}

}  // namespace

LogRebuild::LogRebuild(cw_io &io, u64 device_bytes, const LogSupers &supers, Trust trust,
                       const CheckOptions &options)
    : device_pages_(cw_div_up(device_bytes, CW_PAGE_SIZE)),
      super_(supers.any() && trust.super ? &supers.best() : nullptr),
      past_gaps_(trust.past_gaps),
      options_(options),
      scan_(io),
      reader_(io),
      gens_(own_gens(scan_, supers)),
      info_(scan_.segments()) {
    if (super_ != nullptr) {
        walk_tree();
    }
    survey();
    order_segments();
    survey_meta();
    set_ends();
}

/* ---- the survey ---- */

/*
 * A device may hold records of a log that was on it before. Logs begin with random
 * generations below 2^46, and later ones follow closely. The superblock, or the first
 * segment, is this log's: the log takes segments from the front.
 */
LogRebuild::Gens LogRebuild::own_gens(LogScan &scan, const LogSupers &supers) {
    std::vector<u64> gens;
    u64 own = supers.any() ? cw_from_le64(supers.best().gen_limit) : 0;
    for (u32 n = 0; n < scan.segments(); n++) {
        const LogSegmentInfo info = scan.look(n);
        if (info.kind != LogSegmentInfo::Kind::kEmpty) {
            gens.push_back(info.gen);
            own = own != 0 ? own : info.gen;
        }
    }
    std::sort(gens.begin(), gens.end());
    Gens found = {own, own};
    const auto middle = std::lower_bound(gens.begin(), gens.end(), own);
    for (auto it = middle; it != gens.begin() && found.begin - *(it - 1) <= kOtherLog; it--) {
        found.begin = *(it - 1);
    }
    for (auto it = middle; it != gens.end() && *it - found.end <= kOtherLog; it++) {
        found.end = *it;
    }
    found.begin -= std::min(found.begin, kOtherLog);
    found.end = supers.any() ? own + 2 * LOG_GEN_STEP : found.end + kOtherLog;
    return found;
}

void LogRebuild::survey_record(const LogRecordAt &at) {
    if (!changes_pages(at.record) || !cw_log_record_fits(&at.record, device_pages_)) {
        return;
    }
    touched_.insert(cw_log_map_page_of(at.record.page));
    touched_.insert(cw_log_map_page_of(at.record.page + at.record.pages - 1));
}

void LogRebuild::survey() {
    for (u32 n = 0; n < scan_.segments(); n++) {
        info_[n] = scan_.scan(
            n,
            [&](const LogRecordAt &at) {
                if (gens_.has(at.record.gen)) {
                    survey_record(at);
                }
            },
            [](const LogGap &) {});
        if (info_[n].kind != LogSegmentInfo::Kind::kEmpty && !gens_.has(info_[n].gen)) {
            foreign_++;
            info_[n].kind = LogSegmentInfo::Kind::kEmpty;
        }
        options_.advance(CW_LOG_SEGMENT_LEN);
    }
}

void LogRebuild::order_segments() {
    for (u32 n = 0; n < info_.size(); n++) {
        if (info_[n].kind == LogSegmentInfo::Kind::kData) {
            order_.push_back(n);
        }
    }
    std::sort(order_.begin(), order_.end(), [&](u32 a, u32 b) {
        return std::pair(info_[a].gen, info_[a].first_seq) <
               std::pair(info_[b].gen, info_[b].first_seq);
    });
}

/* ---- the map that the checkpoint leads to, as far as it does ---- */

/* False: a page is damaged, and the pages below it are unknown. */
bool LogRebuild::walk_array(cw_log_meta kind, const std::vector<u64> &words,
                            std::vector<u64> *below) {
    std::vector<u64> entries(CW_LOG_FANOUT);
    bool complete = true;
    below->assign(words.size() * CW_LOG_FANOUT, 0);
    for (size_t i = 0; i < words.size(); i++) {
        if (words[i] == 0) {
            continue;
        }
        if (reader_.read_meta(words[i], kind, i, entries.data())) {
            std::copy(entries.begin(), entries.end(),
                      below->begin() + static_cast<std::ptrdiff_t>(i * CW_LOG_FANOUT));
            continue;
        }
        complete = false;
    }
    return complete;
}

void LogRebuild::walk_tree() {
    const u64 map_pages = cw_div_up(device_pages_, CW_LOG_FANOUT);
    const u64 dirs = cw_div_up(map_pages, CW_LOG_FANOUT);
    std::vector<u64> roots(CW_LOG_MAP_ROOTS);
    std::vector<u64> at;
    std::vector<u64> below;
    std::transform(std::begin(super_->map_root), std::end(super_->map_root), roots.begin(),
                   [](__le64 word) { return cw_from_le64(word); });
    tree_complete_ = walk_array(CW_LOG_META_MAP_ROOT, roots, &at);
    at.resize(std::min<u64>(at.size(), dirs));
    tree_complete_ = walk_array(CW_LOG_META_MAP_DIR, at, &below) && tree_complete_;
    below.resize(std::min<u64>(below.size(), map_pages));
    for (u32 n = 0; n < below.size(); n++) {
        if (below[n] != 0) {
            tree_[n] = below[n];
        }
    }
    checkpoint_ = {cw_from_le64(super_->log_gen), cw_from_le64(super_->log_seq)};
    if (cw_from_le32(super_->log_segment) == CW_LOG_NO_SEGMENT) {
        checkpoint_ = {cw_from_le64(super_->gen_limit), 0};
    }
}

/* ---- pages of the map that lie about ---- */

/*
 * META records in the order in which the log wrote them. A page of the usage names the
 * generations at its checkpoint. A page that follows was written after these began.
 */
void LogRebuild::survey_meta() {
    std::vector<u32> metas;
    for (u32 n = 0; n < info_.size(); n++) {
        if (info_[n].kind == LogSegmentInfo::Kind::kMeta) {
            metas.push_back(n);
        }
    }
    std::sort(metas.begin(), metas.end(),
              [&](u32 a, u32 b) { return info_[a].gen < info_[b].gen; });

    std::vector<u64> data_gens;
    for (u32 n : order_) {
        data_gens.push_back(info_[n].gen);
    }
    /* The last segment of data that began before this generation. */
    auto last_begun = [&](u64 gen) {
        auto it = std::lower_bound(data_gens.begin(), data_gens.end(), gen);
        return it == data_gens.begin() ? u64{0} : *(it - 1);
    };
    std::vector<u64> entries(CW_LOG_FANOUT);
    u64 known = 0;
    auto take = [&](const LogRecordAt &at) {
        const u64 kind = at.record.from;
        if (kind == CW_LOG_META_USAGE && reader_.decode_meta(at, entries.data())) {
            for (u64 usage : entries) {
                known = std::max(known, (usage >> CW_LOG_USAGE_GEN_SHIFT) + 1);
            }
        }
        if (kind != CW_LOG_META_MAP || at.record.page >= cw_div_up(device_pages_, CW_LOG_FANOUT)) {
            return;
        }
        if (!reader_.decode_meta(at, entries.data())) {
            return;
        }
        log_entry entry = {at.sector, 0, at.record.sectors, 1, at.record.codec, CW_LOG_DATA};
        candidates_[static_cast<u32>(at.record.page)] = {
            cw_log_entry_encode(&entry), {last_begun(std::max(known, at.record.gen)), 0}};
    };
    for (u32 n : metas) {
        scan_.scan(n, take, [](const LogGap &) {});
    }
}

/*
 * A log that began anew goes on with the number of the first record that recovery did not
 * find. So records of that number or a higher one in older segments were given up.
 */
void LogRebuild::set_ends() {
    end_.assign(order_.size(), kNever);
    u64 end = kNever;
    for (size_t i = order_.size(); i-- > 0;) {
        end_[i] = end;
        /* Segments of one generation begin at one place. */
        if (i > 0 && info_[order_[i - 1]].gen == info_[order_[i]].gen) {
            continue;
        }
        end = std::min(end, info_[order_[i]].first_seq);
    }
    if (order_.empty()) {
        return;
    }
    const u64 last = info_[order_.back()].gen;
    if (past_gaps_) {
        strict_gen_ = kNever;
    } else if (super_ != nullptr) {
        strict_gen_ = std::min(last, checkpoint_.gen);
    } else {
        strict_gen_ = last;
    }
}

/* ---- the records, in their order ---- */

/* Does the log, from its last checkpoint on, go on with this? */
bool LogRebuild::continues(const LogRecordAt &at) {
    if (ended_ || at.record.gen < strict_gen_) {
        return !ended_;
    }
    const bool counts = at.record.gen > checkpoint_.gen || at.record.seq >= checkpoint_.seq;
    ended_ = counts && ((expected_ != 0 && at.record.seq != expected_) || !at.sound);
    expected_ = at.record.seq + 1;
    return !ended_;
}

LogRebuild::Page *LogRebuild::page_for(Window *window, u32 n) const {
    auto it = window->find(n);
    return it == window->end() ? nullptr : it->second.get();
}

void LogRebuild::apply_to(Page *page, u32 slot, const LogRecordAt &at, u32 i) const {
    const log_record &record = at.record;
    const u32 bit = 1u << (i % 32);
    if (record.gen < page->since.gen ||
        (record.gen == page->since.gen && record.seq < page->since.seq)) {
        return;
    }
    if (may_have_payload(record.type) && ((record.data_mask | record.zero_mask) & bit) == 0) {
        return;
    }
    if (record.type == CW_LOG_MOVE && !is_at(page->word[slot], record.from)) {
        /*
         * The record it was copied from may be gone. Then it counts unless the page was
         * changed later. A change during the copy is in a younger segment than the copied
         * record.
         */
        const u64 from_gen = record.next_gen != 0 ? record.next_gen : record.gen;
        if (page->complete || page->touched[slot] >= from_gen) {
            return;
        }
    }
    page->touched[slot] = record.gen;
    if (record.type == CW_LOG_DROP) {
        page->word[slot] = 0;
    } else if (record.type == CW_LOG_WIPE) {
        page->word[slot] = u64{CW_LOG_ZERO} << CW_LOG_ENTRY_STATE_SHIFT;
    } else {
        page->word[slot] = cw_log_entry_for(&record, at.sector, i);
    }
}

void LogRebuild::apply(Window *window, const LogRecordAt &at) {
    if (!changes_pages(at.record) || !cw_log_record_fits(&at.record, device_pages_)) {
        return;
    }
    for (u32 i = 0; i < at.record.pages; i++) {
        const u64 page = at.record.page + i;
        if (Page *there = page_for(window, cw_log_map_page_of(page))) {
            apply_to(there, page % CW_LOG_FANOUT, at, i);
        }
    }
}

void LogRebuild::replay(Window *window) {
    u64 oldest = kNever; /* nothing before this generation can matter */
    for (const auto &[n, page] : *window) {
        oldest = std::min(oldest, page->since.gen);
    }
    ended_ = false;
    expected_ = 0;
    missing_ = 0;
    dropped_ = 0;
    for (size_t k = 0; k < order_.size(); k++) {
        if (info_[order_[k]].gen < oldest) {
            continue;
        }
        u64 previous = 0;
        scan_.scan(
            order_[k],
            [&](const LogRecordAt &at) {
                if (at.record.seq >= end_[k]) {
                    return;
                }
                if (!continues(at)) {
                    dropped_++;
                    return;
                }
                missing_ += previous != 0 ? at.record.seq - previous - 1 : 0;
                previous = at.record.seq;
                apply(window, at);
            },
            [](const LogGap &) {});
        options_.advance(CW_LOG_SEGMENT_LEN);
    }
}

/* ---- pages of the map ---- */

void LogRebuild::fill_base(u32 n, Page *page) {
    auto in_tree = tree_.find(n);
    if (in_tree != tree_.end() &&
        reader_.read_meta(in_tree->second, CW_LOG_META_MAP, n, page->word)) {
        page->basis = Basis::kCheckpoint;
        page->complete = true;
        page->since = checkpoint_;
        return;
    }
    memset(page->word, 0, sizeof(page->word));
    if (tree_complete_ && in_tree == tree_.end()) { /* it had no entries */
        page->basis = Basis::kCheckpoint;
        page->complete = true;
        page->since = checkpoint_;
        return;
    }
    auto found = candidates_.find(n);
    if (found != candidates_.end() &&
        reader_.read_meta(found->second.word, CW_LOG_META_MAP, n, page->word)) {
        page->since = found->second.since;
    }
    for (u32 slot = 0; slot < CW_LOG_FANOUT; slot++) {
        log_entry entry{};
        cw_log_entry_decode(page->word[slot], &entry);
        page->touched[slot] = entry.state == CW_LOG_DATA ? gen_at(entry.sector) : 0;
    }
}

u64 LogRebuild::gen_at(u64 sector) const {
    const u32 n = cw_log_segment_of(sector);
    return n < info_.size() ? info_[n].gen : 0;
}

void LogRebuild::pages(const std::set<u32> *wanted,
                       const std::function<void(u32, const u64 *, Basis)> &visit) {
    std::set<u32> all = touched_;
    for (const auto &[n, candidate] : candidates_) {
        all.insert(n);
    }
    for (const auto &[n, word] : tree_) {
        all.insert(n);
    }
    Window window;
    auto finish = [&] {
        replay(&window);
        for (const auto &[n, page] : window) {
            visit(n, page->word, page->basis);
        }
        window.clear();
    };
    for (u32 n : all) {
        if (wanted != nullptr && !wanted->contains(n)) {
            continue;
        }
        auto page = std::make_unique<Page>();
        fill_base(n, page.get());
        window[n] = std::move(page);
        if (window.size() == kWindowPages) {
            finish();
        }
    }
    if (!window.empty()) {
        finish();
    }
}

}  // namespace cloopw

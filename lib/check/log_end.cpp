// SPDX-License-Identifier: GPL-2.0
#include "log_end.h"

#include <algorithm>
#include <set>

#include "log_scan.h"

namespace cloopw {

namespace {

class EndSearch {
public:
    EndSearch(cw_io &io, const cw_disk_log_super &super)
        : super_(super), pages_(cw_div_up(cw_from_le64(super.size), CW_PAGE_SIZE)), scan_(io) {}

    LogEnd run() {
        follow();
        end_.next_seq = seq_;
        for (u32 n = 0; n < scan_.segments(); n++) {
            look_at(n);
        }
        return std::move(end_);
    }

private:
    /* Follows the log like recovery. */
    void follow() {
        u32 segment = cw_from_le32(super_.log_segment);
        seq_ = cw_from_le64(super_.log_seq);
        gen_ = cw_from_le64(super_.log_gen);
        sector_ = cw_from_le32(super_.log_sector);
        end_.lost_begin = segment != CW_LOG_NO_SEGMENT && !has_begin(segment);
        while (segment < scan_.segments()) {
            chain_.insert(segment);
            if (!follow_segment(&segment)) {
                return;
            }
        }
    }

    /* Is a record there from before the checkpoint, at least the mark of the beginning? */
    bool has_begin(u32 segment) {
        const u64 place = cw_log_first_sector(segment) + sector_;
        bool found = false;
        if (segment < scan_.segments()) {
            scan_.scan(
                segment,
                [&](const LogRecordAt &at) {
                    found = found || (at.record.gen == gen_ && at.sector < place);
                },
                [](const LogGap &) {});
        }
        return found;
    }

    /* True: it goes on in another segment, at its first sector. */
    bool follow_segment(u32 *segment) {
        const u64 first = cw_log_first_sector(*segment);
        const bool jumped_here = sector_ == 0;
        bool ended = false;
        bool jumps = false;
        u64 next_gen = 0;
        const LogSegmentInfo info = scan_.scan(
            *segment,
            [&](const LogRecordAt &at) {
                if (ended || jumps || at.sector - first < sector_) {
                    return;
                }
                ended = at.sector - first != sector_ || at.record.gen != gen_ ||
                        at.record.seq != seq_ || !at.sound ||
                        (jumped_here && sector_ == 0 && at.record.type != CW_LOG_SEGMENT);
                if (ended) {
                    return;
                }
                seq_++;
                sector_ += at.record.sectors;
                jumps = at.record.type == CW_LOG_JUMP;
                *segment =
                    jumps ? static_cast<u32>(std::min<u64>(at.record.from, ~u32{0})) : *segment;
                next_gen = at.record.next_gen;
            },
            [](const LogGap &) {});
        end_.last = jumps ? Readable::kAll : info.readable;
        gen_ = jumps ? next_gen : gen_;
        sector_ = jumps ? 0 : sector_;
        return jumps;
    }

    /* Segments before this generation are in the checkpoint. */
    u64 oldest_gen() const {
        const u64 limit = gen_limit();
        if (super_.log_gen != cw_to_le64(0)) {
            return cw_from_le64(super_.log_gen);
        }
        return cw_from_le64(super_.seq) == 1 || limit < LOG_GEN_STEP ? limit : limit - LOG_GEN_STEP;
    }
    u64 gen_limit() const { return cw_from_le64(super_.gen_limit); }

    void look_at(u32 n) {
        LogSegmentInfo info = scan_.look(n);
        end_.all = std::max(end_.all, info.readable);
        /* A damaged first sector does not tell the kind, so scan the segment. */
        if (info.kind == LogSegmentInfo::Kind::kMeta ||
            (info.kind == LogSegmentInfo::Kind::kData && !may_count(info.gen))) {
            return;
        }
        info = scan_.scan(
            n,
            [&](const LogRecordAt &at) {
                if (at.record.type != CW_LOG_META && may_count(at.record.gen)) {
                    take(at, chain_.contains(n));
                }
            },
            [](const LogGap &) {});
        end_.all = std::max(end_.all, info.readable);
    }

    /* Others are older, or of another log that was on this device. */
    bool may_count(u64 gen) const {
        return gen >= oldest_gen() && gen < gen_limit() + 2 * LOG_GEN_STEP;
    }

    void take(const LogRecordAt &at, bool in_chain) {
        const log_record &record = at.record;
        if (in_chain && record.seq < seq_) {
            return;
        }
        const bool torn = in_chain && record.seq == seq_ && record.gen == gen_ && !at.sound;
        if (!torn && !is_evidence(record)) {
            return;
        }
        end_.torn = end_.torn || torn;
        end_.behind += torn ? 0 : 1;
        end_.newer += record.gen >= gen_limit() && changes_pages(record) ? 1 : 0;
        if (changes_pages(record) && cw_log_record_fits(&record, pages_)) {
            end_.pages.push_back({record.page, record.pages});
        }
    }

    /*
     * A segment that an attach or a lost jump began is no loss, unless there were records
     * between its beginning and the end.
     */
    bool is_evidence(const log_record &record) const {
        return record.type == CW_LOG_SEGMENT ? record.seq > seq_ + 1
                                             : record.type != CW_LOG_PAD || record.seq > seq_;
    }

    const cw_disk_log_super &super_;
    const u64 pages_; /* device's length */
    LogScan scan_;
    LogEnd end_;
    u64 seq_ = 0;
    u64 gen_ = 0;
    u32 sector_ = 0;
    std::set<u32> chain_;
};

}  // namespace

LogEnd find_log_end(cw_io &io, const cw_disk_log_super &super) {
    return EndSearch(io, super).run();
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "log_scan.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "lib/holes.h"

namespace cloopw {

namespace {

constexpr u64 kLooks = 65536; /* at segments of a file that may be no log: its first 64 GiB */
constexpr u32 kStep = 4096;   /* step in an unreadable segment */

bool all_zeros(const u8 *bytes, size_t len) {
    return std::all_of(bytes, bytes + len, [](u8 byte) { return byte == 0; });
}

LogSupers::Copy read_copy(cw_io &io, u32 slot, cw_disk_log_super *super) {
    if (cw_pread(&io, super, sizeof(*super), u64{slot} * CW_LOG_SUPER_STRIDE) != 0) {
        memset(super, 0, sizeof(*super));
        return LogSupers::Copy::kUnreadable;
    }
    if (cw_log_super_is_sound(super)) {
        return LogSupers::Copy::kSound;
    }
    return all_zeros(reinterpret_cast<const u8 *>(super), sizeof(*super))
               ? LogSupers::Copy::kEmpty
               : LogSupers::Copy::kDamaged;
}

/* Follows the records of one use of a segment. */
class Walk {
public:
    Walk(u32 segment, const u8 *bytes) : first_(cw_log_first_sector(segment)), bytes_(bytes) {}

    LogSegmentInfo run(const std::function<void(const LogRecordAt &)> &on_record,
                       const std::function<void(const LogGap &)> &on_gap) {
        u32 expected = 0; /* where the next record should begin */
        u32 sector = 0;
        while (sector < CW_LOG_SEGMENT_SECTORS) {
            LogRecordAt at{};
            if (!decode(sector, &at)) {
                sector++;
                continue;
            }
            if (sector != expected) {
                on_gap({first_ + expected, sector - expected, next_seq()});
            }
            adopt(at);
            on_record(at);
            sector += at.record.sectors;
            expected = sector;
        }
        return info_;
    }

private:
    u64 next_seq() const {
        return info_.kind == LogSegmentInfo::Kind::kData ? info_.last_seq + 1 : 0;
    }

    bool decode(u32 sector, LogRecordAt *at) const {
        const u32 left = (CW_LOG_SEGMENT_SECTORS - sector) * CW_SECTOR_SIZE;
        at->bytes = bytes_ + size_t{sector} * CW_SECTOR_SIZE;
        at->sector = first_ + sector;
        if (cw_log_record_decode(at->bytes, left, &at->record) != 0 ||
            at->record.sectors * CW_SECTOR_SIZE > left || !belongs(at->record)) {
            return false;
        }
        at->sound =
            at->record.type == CW_LOG_PAD || cw_log_record_check(at->bytes, &at->record) == 0;
        return true;
    }

    /* The first record tells the present use. Records of older uses lie behind it. */
    bool belongs(const log_record &record) const {
        const bool meta = record.type == CW_LOG_META;
        switch (info_.kind) {
            case LogSegmentInfo::Kind::kMeta:
                return meta && record.gen == info_.gen;
            case LogSegmentInfo::Kind::kData:
                return !meta && record.gen == info_.gen && record.seq > info_.last_seq;
            default:
                return true;
        }
    }

    void adopt(const LogRecordAt &at) {
        if (info_.kind == LogSegmentInfo::Kind::kEmpty) {
            info_.kind = at.record.type == CW_LOG_META ? LogSegmentInfo::Kind::kMeta
                                                       : LogSegmentInfo::Kind::kData;
            info_.gen = at.record.gen;
            info_.first_seq = at.record.seq;
        }
        info_.last_seq = at.record.seq;
    }

    const u64 first_;
    const u8 *bytes_;
    LogSegmentInfo info_;
};

}  // namespace

LogSupers read_log_supers(cw_io &io) {
    LogSupers supers;
    for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
        supers.state[slot] = read_copy(io, slot, &supers.super[slot]);
        if (supers.state[slot] == LogSupers::Copy::kSound &&
            (!supers.any() ||
             cw_from_le64(supers.super[slot].seq) > cw_from_le64(supers.best().seq))) {
            supers.newest = static_cast<int>(slot);
        }
    }
    return supers;
}

bool has_log_segments(cw_io &io) {
    LogScan scan(io);
    u64 size = 0;
    (void)cw_size(&io, &size);
    Holes holes(cw_fd_io_fd(&io), size);
    u64 looks = 0;
    for (u64 n = 0; n < scan.segments() && looks < kLooks; n++) {
        const u64 hole = holes.at(cw_log_sector_offset(cw_log_first_sector(static_cast<u32>(n))));
        if (hole >= CW_SECTOR_SIZE) {
            n += (hole - CW_SECTOR_SIZE) / CW_LOG_SEGMENT_LEN; /* none begins there */
            continue;
        }
        looks++;
        if (scan.look(static_cast<u32>(n)).kind != LogSegmentInfo::Kind::kEmpty) {
            return true;
        }
    }
    return false;
}

LogScan::LogScan(cw_io &io) : io_(io), buf_(static_cast<u8 *>(cw_alloc_raw(CW_LOG_SEGMENT_LEN))) {
    if (!buf_) {
        throw std::bad_alloc();
    }
    if (cw_size(&io, &size_) == 0 && size_ > CW_LOG_START) {
        /*
         * A file that ends within a segment was cut off. On a device, a part at the end is
         * no segment.
         */
        const u64 part = io.whole_pages ? 0 : CW_LOG_SEGMENT_LEN - 1;
        segments_ = static_cast<u32>(
            std::min<u64>((size_ - CW_LOG_START + part) / CW_LOG_SEGMENT_LEN, LOG_MAX_SEGMENTS));
    }
}

/* Bytes that cannot be read, and bytes behind the file's end, become zeros. */
Readable LogScan::load(u32 n) {
    const u64 off = cw_log_sector_offset(cw_log_first_sector(n));
    const u32 len = static_cast<u32>(std::min<u64>(size_ - off, CW_LOG_SEGMENT_LEN));
    memset(buf_.get() + len, 0, CW_LOG_SEGMENT_LEN - len);
    if (cw_pread(&io_, buf_.get(), len, off) == 0) {
        return len < CW_LOG_SEGMENT_LEN ? Readable::kToFileEnd : Readable::kAll;
    }
    for (u32 at = 0; at < len; at += kStep) {
        const u32 step = std::min(kStep, len - at);
        if (cw_pread(&io_, buf_.get() + at, step, off + at) != 0) {
            memset(buf_.get() + at, 0, step);
        }
    }
    return Readable::kInPart;
}

LogSegmentInfo LogScan::scan(u32 n, const std::function<void(const LogRecordAt &)> &on_record,
                             const std::function<void(const LogGap &)> &on_gap) {
    const Readable readable = load(n);
    LogSegmentInfo info = Walk(n, buf_.get()).run(on_record, on_gap);
    info.readable = readable;
    return info;
}

LogSegmentInfo LogScan::look(u32 n) {
    LogSegmentInfo info;
    log_record record{};
    if (cw_pread(&io_, buf_.get(), CW_SECTOR_SIZE, cw_log_sector_offset(cw_log_first_sector(n))) !=
        0) {
        info.readable = Readable::kInPart;
    } else if (cw_log_record_decode(buf_.get(), CW_SECTOR_SIZE, &record) == 0) {
        info.kind =
            record.type == CW_LOG_META ? LogSegmentInfo::Kind::kMeta : LogSegmentInfo::Kind::kData;
        info.gen = record.gen;
        info.first_seq = record.seq;
        info.last_seq = record.seq;
    }
    return info;
}

}  // namespace cloopw

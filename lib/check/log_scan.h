/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The content of a COW log's segments, without superblock and map. docs/explain/cow-log.md,
 * "Without a map".
 */
#ifndef CLOOPW_LIB_LOG_SCAN_H
#define CLOOPW_LIB_LOG_SCAN_H

#include <algorithm>
#include <array>
#include <functional>
#include <memory>

#include "lib/cloopw.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw {

/* ---- superblocks ---- */

struct LogSupers {
    enum class Copy {
        kSound,
        kEmpty, /* zeros: never written */
        kDamaged,
        kUnreadable,
    };
    std::array<Copy, CW_LOG_SUPERS> state{};
    std::array<cw_disk_log_super, CW_LOG_SUPERS> super{};
    int newest = -1; /* index of the newest sound one; -1: none */

    bool any() const { return newest >= 0; }
    const cw_disk_log_super &best() const { return super[static_cast<size_t>(newest)]; }
    /* True when a copy is not sound: it may be the newer one. */
    bool lost_copy() const {
        return std::any_of(state.begin(), state.end(), [](Copy c) { return c != Copy::kSound; });
    }
    /*
     * Does the sound copy say for certain whether the log is frozen? Frozen is final, and
     * with the other bit a freeze writes both copies.
     */
    bool says_whether_frozen() const {
        return (cw_from_le64(best().ro_compat) & CW_LOG_RO_COMPAT_FROZEN) != 0 ||
               (cw_from_le64(best().compat) & CW_LOG_COMPAT_FROZEN_TWICE) != 0;
    }
    /* The log was never written to, so it has only one copy. */
    bool is_new() const { return newest == 0 && cw_from_le64(best().seq) == 1; }
};

/* Reads and checks both copies. Never throws for damage. */
LogSupers read_log_supers(cw_io &io);

/*
 * Is there a segment's beginning at a segment's place? Ignores the superblocks. Looks at
 * most at 65536 places that are not holes.
 */
bool has_log_segments(cw_io &io);

/* ---- segments ---- */

/* Does the record change which pages the log has? */
inline bool changes_pages(const log_record &record) {
    return record.type == CW_LOG_WRITE || record.type == CW_LOG_MOVE ||
           record.type == CW_LOG_DROP || record.type == CW_LOG_WIPE;
}

/* A record and its place. */
struct LogRecordAt {
    log_record record;
    u64 sector;
    const u8 *bytes; /* the whole record, until the next call */
    bool sound;      /* the payload is sound, too */
};

/* A place where a record of this generation was, and is not sound any more. */
struct LogGap {
    u64 sector;
    u32 sectors;
    u64 seq; /* number of the missing record; META: 0 */
};

/* How much of a segment can be read. */
enum class Readable {
    kAll,
    kToFileEnd, /* the file ends within it */
    kInPart,    /* the medium has errors */
};

struct LogSegmentInfo {
    enum class Kind { kEmpty, kData, kMeta };
    Kind kind = Kind::kEmpty;
    u64 gen = 0;
    u64 first_seq = 0; /* kData */
    u64 last_seq = 0;
    Readable readable = Readable::kAll;
};

class LogScan {
public:
    explicit LogScan(cw_io &io);

    u32 segments() const { return segments_; }

    /*
     * Reports the records of the newest use of a segment in order, and the gaps between
     * them. Records of older uses, which lie behind them, are not reported. The next record
     * shows that one before it is missing; at the end nothing shows it.
     */
    LogSegmentInfo scan(u32 n, const std::function<void(const LogRecordAt &)> &on_record,
                        const std::function<void(const LogGap &)> &on_gap);

    /*
     * Looks at the first sector only: kind and generation of the record that begins there.
     */
    LogSegmentInfo look(u32 n);

private:
    Readable load(u32 n);

    cw_io &io_;
    u64 size_ = 0;
    u32 segments_ = 0;
    std::unique_ptr<u8, CDeleter<cw_free>> buf_; /* room for a segment */
};

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Everything that happened to some files, and the crashes that could have been. */
#ifndef CLOOPW_TESTS_CRASH_HISTORY_H
#define CLOOPW_TESTS_CRASH_HISTORY_H

#include <array>
#include <cstdio>
#include <functional>
#include <mutex>
#include <random>
#include <vector>

#include "image.h"

namespace cloopw::crash {

using Random = std::mt19937_64;

constexpr u32 kNever = ~u32{0};

struct Event {
    enum class Kind : u32 { kWrite, kPunch, kAllocate, kFlush, kMark } kind;
    u64 off = 0;
    u64 len = 0;
    u32 file = 0;
    Bytes data = {};    /* kWrite */
    u32 done = kNever;  /* how many events there were when the call returned */
    u32 begun = kNever; /* kFlush: how many there were when it was called; only if it was ok */
};

using Events = std::vector<Event>;

/* A file whose changes are kept. Any thread. */
class RecordIo : private cw_io {
public:
    explicit RecordIo(Image *image) : RecordIo(image, nullptr, 0) {}
    /* One more file in the history of the first. */
    RecordIo(Image *image, RecordIo *first, u32 file);
    RecordIo(const RecordIo &) = delete;
    RecordIo &operator=(const RecordIo &) = delete;

    cw_io *get() { return this; }
    /* A moment of its own in the history: how many events are before it. */
    u32 mark();
    Events take_events() { return std::move(events_); }
    u32 count();

    /* Set before threads run. */
    u64 max = ~u64{0};             /* bytes the file can have */
    std::function<int()> on_write; /* called before each write; an error: half of it is done */

private:
    static const cw_io_ops kOps;

    static RecordIo &self(cw_io *io) { return *static_cast<RecordIo *>(io); }
    static int do_pread(cw_io *io, void *buf, size_t len, u64 off);
    static int do_pwrite(cw_io *io, const void *buf, size_t len, u64 off);
    static int do_flush(cw_io *io);
    static int do_allocate(cw_io *io, u64 off, u64 len);
    static int do_punch(cw_io *io, u64 off, u64 len);
    static int do_size(cw_io *io, u64 *size);

    RecordIo *first_; /* has the history and what a test sets */
    u32 file_;
    std::mutex lock_; /* of the first: guards what follows and all images */
    Image *image_;
    Events events_;
};

/* All files, recorded. */
struct RecordedFiles {
    RecordedFiles(Files *files, bool whole_pages)
        : io{RecordIo(&(*files)[0]), RecordIo(&(*files)[1], &io[0], 1),
             RecordIo(&(*files)[2], &io[0], 2)} {
        for (RecordIo &file : io) {
            file.get()->whole_pages = whole_pages;
        }
    }

    RecordIo &first() { return io[0]; }

    std::array<RecordIo, Files::kCount> io;
};

/*
 * Goes through a history and knows at each place what is on the disk for
 * certain and what may be.
 */
class Replay {
public:
    /* start: the files before the history; both are used until the end. */
    Replay(const Events &events, const Files *start) : events_(events), durable_(start) {}

    /* Only forwards. */
    void go_to(u32 at);
    /* What a crash at this place leaves, one of all the possible ones. */
    enum class Mode { kAll, kNone, kPrefix, kSubset, kTorn };
    void crash(Mode mode, Random *random, Files *out) const;
    const Files &durable() const { return durable_; }
    size_t pending() const { return pending_.size(); }

private:
    const Events &events_;
    Files durable_;
    u32 at_ = 0;
    std::vector<u32> pending_; /* events that no flush covers yet */
};

void save_events(FILE *file, const Events &events);
Events load_events(FILE *file);

}  // namespace cloopw::crash

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Everything that happened to some files, and the crashes that could have been. */
#ifndef CLOOPW_TESTS_CRASH_HISTORY_H
#define CLOOPW_TESTS_CRASH_HISTORY_H

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "image.h"
#include "trouble.h"

namespace cloopw::crash {

constexpr u32 kNever = ~u32{0};

struct Event {
    enum class Kind : u32 { kWrite, kPunch, kAllocate, kFlush, kMark, kLost } kind;
    u64 off = 0;
    u64 len = 0;
    u32 file = 0;
    Bytes data = {};   /* kWrite */
    u32 done = kNever; /* how many events there were when the call returned */
    /*
     * kFlush: how many there were when it was called; only if it was ok. kLost:
     * the number of the write that never comes to the disk.
     */
    u32 begun = kNever;
};

using Events = std::vector<Event>;

/*
 * A file whose changes are kept. Any thread. It is a kernel's: what is written is
 * in memory until it is written back. An error of that is told to one flush, the
 * data is lost all the same, and memory may forget it, too.
 */
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
    /* All files'; what comes after that is kept nowhere. */
    Events take_events();
    u32 count();

    /* Nothing is left in memory that is not on the disk, or to be written to it. */
    void forget_lost();
    /* Memory is all that counts from now on. */
    void leave_disk();

    /* Of the first; set while no other thread runs. */
    u64 max = ~u64{0};                /* bytes the file can have */
    bool tracks_disk = false;         /* it may differ from memory */
    std::shared_ptr<Trouble> trouble; /* or none; those of writing back: tracks_disk */
    /* Of each: no call may come from a thread that has it. */
    std::atomic<cw_mutex *> forbidden = nullptr;
    /* Why not all was well, if so. */
    const std::string &complaint() const { return complaint_; }

private:
    static const cw_io_ops kOps;

    static RecordIo &self(cw_io *io) { return *static_cast<RecordIo *>(io); }
    static int do_pread(cw_io *io, void *buf, size_t len, u64 off);
    static int do_pwrite(cw_io *io, const void *buf, size_t len, u64 off);
    static int do_flush(cw_io *io);
    static int do_allocate(cw_io *io, u64 off, u64 len);
    static int do_punch(cw_io *io, u64 off, u64 len);
    static int do_size(cw_io *io, u64 *size);

    int before(Call call);
    void look_for_lock();
    void add(Event event);
    void write_back(bool fails);
    void lose_some();
    void reload(const Event &event);

    RecordIo *first_; /* has the history and what a test sets */
    u32 file_;
    std::mutex lock_;        /* of the first: guards what follows and all images */
    Image *image_;           /* what a reader sees */
    Image disk_;             /* what was written back */
    std::vector<u32> dirty_; /* events that were not */
    std::vector<u32> lost_;  /* events that are in image_ and not in disk_ */
    int error_ = 0;          /* of writing back; the next flush is told */
    Events events_;
    std::string complaint_;
};

/* All files, recorded. */
struct RecordedFiles {
    RecordedFiles(Files *files, bool whole_pages, u32 block)
        : io{RecordIo(&(*files)[0]), RecordIo(&(*files)[1], &io[0], 1),
             RecordIo(&(*files)[2], &io[0], 2)} {
        for (RecordIo &file : io) {
            file.get()->whole_pages = whole_pages;
            file.get()->physical_block = block;
        }
    }

    RecordIo &first() { return io[0]; }
    Events take_events() {
        for (RecordIo &file : io) {
            file.leave_disk();
        }
        return io[0].take_events();
    }
    void forget_lost() {
        for (RecordIo &file : io) {
            file.forget_lost();
        }
    }

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
    /* block: bytes of which the medium may lose all when one is being written. */
    void crash(Mode mode, u64 block, Random *random, Files *out) const;
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

/* SPDX-License-Identifier: GPL-2.0 */
/* The history of some files, and the crashes that could have been. */
#ifndef CLOOPW_TESTS_CRASH_HISTORY_H
#define CLOOPW_TESTS_CRASH_HISTORY_H

#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "file_image.h"
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
     * kFlush: how many events there were at its call; only for a successful one. kLost:
     * number of the write that never reaches the disk.
     */
    u32 begun = kNever;
};

using Events = std::vector<Event>;

/*
 * A file that records its changes. Any thread. It behaves like a kernel's: written data is
 * in memory until it is written back. A writeback error is reported to one flush. The data
 * is lost all the same, and memory may forget it, too.
 */
class RecordIo : private cw_io {
public:
    explicit RecordIo(Image *image) : RecordIo(image, nullptr, 0) {}
    /* Adds a file to the history of the first. */
    RecordIo(Image *image, RecordIo *first, u32 file);
    RecordIo(const RecordIo &) = delete;
    RecordIo &operator=(const RecordIo &) = delete;

    cw_io *get() { return this; }
    /* A moment of its own in the history. Returns how many events are before it. */
    u32 mark();
    /* Takes all files' events, and ends the recording. */
    Events take_events();
    u32 count();

    /* Drops data from memory that is neither on the disk nor to be written to it. */
    void forget_lost();
    /* From now on only memory counts. */
    void leave_disk();

    /* Only for the first file; set while no other thread runs. */
    u64 max = ~u64{0};                /* bytes that the file can have */
    bool tracks_disk = false;         /* the disk may differ from memory */
    std::shared_ptr<Trouble> trouble; /* or none; writeback errors need tracks_disk */
    /* For each file: no call may come from a thread that holds this lock. */
    std::atomic<cw_mutex *> forbidden = nullptr;
    /* The reason when something was wrong; "" otherwise. */
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

    RecordIo *first_; /* has the history and the test's settings */
    u32 file_;
    std::mutex lock_;        /* the first file's guards what follows and all images */
    Image *image_;           /* the readers' view */
    Image disk_;             /* the data that was written back */
    std::vector<u32> dirty_; /* events that were not written back */
    std::vector<u32> lost_;  /* events that are in image_, but not in disk_ */
    int error_ = 0;          /* writeback error; the next flush reports it */
    Events events_;
    std::string complaint_;
};

/* All files of a device, recorded. */
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
 * Goes through a history, and knows at each place what is on the disk for certain and what
 * may be.
 */
class Replay {
public:
    /* start: the files before the history. Both are borrowed until the end. */
    Replay(const Events &events, const Files *start) : events_(events), durable_(start) {}

    /* Only forwards. */
    void go_to(u32 at);
    /* Makes one of the possible states after a crash at this place. */
    enum class Mode { kAll, kNone, kPrefix, kSubset, kTorn };
    /* block: the bytes that the medium may lose when a write to one is cut off. */
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

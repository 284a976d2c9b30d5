/* SPDX-License-Identifier: GPL-2.0 */
/* Random use of a device, reported to the model. */
#ifndef CLOOPW_TESTS_CRASH_WORKLOAD_H
#define CLOOPW_TESTS_CRASH_WORKLOAD_H

#include <optional>
#include <string>
#include <utility>

#include "model.h"

namespace cloopw::crash {

/* The shape of a case. All of it follows from the seed. */
struct Shape {
    u64 device_bytes;
    u64 most_bytes; /* that the device may grow to; device_bytes: it does not */
    u64 origin;     /* where these bytes begin in the device; zeros are before them */
    std::string codec;
    u64 limit;    /* the log's, in bytes; 0: none */
    u64 file_max; /* bytes the file can have */
    u32 threads;
    u32 ops;          /* operations of each thread */
    u32 max_pages;    /* longest write */
    u32 flush_every;  /* operations */
    u32 noise;        /* so many of 16 pages do not shrink; more: and none is zeros */
    bool resets;      /* the changes are thrown away now and then */
    bool uniform;     /* writes are all of max_pages */
    bool whole_pages; /* like a block device */
    u32 snapshots;    /* how often a new layer is put over the others */
    u32 attaches;     /* how often the device is attached anew, without a crash */
    u32 block;        /* bytes that the medium writes as one */
    Troubles troubles;

    static Shape from(u64 seed, const std::string &codec);
};

void fill_page(u8 *page, u64 len, u32 noise, Random *random);

/* Opens, uses and closes a log; throws Violation. */
class Violation {
public:
    explicit Violation(std::string what) : what_(std::move(what)) {}
    const std::string &what() const { return what_; }

private:
    std::string what_;
};

/* A device over the logs in recorded files. */
class Attached {
public:
    /*
     * Attaches the lowest log that is not frozen, and the logs below it. All offsets and
     * sizes count from origin.
     */
    Attached(cw_io *base, RecordedFiles *files, const char *when, u64 origin = 0);
    ~Attached();
    Attached(const Attached &) = delete;
    Attached &operator=(const Attached &) = delete;

    cw_device *get() const { return device_; }
    u64 size() const;
    /* Bytes that the device lacks of so many count as zeros. */
    Bytes read_all(u64 len) const;
    /* The layers there are now. */
    u32 layers() const { return layers_; }
    /*
     * Puts the next file on top and tells the model. flushes gets the call, because a
     * snapshot makes all data durable. Nothing else may be under way.
     */
    void snapshot(RecordedFiles *files, Model *model, std::vector<FlushCall> *flushes);

private:
    void find_layers(RecordedFiles *files);
    void forbid_locks(bool forbid);

    RecordedFiles *files_;
    u64 origin_;
    cw_device *device_ = nullptr;
    u32 layers_ = 0;
    bool may_snapshot_ = true;
};

/* Runs the operations of one thread on its share of the pages. */
class Worker {
public:
    Worker(const Shape &shape, u32 thread, u64 seed, RecordIo *io, Model *model);

    void run(cw_device *device, u32 ops);
    std::vector<FlushCall> take_flushes() { return std::exchange(flushes_, {}); }
    /* The reason why it stopped, if it found a fault. */
    const std::optional<std::string> &violation() const { return violation_; }

private:
    void step();
    void change(u64 page, u64 pages);
    void write(u64 page, u64 pages);
    void write_part(u64 page);
    void zero(u64 page, u64 pages);
    void discard(u64 page, u64 pages);
    void flush();
    void grow();
    void reset();
    void read(u64 page, u64 pages);
    void finish(u64 page, u64 pages, int err);
    void look(u64 page, u64 pages);
    bool may_be(u64 page, const u8 *content);
    bool is_known_below(u64 page, u64 pages) const;
    u64 place_of(u64 page) const; /* in the device */
    u64 bytes_of(u64 page, u64 pages) const;
    u64 count() const;

    const Shape &shape_;
    cw_device *device_ = nullptr;
    /* The device's log ends when a reset can write neither the new nor the old superblock. */
    bool may_have_ended_ = false;
    RecordIo *io_;
    Model *model_;
    Random random_;
    u64 first_; /* the first of its pages */
    u64 count_; /* its pages, with those that the device gets later */
    std::vector<FlushCall> flushes_;
    std::optional<std::string> violation_;
    Bytes buf_;
};

}  // namespace cloopw::crash

#endif

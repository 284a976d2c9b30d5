/* SPDX-License-Identifier: GPL-2.0 */
/* The content that each page of a device may have after a crash. */
#ifndef CLOOPW_TESTS_CRASH_MODEL_H
#define CLOOPW_TESTS_CRASH_MODEL_H

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "history.h"

namespace cloopw::crash {

/* A page, from the moment when a thread began to make it so. */
struct State {
    u64 hash;
    u32 start;         /* place in the history */
    u32 done = kNever; /* when the call returned, if it succeeded */
};

struct FlushCall {
    u32 start;
    u32 done;
};

/* The device threw its changes away: each page has a state that begins there. */
struct ResetCall {
    u32 start; /* places in the history */
    u32 done = kNever;
};

/* The device became longer. */
struct Growth {
    u64 size;  /* bytes */
    u32 start; /* places in the history */
    u32 done = kNever;
};

/*
 * Each page has one writer, so its states are in order. Each thread may use its own pages
 * without a lock.
 *
 * A model has all pages that the device may ever have. Pages that it has not yet count
 * as zeros.
 */
class Model {
public:
    /* now: the device at the beginning. below: the content that discarded pages show. */
    Model(const Bytes *below, Bytes now);

    u64 size() const { return now_.size(); }
    u64 pages() const { return states_.size(); }
    u64 page_len(u64 page) const;
    const u8 *now(u64 page) const { return now_.data() + page * CW_PAGE_SIZE; }
    const u8 *below(u64 page) const { return below_->data() + page * CW_PAGE_SIZE; }
    /* True when the layer below froze while the page was unknown. */
    bool is_unknown_below(u64 page) const { return unknown_below_[page] != 0; }

    /* A page gets a new content: begin() at the call, and the end below. */
    void begin(u64 page, const u8 *content, u32 start);
    void end(u64 page, u32 done) {
        states_[page].back().done = done;
        unknown_[page] = 0;
    }
    /*
     * After a failed call: the page has this content now. False: it is neither old nor new.
     */
    bool resolve(u64 page, const u8 *content);
    /* The page is unknown until it can be read. */
    void forget(u64 page) { unknown_[page] = 1; }
    bool is_unknown(u64 page) const { return unknown_[page] != 0; }
    /* After an attach: the page has this content, and the next flush makes that durable. */
    void adopt(u64 page, const u8 *content, u32 place);

    /* From now on discarded pages show the present content of the device. */
    void put_layer_over();

    void add_flush(const FlushCall &call) { flushes_.push_back(call); }
    const std::vector<FlushCall> &flushes() const { return flushes_; }
    void add_flushes(const std::vector<FlushCall> &calls);

    /* The device has, or gets, that size. One thread at a time. */
    void grow(const Growth &growth) { growths_.push_back(growth); }
    void reset(const ResetCall &call) { resets_.push_back(call); }
    /* "" when the device may have that size after a cut, else the reason why not. */
    std::string judge_size(u64 size, u32 cut) const;

    /* Place of the last flush that had returned before a cut. */
    u32 flushed(u32 cut) const;
    /* "" when a page may have this content after a cut, else the reason why not. */
    std::string judge(u64 page, const u8 *content, u32 cut, u32 flushed) const;

    /*
     * The same of all pages: a reset that a crash cut off, or that failed, was for all of
     * them or none.
     */
    std::string judge_resets(const Bytes &all, u32 cut, u32 flushed) const;

    void save(FILE *file) const;
    static Model load(FILE *file, const Bytes *below);

private:
    /* May the page have this content of before the reset, or of the reset? */
    struct Sides {
        bool before;
        bool after;
    };
    Sides sides_of(u64 page, const u8 *content, const ResetCall &call, u32 cut, u32 flushed) const;

    const Bytes *below_;
    std::unique_ptr<Bytes> frozen_; /* below_, if it is not the base */
    Bytes now_;
    std::vector<std::vector<State>> states_; /* each page's, the oldest first */
    std::vector<u8> unknown_;                /* each page's: now_ may be wrong */
    std::vector<u8> unknown_below_;          /* each page's: below_ may be wrong */
    std::vector<FlushCall> flushes_;
    std::vector<Growth> growths_;
    std::vector<ResetCall> resets_;
};

}  // namespace cloopw::crash

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* What each page of a device may hold after a crash. */
#ifndef CLOOPW_TESTS_CRASH_MODEL_H
#define CLOOPW_TESTS_CRASH_MODEL_H

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "history.h"

namespace cloopw::crash {

/* A page from the moment somebody began to make it so. */
struct State {
    u64 hash;
    u32 start;         /* place in the history */
    u32 done = kNever; /* when the call had returned, if it went well */
};

struct FlushCall {
    u32 start;
    u32 done;
};

/*
 * Pages have one writer each, so their states are in order. Each thread may
 * use its own pages without a lock.
 */
class Model {
public:
    /* now: the device at the beginning; below: what discarded pages show. */
    Model(const Bytes *below, Bytes now);

    u64 size() const { return now_.size(); }
    u64 pages() const { return states_.size(); }
    u64 page_len(u64 page) const;
    const u8 *now(u64 page) const { return now_.data() + page * CW_PAGE_SIZE; }
    const u8 *below(u64 page) const { return below_->data() + page * CW_PAGE_SIZE; }
    /* The layer below froze while nobody could tell what the page was. */
    bool is_unknown_below(u64 page) const { return unknown_below_[page] != 0; }

    /* A page gets a new content: the call begins, and is over. */
    void begin(u64 page, const u8 *content, u32 start);
    void end(u64 page, u32 done) {
        states_[page].back().done = done;
        unknown_[page] = 0;
    }
    /* After a call that failed: what the page is now. False: neither old nor new. */
    bool resolve(u64 page, const u8 *content);
    /* Which of the two it is, nobody can tell until it can be read. */
    void forget(u64 page) { unknown_[page] = 1; }
    bool is_unknown(u64 page) const { return unknown_[page] != 0; }
    /* After an attach: the page is this, and the next flush makes that durable. */
    void adopt(u64 page, const u8 *content, u32 place);

    /* From now on discarded pages show what the device holds now. */
    void put_layer_over();

    void add_flush(const FlushCall &call) { flushes_.push_back(call); }
    const std::vector<FlushCall> &flushes() const { return flushes_; }
    void add_flushes(const std::vector<FlushCall> &calls);

    /* Place of the last flush that had returned before a cut. */
    u32 flushed(u32 cut) const;
    /* "" when a page may have this content after a cut, else why not. */
    std::string judge(u64 page, const u8 *content, u32 cut, u32 flushed) const;

    void save(FILE *file) const;
    static Model load(FILE *file, const Bytes *below);

private:
    const Bytes *below_;
    std::unique_ptr<Bytes> frozen_; /* below_, when it is not the base */
    Bytes now_;
    std::vector<std::vector<State>> states_; /* of each page, the first first */
    std::vector<u8> unknown_;                /* of each page: now_ is not what it is */
    std::vector<u8> unknown_below_;          /* of each page: below_ is not what it is */
    std::vector<FlushCall> flushes_;
};

}  // namespace cloopw::crash

#endif

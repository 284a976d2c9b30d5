/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Many threads work on the blocks of one stream, and the results leave in order.
 *
 * There are no special threads. Each thread claims the next block and works on it. If that
 * block is then the oldest, the thread emits it and the finished ones behind it. A thread
 * does not claim a block more than a window ahead of the oldest. So the window bounds the
 * memory.
 */
#ifndef CLOOPW_MKCLOOPW_ORDERED_POOL_H
#define CLOOPW_MKCLOOPW_ORDERED_POOL_H

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "lib/image/image_writer.h"

namespace cloopw {

struct OrderedPoolConfig {
    unsigned threads = 1;
    unsigned window = 3; /* blocks in flight or waiting, at least threads */
    const std::atomic<bool> *cancelled = nullptr;
    /* The thread that called run() calls it a few times a second. */
    std::function<void()> tick;
};

/* The three stages. An exception of a stage ends the run, and run() throws it. */
class OrderedWork {
public:
    virtual ~OrderedWork() = default;

    /* In order, one thread at a time: prepares block n. False: there is no such block. */
    virtual bool claim(unsigned thread, u64 n, Block &block) = 0;
    /*
     * In any order, on many threads. thread is 0..threads - 1: the one that claimed the
     * block.
     */
    virtual void work(unsigned thread, u64 n, Block &block) = 0;
    /* In order, one thread at a time. */
    virtual void emit(u64 n, Block &block) = 0;
};

class OrderedPool {
public:
    OrderedPool(const OrderedPoolConfig &config, OrderedWork &work);

    /*
     * Returns when all blocks have been emitted. Call it once. Throws a stage's exception.
     */
    void run();

private:
    struct Slot {
        Block block;
        bool done = false; /* lock_; worked on, not yet emitted */
    };

    void thread_main(unsigned thread);
    bool claim(unsigned thread, u64 &n);
    bool is_cancelled() const { return config_.cancelled != nullptr && *config_.cancelled; }
    void leave(u64 n);
    void fail(std::exception_ptr error);
    Slot &slot(u64 n) { return slots_[n % slots_.size()]; }

    const OrderedPoolConfig config_;
    OrderedWork &work_;
    std::mutex claim_lock_; /* taken before lock_ */
    u64 claimed_ = 0;       /* claim_lock_ */

    std::mutex lock_;
    std::condition_variable moved_; /* oldest_, stop_ */
    std::condition_variable ended_; /* running_ */
    std::vector<Slot> slots_;       /* a slot belongs to its thread until done */
    u64 oldest_ = 0;                /* lock_; the oldest block not yet emitted */
    bool emitting_ = false;         /* lock_ */
    bool stop_ = false;             /* lock_; after an error or the last block */
    unsigned running_ = 0;          /* lock_; number of threads */
    std::exception_ptr error_;      /* lock_; the first */
};

}  // namespace cloopw

#endif

// SPDX-License-Identifier: GPL-2.0
#include "ordered_pool.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace cloopw {

OrderedPool::OrderedPool(const OrderedPoolConfig &config, OrderedWork &work)
    : config_(config), work_(work), slots_(std::max(config.window, config.threads)) {}

void OrderedPool::run() {
    running_ = config_.threads;
    std::vector<std::jthread> threads;
    threads.reserve(config_.threads);
    try {
        for (unsigned i = 0; i < config_.threads; i++) {
            threads.emplace_back([this, i] { thread_main(i); });
        }
    } catch (...) {
        std::lock_guard guard(lock_);
        running_ -= config_.threads - static_cast<unsigned>(threads.size());
        stop_ = true;
        error_ = std::current_exception();
    }

    std::unique_lock guard(lock_);
    while (running_ != 0) {
        ended_.wait_for(guard, std::chrono::milliseconds(100));
        if (config_.tick) {
            guard.unlock();
            config_.tick();
            guard.lock();
        }
    }
    if (error_) {
        std::rethrow_exception(error_);
    }
}

void OrderedPool::thread_main(unsigned thread) {
    try {
        u64 n = 0;
        while (claim(thread, n)) {
            work_.work(thread, n, slot(n).block);
            leave(n);
        }
    } catch (...) {
        fail(std::current_exception());
    }
    std::lock_guard guard(lock_);
    running_--;
    ended_.notify_all();
}

/* Waits until the window has room, then takes the next block. */
bool OrderedPool::claim(unsigned thread, u64 &n) {
    std::lock_guard order(claim_lock_);
    n = claimed_;
    {
        std::unique_lock guard(lock_);
        moved_.wait(guard, [&] { return stop_ || n < oldest_ + slots_.size(); });
        if (stop_) {
            return false;
        }
    }
    if (is_cancelled()) {
        throw Error("interrupted", EINTR);
    }
    if (!work_.claim(thread, n, slot(n).block)) {
        std::lock_guard guard(lock_);
        stop_ = true;
        moved_.notify_all();
        return false;
    }
    claimed_++;
    return true;
}

/*
 * Marks a block as done and emits all finished blocks in order, unless another thread does.
 */
void OrderedPool::leave(u64 n) {
    std::unique_lock guard(lock_);
    slot(n).done = true;
    if (emitting_) {
        return;
    }
    emitting_ = true;
    while (slot(oldest_).done && !error_) {
        u64 next = oldest_;
        guard.unlock();
        work_.emit(next, slot(next).block);
        guard.lock();
        slot(next).done = false;
        oldest_++;
        moved_.notify_all();
    }
    emitting_ = false;
}

void OrderedPool::fail(std::exception_ptr error) {
    std::lock_guard guard(lock_);
    if (!error_) {
        error_ = std::move(error);
    }
    stop_ = true;
    moved_.notify_all();
}

}  // namespace cloopw

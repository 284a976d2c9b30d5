/* SPDX-License-Identifier: GPL-2.0 */
/* Threads wait there until all of them are ready. */
#ifndef CLOOPW_UBLKD_GATE_H
#define CLOOPW_UBLKD_GATE_H

#include <condition_variable>
#include <mutex>

namespace cloopw {

class Gate {
public:
    /* Lets those through that wait, and all that come. */
    void open() { become(State::kOpen); }
    /* Sends them away. */
    void end() { become(State::kEnded); }

    /* false: there is nothing to be done. */
    bool pass() {
        std::unique_lock guard(lock_);
        changed_.wait(guard, [this] { return state_ != State::kClosed; });
        return state_ == State::kOpen;
    }

private:
    enum class State { kClosed, kOpen, kEnded };

    void become(State state) {
        {
            const std::lock_guard guard(lock_);
            state_ = state;
        }
        changed_.notify_all();
    }

    std::mutex lock_;
    std::condition_variable changed_;
    State state_ = State::kClosed; /* lock_ */
};

}  // namespace cloopw

#endif

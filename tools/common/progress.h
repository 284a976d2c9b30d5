/* SPDX-License-Identifier: GPL-2.0 */
/* Progress: a bar, amount, rate and time left on a terminal; or plain lines. */
#ifndef CLOOPW_TOOLS_PROGRESS_H
#define CLOOPW_TOOLS_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <string>

#include "tool.h"

namespace cloopw {

/*
 * Progress in plain lines from then on, for logs, too. Call it before there is a Progress.
 */
void set_progress_lines(bool on);

/*
 * Silent unless wanted, and streams.err is a terminal or lines are set. For one thread.
 * done() and the destructor erase the bar, so that an error starts on a clean line.
 */
class Progress {
public:
    /*
     * total: bytes in all. 0: not known (standard input); then there is no bar and no time
     * left.
     */
    Progress(Streams &streams, bool wanted, uint64_t total);
    ~Progress();
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;

    /*
     * bytes: done in all so far. Cheap; draws at most ten times a second, and prints at most a
     * line in five seconds.
     */
    void update(uint64_t bytes);
    void done();

    /* The line that update() would draw; columns 0: that it would print. */
    static std::string line(uint64_t bytes, uint64_t total, double seconds, int columns);

private:
    using Clock = std::chrono::steady_clock;

    Streams &streams_;
    bool shown_;
    bool drawn_ = false;
    uint64_t total_;
    Clock::time_point start_ = Clock::now();
    Clock::time_point next_ = start_;
};

}  // namespace cloopw

#endif

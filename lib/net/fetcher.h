/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fetches ranges of one file by http, many at a time, in one thread. It tries again what
 * fails, and says so when that takes long. The thread begins with the first range. rest()
 * ends it.
 */
#ifndef CLOOPW_NET_FETCHER_H
#define CLOOPW_NET_FETCHER_H

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "transfer.h"

namespace cloopw {

/* One range. The callbacks run in the fetcher's thread and may take locks of their owner. */
struct FetchJob {
    ByteRange range{};
    bool urgent = false;      /* a reader waits for it; only the fetcher changes it */
    bool past_caches = false; /* a proxy's copy is known to be wrong */
    std::function<void(const char *, size_t)> take; /* bytes, in order, each once */
    std::function<void(int err)> done;              /* 0 or -errno, once, at the end */
};

class Fetcher {
public:
    /* url: check_url() took it. settings are borrowed. */
    Fetcher(std::string url, const NetSettings &settings);
    Fetcher(const Fetcher &) = delete;
    Fetcher &operator=(const Fetcher &) = delete;
    ~Fetcher();

    /*
     * Asks the server for the file's version, and pins that. Before all else, and in the
     * caller's thread. Throws Error.
     */
    const RemoteVersion &pin();
    /* Pins what a cache remembers. */
    void pin(const RemoteVersion &version) { pinned_ = version; }

    /* Any thread. Urgent jobs go first, and never wait for the others. */
    void submit(const std::shared_ptr<FetchJob> &job);
    /* A reader waits for the job now. */
    void hurry(const std::shared_ptr<FetchJob> &job);

    /*
     * Ends the thread and the connections. Unfinished jobs are done with -EAGAIN. The next
     * job begins the thread again, also in a process that was forked meanwhile.
     */
    void rest();

    /* Nobody waits any longer: jobs are done with -EIO, from now on. */
    void abandon();

    struct Stats {
        u64 requests; /* sent to the server */
        u64 bytes;    /* the file's, received */
    };
    Stats stats() const; /* any thread */

private:
    using Clock = std::chrono::steady_clock;

    /* A job that is at work, or waits for its next try. The thread's own. */
    struct Running {
        std::shared_ptr<FetchJob> job;
        std::unique_ptr<Transfer> transfer; /* nullptr: waits until next_try */
        u64 received = 0;                   /* bytes of the range that were taken */
        unsigned int tries = 0;             /* that failed */
        std::string reason;                 /* why the last one failed */
        Clock::time_point began;
        Clock::time_point next_try;
    };

    void run();
    bool take_jobs();
    void begin(CURLM *multi, Running &running);
    void begin_due(CURLM *multi);
    bool is_over(const Running &running) const; /* the time of its reader */
    bool collect(CURLM *multi);                 /* true: a transfer has ended */
    void end(Running &running, CURLcode code);
    void give_up(Running &running);
    void try_later(Running &running, const std::string &reason);
    void finish(Running &running, int err);
    int wait_time() const;
    size_t running_in_advance() const;
    void note_failure(const std::string &reason);
    void note_success();
    void cancel(CURLM *multi, int err);
    bool is_abandoned() const;
    RemoteVersion ask_version() const;

    const std::string url_;
    const NetSettings &settings_;
    RemoteVersion pinned_; /* constant after pin() */

    mutable std::mutex lock_;
    bool stopping_ = false;                        /* lock_ */
    bool abandoned_ = false;                       /* lock_ */
    std::deque<std::shared_ptr<FetchJob>> urgent_; /* lock_; not begun yet */
    std::deque<std::shared_ptr<FetchJob>> ahead_;  /* lock_; the same */
    Stats stats_{};                                /* lock_ */
    std::thread thread_;                           /* lock_ */
    CurlMulti multi_;                              /* lock_; the thread's while it runs */

    std::vector<std::unique_ptr<Running>> running_; /* the thread's */
    Clock::time_point failing_since_;               /* the thread's; zero: it is not failing */
    bool said_ = false;                             /* the thread's: the outage was reported */
};

}  // namespace cloopw

#endif

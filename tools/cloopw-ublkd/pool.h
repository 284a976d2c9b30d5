/* SPDX-License-Identifier: GPL-2.0 */
/* Threads that do what may take long. */
#ifndef CLOOPW_UBLKD_POOL_H
#define CLOOPW_UBLKD_POOL_H

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/cloopw.h"
#include "requests.h"

namespace cloopw {

/* Takes what a job came to. Called by the pool's threads. */
class Completion {
public:
    virtual ~Completion() = default;
    virtual void complete(unsigned int tag, int result) = 0;
};

class Pool {
public:
    /*
     * most: jobs that are there at a time. The device and failed are there until the end.
     * failed becomes true before a request completes that the failed device refused. Then
     * all but reads are errors.
     */
    Pool(Device &device, unsigned int threads, size_t most, std::atomic<bool> &failed);
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;
    /* Does first what was added. */
    ~Pool();

    /* node: the character device. Before the first job. */
    void begin(int node) { node_ = node; }

    struct Job {
        UblkRequest request;
        unsigned int tag = 0;
        Completion *owner = nullptr;
    };
    /* Allocates nothing. */
    void add(const std::vector<Job> &jobs);

private:
    void end();
    void work();
    void run(const Job &job, RequestBuffer &buffer);

    Device &device_;
    std::atomic<bool> &failed_;
    int node_ = -1; /* constant once there are jobs */
    std::mutex lock_;
    std::condition_variable there_;
    std::vector<Job> jobs_; /* lock_; a ring */
    size_t first_ = 0;      /* lock_; in the ring */
    size_t nr_ = 0;         /* lock_; that are there */
    bool ending_ = false;   /* lock_ */
    std::vector<std::thread> threads_;
};

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Threads that do what may take long. */
#ifndef CLOOPW_UBLKD_POOL_H
#define CLOOPW_UBLKD_POOL_H

#include <condition_variable>
#include <deque>
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
    /* The device is there until the end; node: the character device. */
    Pool(cw_device &device, int node, unsigned int threads);
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;
    /* Does first what was added. */
    ~Pool();

    struct Job {
        UblkRequest request;
        unsigned int tag = 0;
        Completion *owner = nullptr;
    };
    void add(const std::vector<Job> &jobs);

private:
    void work();

    cw_device &device_;
    const int node_;
    std::mutex lock_; /* guards jobs_, ending_ */
    std::condition_variable there_;
    std::deque<Job> jobs_;
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace cloopw

#endif

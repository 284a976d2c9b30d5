/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One hardware queue of the block device: a thread with a ring of its own. The kernel
 * takes the commands of a queue from one thread only.
 */
#ifndef CLOOPW_UBLKD_QUEUE_H
#define CLOOPW_UBLKD_QUEUE_H

#include <liburing.h>

#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "gate.h"
#include "lib/fd.h"
#include "pool.h"

namespace cloopw {

class Queue : public Completion {
public:
    /*
     * Its thread passes the gate, and then fetches requests until the device is stopped;
     * then SIGINT tells the process. When the kernel takes no commands any more, the process
     * aborts: its parent starts another. Throws Error.
     */
    Queue(cw_device &device, Pool &pool, unsigned int id, unsigned int depth, Gate &gate);
    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;
    /* Waits for the thread, which ends when the kernel has stopped the device. */
    ~Queue() override;

    /* node: the character device. Before the gate opens. Throws Error. */
    void share(int node);
    void complete(unsigned int tag, int result) override;

private:
    using Done = std::vector<std::pair<unsigned int, int>>;

    io_uring_sqe *next_sqe();
    void command(unsigned int op, unsigned int tag, int result);
    void watch_wake();
    void run();
    void take(unsigned int tag, int result);
    void commit_done();
    void hand_over();

    cw_device &device_;
    Pool &pool_;
    Gate &gate_;
    int node_ = -1; /* constant once the gate is open */
    const unsigned int id_;
    const unsigned int depth_;
    io_uring ring_ = {};
    const ublksrv_io_desc *requests_ = nullptr; /* the kernel writes them; one a tag */
    size_t mapped_ = 0;                         /* bytes */
    Fd wake_;                                   /* eventfd: done_ has something */
    uint64_t woken_ = 0;                        /* the number that was read from it */
    unsigned int fetching_ = 0;                 /* tags that the kernel or the pool has */
    RequestBuffer buffer_;                      /* the queue thread's */
    std::vector<Pool::Job> jobs_;               /* this round's */
    std::mutex lock_;                           /* guards done_ */
    Done done_;                                 /* room for all tags */
    Done committing_;                           /* the queue thread's; the same */
    std::thread thread_;
};

}  // namespace cloopw

#endif

// SPDX-License-Identifier: GPL-2.0
#include "queue.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lib/error.h"
#include "lib/serve/read_hints.h"

namespace cloopw {
namespace {

constexpr uint64_t kWake = UINT64_MAX; /* user_data: not a tag */

[[noreturn]] void give_up(const char *what, int err) {
    (void)fprintf(stderr, "cloopw-ublkd: error: ublk: %s: %s\n", what, errno_text(err).c_str());
    std::abort();
}

size_t whole_pages(size_t bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
}

}  // namespace

Queue::Queue(cw_device &device, Pool &pool, unsigned int id, unsigned int depth, Gate &gate)
    : device_(device),
      pool_(pool),
      gate_(gate),
      id_(id),
      depth_(depth),
      mapped_(whole_pages(depth * sizeof(ublksrv_io_desc))),
      wake_(eventfd(0, EFD_CLOEXEC)) {
    const int err = wake_.get() < 0 ? -errno : io_uring_queue_init(2 * depth, &ring_, 0);
    if (err != 0) {
        throw io_error("io_uring", "cannot be used", err);
    }
    jobs_.reserve(depth);
    done_.reserve(depth);
    committing_.reserve(depth);
    thread_ = std::thread([this] {
        if (gate_.pass()) {
            run();
        }
    });
}

Queue::~Queue() {
    gate_.end();
    thread_.join();
    io_uring_queue_exit(&ring_);
    if (requests_ != nullptr) {
        munmap(const_cast<ublksrv_io_desc *>(requests_), mapped_);
    }
}

void Queue::share(int node) {
    const size_t apart = whole_pages(UBLK_MAX_QUEUE_DEPTH * sizeof(ublksrv_io_desc));
    void *map = mmap(nullptr, mapped_, PROT_READ, MAP_SHARED | MAP_POPULATE, node,
                     static_cast<off_t>(UBLKSRV_CMD_BUF_OFFSET + id_ * apart));
    if (map == MAP_FAILED) {
        throw io_error("ublk", "cannot share its queue " + std::to_string(id_), errno);
    }
    requests_ = static_cast<const ublksrv_io_desc *>(map);
    node_ = node;
}

/* The ring has two entries a tag, and each tag has one at most: there is always one. */
io_uring_sqe *Queue::next_sqe() {
    io_uring_sqe *sqe = io_uring_get_sqe(&ring_);
    memset(sqe, 0, sizeof(*sqe));
    return sqe;
}

void Queue::command(unsigned int op, unsigned int tag, int result) {
    ublksrv_io_cmd request = {};
    request.q_id = static_cast<uint16_t>(id_);
    request.tag = static_cast<uint16_t>(tag);
    request.result = result;
    io_uring_sqe *sqe = next_sqe();
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = node_;
    sqe->cmd_op = op;
    sqe->user_data = tag;
    memcpy(sqe->cmd, &request, sizeof(request));
}

void Queue::watch_wake() {
    io_uring_sqe *sqe = next_sqe();
    io_uring_prep_read(sqe, wake_.get(), &woken_, sizeof(woken_), 0);
    sqe->user_data = kWake;
}

void Queue::complete(unsigned int tag, int result) {
    bool first = false;
    {
        const std::lock_guard guard(lock_);
        first = done_.empty();
        done_.emplace_back(tag, result);
    }
    if (first) {
        (void)eventfd_write(wake_.get(), 1);
    }
}

void Queue::commit_done() {
    {
        const std::lock_guard guard(lock_);
        committing_.swap(done_);
    }
    for (const auto &[tag, result] : committing_) {
        command(ublk::kCommitAndFetch, tag, result);
    }
    committing_.clear();
}

/* A tag came back from the kernel: with a request, or for ever. */
void Queue::take(unsigned int tag, int result) {
    if (result == UBLK_IO_RES_ABORT) {
        fetching_--;
        return;
    }
    if (result != UBLK_IO_RES_OK) {
        give_up("the kernel refuses a command", result);
    }
    const UblkRequest request = {requests_[tag], ublk::data_offset(id_, tag), {}};
    int bytes = 0;
    if (run_cached(device_, node_, request, buffer_, &bytes)) {
        command(ublk::kCommitAndFetch, tag, bytes);
    } else {
        jobs_.push_back({request, tag, this});
    }
}

/* The reads among them that follow each other are fetched at once. */
void Queue::hand_over() {
    std::vector<ByteRange> reads;
    for (const Pool::Job &job : jobs_) {
        if (is_read(job.request)) {
            reads.push_back(range_of(job.request));
        }
    }
    const std::vector<ByteRange> streams = streams_of(reads);
    auto stream = streams.begin();
    for (Pool::Job &job : jobs_) {
        if (is_read(job.request)) {
            job.request.soon = *stream++;
        }
    }
    pool_.add(jobs_);
    jobs_.clear();
}

void Queue::run() {
    for (unsigned int tag = 0; tag < depth_; tag++) {
        command(ublk::kFetch, tag, 0);
    }
    fetching_ = depth_;
    watch_wake();
    while (fetching_ > 0) {
        const int err = io_uring_submit_and_wait(&ring_, 1);
        if (err < 0 && err != -EINTR) {
            give_up("the ring of a queue fails", err);
        }
        io_uring_cqe *cqe = nullptr;
        unsigned int head = 0;
        unsigned int seen = 0;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            seen++;
            if (cqe->user_data == kWake) {
                commit_done();
                watch_wake();
            } else {
                take(static_cast<unsigned int>(cqe->user_data), cqe->res);
            }
        }
        io_uring_cq_advance(&ring_, seen);
        if (!jobs_.empty()) {
            hand_over();
        }
    }
    (void)kill(getpid(), SIGINT);
}

}  // namespace cloopw

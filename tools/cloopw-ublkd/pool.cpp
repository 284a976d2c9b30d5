// SPDX-License-Identifier: GPL-2.0
#include "pool.h"

namespace cloopw {

Pool::Pool(cw_device &device, int node, unsigned int threads) : device_(device), node_(node) {
    threads_.reserve(threads);
    for (unsigned int i = 0; i < threads; i++) {
        threads_.emplace_back([this] { work(); });
    }
}

Pool::~Pool() {
    {
        const std::lock_guard guard(lock_);
        ending_ = true;
    }
    there_.notify_all();
    for (std::thread &thread : threads_) {
        thread.join();
    }
}

void Pool::add(const std::vector<Job> &jobs) {
    {
        const std::lock_guard guard(lock_);
        jobs_.insert(jobs_.end(), jobs.begin(), jobs.end());
    }
    for (size_t i = 0; i < jobs.size() && i < threads_.size(); i++) {
        there_.notify_one();
    }
}

void Pool::work() {
    RequestBuffer buffer;
    for (;;) {
        Job job;
        {
            std::unique_lock guard(lock_);
            there_.wait(guard, [this] { return ending_ || !jobs_.empty(); });
            if (jobs_.empty()) {
                return;
            }
            job = jobs_.front();
            jobs_.pop_front();
        }
        job.owner->complete(job.tag, run_request(device_, node_, job.request, buffer));
    }
}

}  // namespace cloopw

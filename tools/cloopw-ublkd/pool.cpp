// SPDX-License-Identifier: GPL-2.0
#include "pool.h"

#include <cerrno>

namespace cloopw {

Pool::Pool(Device &device, unsigned int threads, size_t most, std::atomic<bool> &failed)
    : device_(device), failed_(failed), jobs_(most) {
    threads_.reserve(threads);
    try {
        for (unsigned int i = 0; i < threads; i++) {
            threads_.emplace_back([this] { work(); });
        }
    } catch (const std::exception &) {
        end();
        throw;
    }
}

Pool::~Pool() { end(); }

void Pool::end() {
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
        for (const Job &job : jobs) {
            jobs_[(first_ + nr_++) % jobs_.size()] = job;
        }
    }
    for (size_t i = 0; i < jobs.size() && i < threads_.size(); i++) {
        there_.notify_one();
    }
}

void Pool::run(const Job &job, RequestBuffer &buffer) {
    const bool refused = failed_ && !is_read(job.request);
    const int result = refused ? -EIO : run_request(device_.get(), node_, job.request, buffer);
    if (result < 0 && device_.has_failed()) {
        failed_ = true;
    }
    job.owner->complete(job.tag, result);
}

void Pool::work() {
    RequestBuffer buffer;
    for (;;) {
        Job job;
        {
            std::unique_lock guard(lock_);
            there_.wait(guard, [this] { return ending_ || nr_ != 0; });
            if (nr_ == 0) {
                return;
            }
            job = jobs_[first_];
            first_ = (first_ + 1) % jobs_.size();
            nr_--;
        }
        run(job, buffer);
    }
}

}  // namespace cloopw

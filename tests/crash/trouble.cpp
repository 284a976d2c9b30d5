// SPDX-License-Identifier: GPL-2.0
#include "trouble.h"

#include <chrono>
#include <thread>

namespace cloopw::crash {

Trouble::Trouble(u64 seed, const Troubles &kinds)
    : kinds_(kinds), random_(seed), rate_(u64{32} << random_() % 6) {}

int Trouble::thin() {
    if (thin_left_ == 0 && random_() % 64 == 0) {
        thin_left_ = 1 + random_() % 4;
    }
    if (thin_left_ == 0) {
        return 0;
    }
    thin_left_--;
    return -ENOSPC;
}

int Trouble::error_of(Call call) {
    const u64 dice = random_() % 4;
    switch (call) {
        case Call::kRead:
            return -EIO;
        case Call::kPunch:
            return dice == 0 ? -EOPNOTSUPP : -EIO;
        default:
            return dice == 0 ? -ENOSPC : -EIO;
    }
}

int Trouble::fault(Call call) {
    Fault &fault = faults_[static_cast<u32>(call)];
    if (fault.left == 0 && random_() % rate_ == 0) {
        static constexpr u64 kLengths[] = {1, 1, 1, 2, 8, ~u64{0}};
        fault = {error_of(call), kLengths[random_() % std::size(kLengths)]};
    }
    if (fault.left == 0) {
        return 0;
    }
    fault.left--;
    return fault.err;
}

int Trouble::before(Call call) {
    int err = 0;
    {
        std::lock_guard<std::mutex> hold(lock_);
        if (kinds_.thin && call == Call::kWrite) {
            err = thin();
        }
        if (kinds_.errors && err == 0) {
            err = fault(call);
        }
    }
    if (call == Call::kWrite) {
        pause();
    }
    return err;
}

void Trouble::pause() {
    u64 dice = 1;
    if (kinds_.delays) {
        std::lock_guard<std::mutex> hold(lock_);
        dice = random_();
    }
    if (dice % 16 == 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(dice / 16 % 300));
    }
}

bool Trouble::loses() {
    std::lock_guard<std::mutex> hold(lock_);
    return kinds_.writeback && random_() % rate_ == 0;
}

bool Trouble::flip() {
    std::lock_guard<std::mutex> hold(lock_);
    return random_() % 2 == 0;
}

}  // namespace cloopw::crash

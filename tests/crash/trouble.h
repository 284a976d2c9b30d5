/* SPDX-License-Identifier: GPL-2.0 */
/* What a medium does to calls: delays, errors, and data that it loses. */
#ifndef CLOOPW_TESTS_CRASH_TROUBLE_H
#define CLOOPW_TESTS_CRASH_TROUBLE_H

#include <array>
#include <mutex>
#include <random>

#include "image.h"

namespace cloopw::crash {

using Random = std::mt19937_64;

enum class Call : u32 { kRead, kWrite, kAllocate, kPunch };

/* Which trouble there is; all false: none. */
struct Troubles {
    bool delays = false;    /* lets threads meet in unusual places */
    bool thin = false;      /* writes fail with ENOSPC, some in a row */
    bool errors = false;    /* calls fail, once or for some time or for ever */
    bool writeback = false; /* what was written is lost, and one flush is told */

    bool any() const { return delays || thin || errors || writeback; }
    /* Calls may end with other errors than ENOSPC. */
    bool may_fail() const { return errors || writeback; }
};

/* Any thread. The same seed and the same calls: the same trouble. */
class Trouble {
public:
    Trouble(u64 seed, const Troubles &kinds);

    bool may_fail() const { return kinds_.may_fail(); }

    /* Before a call: its error or 0. */
    int before(Call call);
    /* Where other threads are to come in between. */
    void pause();
    /* Does this writing back of the file fail? */
    bool loses();
    /* Of what fails: is it this write? And is it gone from memory, too? */
    bool flip();

private:
    struct Fault {
        int err = 0;
        u64 left = 0; /* calls that it is to meet */
    };

    int thin();
    int fault(Call call);
    int error_of(Call call);

    Troubles kinds_;
    std::mutex lock_;
    Random random_; /* lock_, as all below */
    u64 rate_;      /* one of so many calls fails */
    u64 thin_left_ = 0;
    std::array<Fault, 4> faults_;
};

}  // namespace cloopw::crash

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Troubles of a medium: delays, errors, and lost data. */
#ifndef CLOOPW_TESTS_CRASH_TROUBLE_H
#define CLOOPW_TESTS_CRASH_TROUBLE_H

#include <array>
#include <mutex>
#include <random>

#include "file_image.h"

namespace cloopw::crash {

using Random = std::mt19937_64;

enum class Call : u32 { kRead, kWrite, kAllocate, kPunch };

/* The kinds of trouble; all false: none. */
struct Troubles {
    bool delays = false;    /* threads meet in unusual places */
    bool thin = false;      /* writes fail with ENOSPC, some in a row */
    bool errors = false;    /* calls fail, once or for some time or for ever */
    bool writeback = false; /* written data is lost, and one flush reports it */

    bool any() const { return delays || thin || errors || writeback; }
    /* Can calls fail with other errors than ENOSPC? */
    bool may_fail() const { return errors || writeback; }
};

/* Any thread. The same seed and the same calls give the same trouble. */
class Trouble {
public:
    Trouble(u64 seed, const Troubles &kinds);

    bool may_fail() const { return kinds_.may_fail(); }

    /* Before a call: its error or 0. */
    int before(Call call);
    /* A place where other threads shall come in between. */
    void pause();
    /* Does this writeback of the file fail? */
    bool loses();
    /* For a failing writeback: is it this write, and is it gone from memory, too? */
    bool flip();

private:
    struct Fault {
        int err = 0;
        u64 left = 0; /* calls that it is still to meet */
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

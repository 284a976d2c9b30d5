/* SPDX-License-Identifier: GPL-2.0 */
/* Tells when a COW's state changes or its space becomes low, as the driver's watch does. */
#ifndef CLOOPW_SERVE_SPACE_WATCH_H
#define CLOOPW_SERVE_SPACE_WATCH_H

#include "lib/cloopw.h"
#include "lib/cow/low_space.h"

namespace cloopw {

struct SpaceEvent {
    cw_cow_state state = CW_COW_OK;
    bool low = false;
    u64 available = CW_CAPACITY_UNKNOWN; /* bytes */
};

/* Passes an event on, to udev for example. Must not throw. false: it is to be told again. */
class TellsSpace {
public:
    virtual ~TellsSpace() = default;
    virtual bool tell(const SpaceEvent &event) = 0;
};

/* One thread at a time uses it. */
class SpaceWatch {
public:
    /* to == nullptr: nobody can be told. It is there as long as the watch. */
    explicit SpaceWatch(TellsSpace *to = nullptr) : to_(to) {}

    bool can_tell() const { return to_ != nullptr; }
    const LowSpace &mark() const { return mark_; } /* below it the space is low */
    void set_mark(const LowSpace &mark) { mark_ = mark; }
    /* Tells of what is not as it was told last. */
    void look(const Device &device);

private:
    TellsSpace *to_;
    LowSpace mark_;
    SpaceEvent told_;
};

}  // namespace cloopw

#endif

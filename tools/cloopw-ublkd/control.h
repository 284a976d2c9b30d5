/* SPDX-License-Identifier: GPL-2.0 */
/* /dev/ublk-control: adds, starts, recovers and removes devices. */
#ifndef CLOOPW_UBLKD_CONTROL_H
#define CLOOPW_UBLKD_CONTROL_H

#include <liburing.h>

#include <cstdint>
#include <string>

#include "abi.h"
#include "lib/fd.h"

namespace cloopw {

/* For one thread. Every call throws Error with the kernel's reason. */
class UblkControl {
public:
    /* Throws Error with the remedy when the kernel has no ublk, or io_uring is disabled. */
    UblkControl();
    UblkControl(const UblkControl &) = delete;
    UblkControl &operator=(const UblkControl &) = delete;
    ~UblkControl();

    /* UBLK_F_*; 0 from a kernel that cannot tell. */
    uint64_t features();

    /* info.dev_id -1: a free one. Returns what the kernel made of it. */
    ublksrv_ctrl_dev_info add(ublksrv_ctrl_dev_info info);
    void set_params(uint32_t id, ublk_params params);
    /* The queues have fetched, or do so meanwhile: the kernel waits for them. */
    void start(uint32_t id);
    /* Ends requests under way with errors, and the block device. */
    void stop(uint32_t id);
    /*
     * Does not wait for programs that have the block device open. node: of the character
     * device, or none; while it is open, the kernel gives the number to no other device.
     */
    void remove(uint32_t id, Fd node);

    /* false: the kernel has not noticed yet that the server before has ended. */
    bool start_recovery(uint32_t id);
    void end_recovery(uint32_t id);
    ublksrv_ctrl_dev_info info(uint32_t id);

    /* The size of a device in use; only where features() has kCanUpdateSize. */
    void update_size(uint32_t id, uint64_t sectors);

private:
    int command(unsigned int op, uint32_t id, void *buf, uint16_t len, uint64_t data = 0);
    void must(int result, const std::string &what, uint32_t id) const;

    Fd fd_;
    io_uring ring_ = {};
};

}  // namespace cloopw

#endif

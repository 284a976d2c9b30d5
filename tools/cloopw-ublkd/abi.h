/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's ublk interface. Debian 12's header has the structures, which have not
 * changed since. The commands and flags of later kernels stand here, with their numbers
 * from include/uapi/linux/ublk_cmd.h of Linux 6.12.
 */
#ifndef CLOOPW_UBLKD_ABI_H
#define CLOOPW_UBLKD_ABI_H

#include <linux/ioctl.h>
#include <linux/ublk_cmd.h>

#include <cstdint>

namespace cloopw::ublk {

/* Commands to /dev/ublk-control, encoded as ioctls are. */
constexpr unsigned int control_read(unsigned int nr) { return _IOR('u', nr, ublksrv_ctrl_cmd); }
constexpr unsigned int control_write(unsigned int nr) { return _IOWR('u', nr, ublksrv_ctrl_cmd); }
constexpr unsigned int kGetInfo = control_read(0x02);
constexpr unsigned int kAdd = control_write(0x04);
constexpr unsigned int kDelete = control_write(0x05);
constexpr unsigned int kStart = control_write(0x06);
constexpr unsigned int kStop = control_write(0x07);
constexpr unsigned int kSetParams = control_write(0x08);
constexpr unsigned int kStartRecovery = control_write(0x10);
constexpr unsigned int kEndRecovery = control_write(0x11);
constexpr unsigned int kGetFeatures = control_read(0x13);
constexpr unsigned int kDeleteAsync = control_read(0x14);
constexpr unsigned int kUpdateSize = control_write(0x15);

/* Commands to /dev/ublkcN. */
constexpr unsigned int kFetch = _IOWR('u', 0x20, ublksrv_io_cmd);
constexpr unsigned int kCommitAndFetch = _IOWR('u', 0x21, ublksrv_io_cmd);

constexpr uint64_t kUserRecovery = uint64_t{1} << 3;
constexpr uint64_t kReissue = uint64_t{1} << 4;
constexpr uint64_t kIoctlEncode = uint64_t{1} << 6;
constexpr uint64_t kCanUpdateSize = uint64_t{1} << 10; /* since Linux 6.16 */
constexpr uint64_t kUserCopy = uint64_t{1} << 7; /* pread and pwrite of /dev/ublkcN move data */

/* Where the data of a request is in /dev/ublkcN. */
constexpr uint64_t data_offset(unsigned int queue, unsigned int tag) {
    constexpr unsigned int kTagShift = 25;
    constexpr unsigned int kQueueShift = kTagShift + 16;
    return UBLKSRV_IO_BUF_OFFSET + (uint64_t{queue} << kQueueShift) + (uint64_t{tag} << kTagShift);
}

}  // namespace cloopw::ublk

#endif

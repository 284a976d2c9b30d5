// SPDX-License-Identifier: GPL-2.0
#include "control.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/error.h"

namespace cloopw {
namespace {

constexpr const char *kNode = "/dev/ublk-control";

Error no_driver(int err) {
    if (err == ENOENT || err == ENODEV) {
        return Error(std::string(kNode) +
                         ": is not there; 'modprobe ublk_drv' loads the driver, which Linux has "
                         "from 6.5 on as it is needed here",
                     ENODEV);
    }
    return io_error(kNode, "cannot be opened", err, err == EACCES ? "run this as root" : "");
}

Error no_ring(int err) {
    const char *remedy = "";
    if (err == EPERM) {
        remedy = "'sysctl kernel.io_uring_disabled=0' allows it, or a container's seccomp profile";
    } else if (err == ENOSYS) {
        remedy = "this kernel or container has no io_uring";
    }
    return io_error("io_uring", "cannot be used", err, remedy);
}

}  // namespace

UblkControl::UblkControl() : fd_(open(kNode, O_RDWR | O_CLOEXEC)) {
    if (fd_.get() < 0) {
        throw no_driver(errno);
    }
    constexpr unsigned int kEntries = 4;
    const int err = io_uring_queue_init(kEntries, &ring_, IORING_SETUP_SQE128);
    if (err != 0) {
        throw no_ring(-err);
    }
}

UblkControl::~UblkControl() { io_uring_queue_exit(&ring_); }

int UblkControl::command(unsigned int op, uint32_t id, void *buf, uint16_t len, uint64_t data) {
    ublksrv_ctrl_cmd request = {};
    request.dev_id = id;
    request.queue_id = UINT16_MAX;
    request.len = len;
    request.addr = reinterpret_cast<uint64_t>(buf);
    request.data[0] = data;
    io_uring_sqe *sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
        return -EBUSY; /* not with one command at a time */
    }
    memset(sqe, 0, sizeof(*sqe));
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = fd_.get();
    sqe->cmd_op = op;
    memcpy(sqe->cmd, &request, sizeof(request));
    io_uring_cqe *cqe = nullptr;
    int err = io_uring_submit(&ring_);
    do {
        err = err < 0 ? err : io_uring_wait_cqe(&ring_, &cqe);
    } while (err == -EINTR);
    if (err < 0) {
        return err;
    }
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    return result;
}

void UblkControl::must(int result, const std::string &what, uint32_t id) const {
    if (result < 0) {
        throw io_error("/dev/ublkb" + std::to_string(id), what, result,
                       result == -EACCES || result == -EPERM ? "run this as root" : "");
    }
}

uint64_t UblkControl::features() {
    uint64_t bits = 0;
    return command(ublk::kGetFeatures, 0, &bits, sizeof(bits)) < 0 ? 0 : bits;
}

ublksrv_ctrl_dev_info UblkControl::add(ublksrv_ctrl_dev_info info) {
    const bool any = info.dev_id == UINT32_MAX;
    const int result = command(ublk::kAdd, info.dev_id, &info, sizeof(info));
    if (result < 0) {
        throw io_error(
            any ? kNode : "/dev/ublkb" + std::to_string(info.dev_id),
            any ? "cannot add a device" : "cannot be added", result,
            result == -EEXIST ? "it is in use; leave the number away for a free one" : "");
    }
    return info;
}

void UblkControl::set_params(uint32_t id, ublk_params params) {
    params.len = sizeof(params);
    must(command(ublk::kSetParams, id, &params, sizeof(params)), "cannot be described", id);
}

void UblkControl::start(uint32_t id) {
    must(command(ublk::kStart, id, nullptr, 0, static_cast<uint64_t>(getpid())),
         "cannot be started", id);
}

void UblkControl::stop(uint32_t id) {
    must(command(ublk::kStop, id, nullptr, 0), "cannot be stopped", id);
}

void UblkControl::remove(uint32_t id, Fd node) {
    int result = command(ublk::kDeleteAsync, id, nullptr, 0);
    if (result == -EOPNOTSUPP || result == -EINVAL) {
        node = Fd(); /* it waits until nobody has one */
        result = command(ublk::kDelete, id, nullptr, 0);
    }
    must(result, "cannot be removed", id);
}

bool UblkControl::start_recovery(uint32_t id) {
    const int result = command(ublk::kStartRecovery, id, nullptr, 0);
    if (result == -EBUSY) {
        return false;
    }
    must(result, "cannot be recovered", id);
    return true;
}

void UblkControl::end_recovery(uint32_t id) {
    must(command(ublk::kEndRecovery, id, nullptr, 0, static_cast<uint64_t>(getpid())),
         "cannot go on", id);
}

void UblkControl::update_size(uint32_t id, uint64_t sectors) {
    must(command(ublk::kUpdateSize, id, nullptr, 0, sectors), "cannot be given its new size", id);
}

ublksrv_ctrl_dev_info UblkControl::info(uint32_t id) {
    ublksrv_ctrl_dev_info info = {};
    must(command(ublk::kGetInfo, id, &info, sizeof(info)), "is not known", id);
    return info;
}

}  // namespace cloopw

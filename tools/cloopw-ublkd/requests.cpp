// SPDX-License-Identifier: GPL-2.0
#include "requests.h"

#include <unistd.h>

#include <cerrno>

#include "lib/move_all.h"
#include "lib/serve/read_hints.h"

namespace cloopw {
namespace {

constexpr unsigned int kSectorShift = 9;

uint64_t offset_of(const UblkRequest &request) { return request.what.start_sector << kSectorShift; }

uint64_t length_of(const UblkRequest &request) {
    return uint64_t{request.what.nr_sectors} << kSectorShift;
}

/* The kernel keeps to the limits that it was told; nothing here depends on it. */
bool fits(const UblkRequest &request) { return length_of(request) <= kMostBytes; }

int give(int node, const UblkRequest &request, const RequestBuffer &buffer) {
    const auto len = static_cast<size_t>(length_of(request));
    const int err =
        move_all(pwrite, node, static_cast<const char *>(buffer.get()), len, request.data);
    return err != 0 ? err : static_cast<int>(len);
}

int read_request(cw_device &device, int node, const UblkRequest &request,
                 const RequestBuffer &buffer) {
    if (!fits(request)) {
        return -EINVAL;
    }
    hint_read(device, request.soon);
    const int err = cw_device_read(&device, offset_of(request),
                                   static_cast<u32>(length_of(request)), buffer.get());
    return err != 0 ? err : give(node, request, buffer);
}

int write_request(cw_device &device, int node, const UblkRequest &request,
                  const RequestBuffer &buffer) {
    if (!fits(request)) {
        return -EINVAL;
    }
    const auto len = static_cast<u32>(length_of(request));
    int err = move_all(pread, node, static_cast<char *>(buffer.get()), len, request.data);
    err = err != 0 ? err : cw_device_write(&device, offset_of(request), len, buffer.get());
    return err != 0 ? err : static_cast<int>(len);
}

int operate(cw_device &device, int node, const UblkRequest &request, const RequestBuffer &buffer) {
    switch (ublksrv_get_op(&request.what)) {
        case UBLK_IO_OP_READ:
            return read_request(device, node, request, buffer);
        case UBLK_IO_OP_WRITE:
            return write_request(device, node, request, buffer);
        case UBLK_IO_OP_FLUSH:
            return cw_device_flush(&device);
        case UBLK_IO_OP_DISCARD:
            return cw_device_discard(&device, offset_of(request), length_of(request));
        case UBLK_IO_OP_WRITE_ZEROES:
            return cw_device_zero(&device, offset_of(request), length_of(request));
        default:
            return -EOPNOTSUPP;
    }
}

}  // namespace

bool is_read(const UblkRequest &request) {
    return ublksrv_get_op(&request.what) == UBLK_IO_OP_READ;
}

ByteRange range_of(const UblkRequest &request) { return {offset_of(request), length_of(request)}; }

RequestBuffer::RequestBuffer() : bytes_(new std::byte[kMostBytes]) {}

int run_request(cw_device &device, int node, const UblkRequest &request, RequestBuffer &buffer) {
    const int result = operate(device, node, request, buffer);
    const bool fua = (request.what.op_flags & UBLK_IO_F_FUA) != 0;
    if (result < 0 || !fua || is_read(request)) {
        return result;
    }
    const int err = cw_device_flush(&device);
    return err != 0 ? err : result;
}

bool run_cached(cw_device &device, int node, const UblkRequest &request, RequestBuffer &buffer,
                int *result) {
    if (!is_read(request) || !fits(request) ||
        cw_device_read_cached(&device, offset_of(request), static_cast<u32>(length_of(request)),
                              buffer.get()) != 0) {
        return false;
    }
    *result = give(node, request, buffer);
    return true;
}

}  // namespace cloopw

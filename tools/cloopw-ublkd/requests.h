/* SPDX-License-Identifier: GPL-2.0 */
/* One request of the block device, as the engine does it. */
#ifndef CLOOPW_UBLKD_REQUESTS_H
#define CLOOPW_UBLKD_REQUESTS_H

#include <cstddef>
#include <cstdint>
#include <memory>

#include "abi.h"
#include "lib/byte_range.h"
#include "lib/cloopw.h"

namespace cloopw {

/* Bytes of the largest read or write. Each thread has a buffer of so many, in locked memory. */
constexpr uint32_t kMostBytes = 512u << 10;

struct UblkRequest {
    ublksrv_io_desc what = {};
    uint64_t data = 0;   /* where its data is in the character device */
    ByteRange soon = {}; /* a read's: this request and others read it soon */
};

bool is_read(const UblkRequest &request);
/* Bytes of the device. */
ByteRange range_of(const UblkRequest &request);

/* A buffer of kMostBytes, for one thread. Throws Error without memory. */
class RequestBuffer {
public:
    RequestBuffer();
    void *get() const { return bytes_.get(); }

private:
    std::unique_ptr<std::byte[]> bytes_;
};

/*
 * Does it, with the data in the character device node: the bytes that were moved, 0 for
 * what moves none, or -errno. Any thread; may take long.
 */
int run_request(cw_device &device, int node, const UblkRequest &request, RequestBuffer &buffer);

/* Whether this took no more than a copy from the cache; then *result is as above. */
bool run_cached(cw_device &device, int node, const UblkRequest &request, RequestBuffer &buffer,
                int *result);

}  // namespace cloopw

#endif

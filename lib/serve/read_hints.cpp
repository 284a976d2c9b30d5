// SPDX-License-Identifier: GPL-2.0
#include "read_hints.h"

#include <algorithm>
#include <numeric>

namespace cloopw {

void expect_reads_of_blocks(const Device &device) {
    if (device.image().block_size != 0) {
        cw_fd_io_expect_random(&device.base().get());
    }
}

void hint_read(cw_device &device, const ByteRange &range) {
    cw_device_info info = {};
    cw_device_get_info(&device, &info);
    if (info.cluster != 0 && range.len != 0 &&
        range.off / info.cluster != (range.off + range.len - 1) / info.cluster) {
        cw_device_will_read(&device, range.off, range.len);
    }
}

/* Kernels may hand the reads of a stream over from its end. */
std::vector<ByteRange> streams_of(const std::vector<ByteRange> &reads) {
    std::vector<size_t> order(reads.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&reads](size_t a, size_t b) { return reads[a].off < reads[b].off; });
    std::vector<ByteRange> streams = reads;
    for (size_t start = 0, next = 0; start < order.size(); start = next) {
        const u64 off = reads[order[start]].off;
        u64 end = off + reads[order[start]].len;
        size_t first = order[start];
        for (next = start + 1; next < order.size() && reads[order[next]].off == end; next++) {
            end += reads[order[next]].len;
            first = std::min(first, order[next]);
        }
        streams[first] = {off, end - off};
    }
    return streams;
}

}  // namespace cloopw

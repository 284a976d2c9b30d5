/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server tells the image's file which bytes it reads soon, as the driver does. The index
 * knows where a block is stored, so the file's own read-ahead beyond it is in vain.
 */
#ifndef CLOOPW_SERVE_READ_HINTS_H
#define CLOOPW_SERVE_READ_HINTS_H

#include <vector>

#include "lib/byte_range.h"
#include "lib/cloopw.h"

namespace cloopw {

/* Switches the file's own read-ahead off, for an image with blocks. */
void expect_reads_of_blocks(const Device &device);

/* A range of the device is read soon. A range of one block is not worth a hint. */
void hint_read(cw_device &device, const ByteRange &range);

/*
 * The streams in reads that arrived together. The first read of a stream gets the whole
 * range, and the others, and a read alone, get their own. So the thread that serves the
 * first read has everything fetched at once.
 */
std::vector<ByteRange> streams_of(const std::vector<ByteRange> &reads);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A view of a file as if it were whole: with the right length, and with some bytes
 * replaced. Bytes behind the real end cannot be read. The io below is borrowed.
 */
#ifndef CLOOPW_LIB_PATCHED_IO_H
#define CLOOPW_LIB_PATCHED_IO_H

#include <map>
#include <vector>

#include "lib/core.h"

namespace cloopw {

class PatchedIo : private cw_io {
public:
    explicit PatchedIo(cw_io &below);
    PatchedIo(const PatchedIo &) = delete;
    PatchedIo &operator=(const PatchedIo &) = delete;

    cw_io &get() { return *this; }
    /* Claims so many bytes; reads behind the file's end get -EIO. */
    void claim_size(u64 bytes) { claimed_ = bytes; }
    void patch(u64 off, const void *bytes, size_t len);

private:
    static const cw_io_ops kOps;

    static PatchedIo &self(cw_io *io) { return *static_cast<PatchedIo *>(io); }
    static int do_pread(cw_io *io, void *buf, size_t len, u64 off);
    static int do_size(cw_io *io, u64 *size);

    cw_io &below_;
    u64 claimed_ = 0; /* 0: the file's */
    std::map<u64, std::vector<u8>> patches_;
};

}  // namespace cloopw

#endif

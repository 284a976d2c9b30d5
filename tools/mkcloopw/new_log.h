/* SPDX-License-Identifier: GPL-2.0 */
/* A new COW log that gets its content from this program, not from a device. */
#ifndef CLOOPW_MKCLOOPW_NEW_LOG_H
#define CLOOPW_MKCLOOPW_NEW_LOG_H

#include <memory>
#include <string>

#include "lib/cloopw.h"
#include "lib/uuid.h"
#include "tools/common/output_file.h"

namespace cloopw {

using CachePtr = std::unique_ptr<cw_cache, CDeleter<cw_cache_destroy>>;

/* For layers, with the engine's default size. */
CachePtr make_cache();

/* Throws Error for a block device: a COW log that is made here is a file. */
void want_file(const OutputFile &output, const std::string &name);

/* Bytes that the file has on the disk; 0: it cannot be looked at. */
u64 space_of(const std::string &path);

class NewLog {
public:
    /* io: an empty log of write_log_cow(), made for this base. Throws Error, like all here. */
    NewLog(const Io &io, const cw_cow_base &base);

    /* Any thread writes whole pages, but no page twice at once. */
    void write(const u8 *buf, u32 len, u64 off);
    void zero(u64 off, u64 len);
    /* False: the log needs more than that. */
    bool set_limit(u64 bytes);
    void freeze(const Uuid &uuid);
    /* Finishes the log, and gives back all the space that it can. */
    void finish();
    u64 plain_bytes() const;

private:
    void check(int err, const char *what) const;

    CachePtr cache_;
    std::unique_ptr<cw_cow, CDeleter<cw_cow_close>> cow_;
};

}  // namespace cloopw

#endif

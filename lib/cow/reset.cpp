// SPDX-License-Identifier: GPL-2.0
#include "reset.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "chain.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lock.h"
#include "refusal.h"
#include "super.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw {
namespace {

/* Records have a sector or more each, so none has a number so much higher. */
u64 next_number(int fd, const struct cw_disk_log_super &super) {
    const off_t size = lseek(fd, 0, SEEK_END);
    return cw_from_le64(super.log_seq) + 1 +
           (size > 0 ? static_cast<u64>(size) / CW_SECTOR_SIZE : 0);
}

/* The file is as good without it: what is not given back is used again. */
void give_back(int fd) {
    struct stat st = {};
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > off_t{CW_LOG_START}) {
        (void)!ftruncate(fd, off_t{CW_LOG_START});
    }
}

}  // namespace

void want_resettable(const std::string &path) {
    const CowLayer layer = identify_cow(path);
    if (layer.format != cw_cow_log.name) {
        throw with_remedy(
            Error(path + ": a COW file of format " + layer.format + " cannot be reset", EOPNOTSUPP,
                  CLOOPW_R_NOT_RESETTABLE));
    }
    if (layer.frozen) {
        throw with_remedy(
            Error(path + ": is frozen: layers may lie over it, and it must not change", EROFS,
                  CLOOPW_R_FROZEN));
    }
}

void reset_cow_file(const std::string &path) {
    const Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (fd.get() < 0) {
        throw io_error(path, "cannot open for writing", errno);
    }
    lock_cow(fd.get(), path, true);
    want_resettable(path);
    auto super = read_log_super(fd.get(), path);
    if (!super) {
        throw Error(path + ": truncated or damaged: neither superblock is sound", EINVAL,
                    CLOOPW_R_TRUNCATED);
    }
    cw_log_super_empty(&*super, cw_from_le64(super->gen_limit), next_number(fd.get(), *super));
    replace_log_super(fd.get(), path, *super);
    give_back(fd.get());
}

}  // namespace cloopw

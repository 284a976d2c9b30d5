// SPDX-License-Identifier: GPL-2.0
#include "reset.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "chain.h"
#include "lib/error.h"
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

void want_resettable(int fd, const std::string &path) {
    const CowLayer layer = identify_cow(fd, path);
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

/* A device has its COW file locked, and another file of that name is not. */
void want_attached(int fd, const std::string &path) {
    if (is_locked_alone(fd)) {
        throw Error(path +
                        ": is not the file that is attached, or its file system has no locks; "
                        "detach it without --discard-changes, and remove the right file",
                    ESTALE);
    }
}

}  // namespace

AttachedCow::AttachedCow(const std::string &path)
    : path_(path), fd_(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_.get() < 0) {
        throw io_error(path, "cannot open for writing", errno,
                       errno == ENOENT ? "the file was moved or removed, or is out of sight "
                                         "here; detach it without --discard-changes"
                                       : "");
    }
    want_resettable(fd_.get(), path);
    want_attached(fd_.get(), path);
}

void AttachedCow::reset() const {
    const int fd = fd_.get();
    lock_cow(fd, path_, true);
    want_resettable(fd, path_);
    auto super = read_log_super(fd, path_);
    if (!super) {
        throw Error(path_ + ": truncated or damaged: neither superblock is sound", EINVAL,
                    CLOOPW_R_TRUNCATED);
    }
    cw_log_super_empty(&*super, cw_from_le64(super->gen_limit), next_number(fd, *super));
    replace_log_super(fd, path_, *super);
    give_back(fd);
}

}  // namespace cloopw

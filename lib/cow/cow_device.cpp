// SPDX-License-Identifier: GPL-2.0
#include "cow_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "lib/error.h"
#include "lib/memory_file.h"
#include "lib/move_all.h"
#include "lib/size.h"
#include "super.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw {
namespace {

uint64_t device_size(int fd, const std::string &path) {
    uint64_t size = 0;
    if (ioctl(fd, BLKGETSIZE64, &size) != 0) {
        throw io_error(path, "its size cannot be told", errno);
    }
    return size;
}

bool is_zero_at(int fd, const std::string &name, uint64_t off, uint64_t len) {
    std::vector<char> bytes(len);
    const int err = move_all(pread, fd, bytes.data(), len, off);
    if (err != 0) {
        throw io_error(name, "cannot read", err);
    }
    return std::ranges::all_of(bytes, [](char c) { return c == 0; });
}

void write_at(int fd, const std::string &name, const void *bytes, uint64_t len, uint64_t off) {
    const int err = move_all(pwrite, fd, static_cast<const char *>(bytes), len, off);
    if (err != 0) {
        throw io_error(name, "cannot write", err);
    }
}

void write_zeros_at(int fd, const std::string &name, uint64_t off, uint64_t len) {
    const std::vector<char> zeros(len);
    write_at(fd, name, zeros.data(), len, off);
}

void sync(int fd, const std::string &name) {
    if (fsync(fd) != 0) {
        throw io_error(name, "cannot sync", errno);
    }
}

/* The UUID of the log on the device; zeros: there is none. */
Uuid uuid_of(int fd, const std::string &path) {
    Uuid uuid{};
    if (auto super = read_log_super(fd, path)) {
        std::ranges::copy(super->uuid, uuid.begin());
    }
    return uuid;
}

bool has_log_magic(const struct cw_disk_log_super &super) {
    return memcmp(super.magic, CW_LOG_MAGIC, sizeof(super.magic)) == 0;
}

/* A cut while this log is made blank leaves an unfinished one, also after checkpoints. */
void mark_unfinished(int fd, const std::string &path) {
    struct cw_disk_log_super super = {};
    if (pread(fd, &super, CW_SECTOR_SIZE, 0) == ssize_t{CW_SECTOR_SIZE} && has_log_magic(super)) {
        super.seq = cw_to_le64(1);
        super.segments = cw_to_le64(0);
        write_at(fd, path, &super, CW_SECTOR_SIZE, 0);
        sync(fd, path);
    }
}

/*
 * Removes both copies of a superblock. The device was blank before, or its content is lost.
 */
void try_to_make_blank(int fd, const std::string &path) {
    try {
        mark_unfinished(fd, path);
        make_blank(fd, path, device_size(fd, path));
    } catch (const Error &) {
        return; /* the caller reports the first failure */
    }
}

/* Refuses a device that is mounted or otherwise claimed. */
Fd open_alone(const std::string &path) {
    Fd fd(open(path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    if (fd.get() < 0) {
        throw io_error(path, "cannot make it a COW", errno,
                       errno == EBUSY ? "it is mounted, or in use by another device" : "");
    }
    return fd;
}

}  // namespace

bool is_blank(int fd, const std::string &name, uint64_t size) {
    const uint64_t len = std::min(size, kDeviceMarks);
    return is_zero_at(fd, name, 0, len) && is_zero_at(fd, name, size - len, len);
}

bool is_unfinished_log(int fd, const std::string &name, uint64_t size) {
    struct cw_disk_log_super super = {};
    if (size < kCowLeast || pread(fd, &super, sizeof(super), 0) != ssize_t{sizeof(super)}) {
        return false;
    }
    return has_log_magic(super) && !cw_log_super_is_sound(&super) && super.seq == cw_to_le64(1) &&
           super.segments == cw_to_le64(0) &&
           is_zero_at(fd, name, sizeof(super), kDeviceMarks - sizeof(super)) &&
           is_zero_at(fd, name, size - kDeviceMarks, kDeviceMarks);
}

void make_blank(int fd, const std::string &name, uint64_t size) {
    const uint64_t len = std::min(size, kDeviceMarks);
    uint64_t from = std::min(len, uint64_t{CW_LOG_SUPER_LEN});
    write_zeros_at(fd, name, size - len, len);
    write_zeros_at(fd, name, from, len - from);
    sync(fd, name);
    from = std::min(len, uint64_t{CW_SECTOR_SIZE});
    write_zeros_at(fd, name, from, len - from);
    sync(fd, name);
    write_zeros_at(fd, name, 0, from);
    sync(fd, name);
}

Uuid create_cow_on_device(const std::string &path, const CowBase &base,
                          const CowSettings &settings) {
    Fd fd = open_alone(path);
    const uint64_t size = device_size(fd.get(), path);
    if (size < kCowLeast) {
        throw Error(path + ": has " + format_size(size) + ", a COW needs " +
                        format_size(kCowLeast) + " or more",
                    ENOSPC);
    }
    const LogCowConfig config = log_cow_config(path, base, settings);
    auto super = std::make_unique<struct cw_disk_log_super>();
    encode_log_super(super.get(), config); /* a refusal costs the device nothing */
    if (settings.overwrite) {
        make_blank(fd.get(), path, size);
    }
    try {
        write_log_cow(fd.get(), path, config);
        sync(fd.get(), path);
        return uuid_of(fd.get(), path);
    } catch (const Error &) {
        try_to_make_blank(fd.get(), path);
        throw;
    }
}

void remove_cow_from_device(const std::string &path, const Uuid &uuid) {
    Fd fd(open(path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    if (fd.get() < 0) {
        return;
    }
    try {
        if (uuid_of(fd.get(), path) == uuid) {
            try_to_make_blank(fd.get(), path);
        }
    } catch (const Error &) {
        return; /* the caller reports the first failure */
    }
}

Fd create_cow_in_memory(const CowBase &base, const CowSettings &settings) {
    Fd fd = memory_file("cloopw");
    if (fd.get() < 0) {
        throw io_error("--ram", "cannot make a file in memory", errno);
    }
    CowSettings limited = settings;
    limited.limit = settings.ram;
    write_cow_log(fd.get(), "--ram", base, limited);
    return fd;
}

}  // namespace cloopw

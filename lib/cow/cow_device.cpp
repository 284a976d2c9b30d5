// SPDX-License-Identifier: GPL-2.0
#include "cow_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "lib/error.h"
#include "lib/size.h"
#include "super.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

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
    for (uint64_t done = 0; done < len;) {
        ssize_t n = pread(fd, bytes.data() + done, len - done, static_cast<off_t>(off + done));
        if (n <= 0) {
            throw io_error(name, "cannot read", n == 0 ? EIO : errno);
        }
        done += static_cast<uint64_t>(n);
    }
    return std::ranges::all_of(bytes, [](char c) { return c == 0; });
}

void write_zeros_at(int fd, const std::string &name, uint64_t off, uint64_t len) {
    const std::vector<char> zeros(len);
    for (uint64_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, zeros.data() + done, len - done, static_cast<off_t>(off + done));
        if (n <= 0) {
            throw io_error(name, "cannot write", n == 0 ? EIO : errno);
        }
        done += static_cast<uint64_t>(n);
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

/*
 * Removes both copies of a superblock. The device was blank before, or its content is lost.
 */
void try_to_make_blank(int fd, const std::string &path) {
    try {
        make_blank(fd, path, device_size(fd, path));
        (void)fsync(fd);
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

void make_blank(int fd, const std::string &name, uint64_t size) {
    const uint64_t len = std::min(size, kDeviceMarks);
    write_zeros_at(fd, name, 0, len);
    write_zeros_at(fd, name, size - len, len);
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
    if (settings.overwrite) {
        make_blank(fd.get(), path, size);
    }
    try {
        write_cow_log(fd.get(), path, base, settings);
        if (fsync(fd.get()) != 0) {
            throw io_error(path, "cannot sync", errno);
        }
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
    const char *name = "cloopw";
    Fd fd(memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL));
    if (fd.get() < 0 && errno == EINVAL) { /* before Linux 6.3 */
        fd = Fd(memfd_create(name, MFD_CLOEXEC));
    }
    if (fd.get() < 0) {
        throw io_error("--ram", "cannot make a file in memory", errno);
    }
    CowSettings limited = settings;
    limited.limit = settings.ram;
    write_cow_log(fd.get(), "--ram", base, limited);
    return fd;
}

}  // namespace cloopw

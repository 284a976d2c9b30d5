// SPDX-License-Identifier: GPL-2.0
#include "output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <random>

#include "lib/new_name.h"
#include "lib/scratch_file.h"

namespace cloopw {

namespace {

constexpr mode_t kMode = 0666; /* less the umask */
constexpr int kNameAttempts = 100;
constexpr size_t kCopyLen = 1 << 18;

bool same_file(const struct stat &a, const struct stat &b) {
    if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode)) {
        return a.st_rdev == b.st_rdev;
    }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The name through which an open file can be linked; exists with /proc only. */
std::string link_source(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

/* A device that is a file system's, or another's, must not be written. */
constexpr int kDeviceFlags = O_RDWR | O_EXCL | O_CLOEXEC;

}  // namespace

OutputFile::OutputFile(const std::string &path, const OutputFileOptions &options)
    : path_(path), options_(options) {
    if (is_stream()) {
        io_ = open_scratch_file("what goes to standard output");
    } else {
        open_file();
    }
}

void OutputFile::open_file() {
    std::error_code ec;
    std::filesystem::path target = std::filesystem::canonical(path_, ec);
    target_ = ec ? path_ : target.string();
    directory_ = std::filesystem::path(target_).parent_path().string();
    if (directory_.empty()) {
        directory_ = ".";
    }

    examine_existing();
    if (is_device_) {
        open_device();
    } else if (!options_.unnamed || !open_unnamed()) {
        open_temporary();
    }
}

OutputFile::~OutputFile() {
    if (!temporary_.empty()) {
        (void)::unlink(temporary_.c_str());
    }
}

/* Refuses what must not be written; sets is_device_. */
void OutputFile::examine_existing() {
    struct stat out = {};
    struct stat in = {};
    if (::stat(path_.c_str(), &out) != 0) {
        if (::lstat(path_.c_str(), &out) == 0) {
            throw Error(path_ + ": is a symbolic link to nothing; name what it should be", ENOENT);
        }
        return;
    }
    for (const std::string &input : options_.inputs) {
        if (::stat(input.c_str(), &in) == 0 && same_file(in, out)) {
            throw Error(path_ + ": is the input; name another output", EINVAL);
        }
    }
    if (S_ISDIR(out.st_mode)) {
        throw Error(path_ + ": is a directory; name a file in it", EISDIR);
    }
    if (!S_ISREG(out.st_mode) && !S_ISBLK(out.st_mode)) {
        throw Error(path_ + ": is neither a file nor a block device", EINVAL);
    }
    if (!options_.force) {
        throw Error(path_ + ": exists already; use --force to overwrite it", EEXIST);
    }
    is_device_ = S_ISBLK(out.st_mode);
}

void OutputFile::open_device() {
    int fd = ::open(target_.c_str(), kDeviceFlags);
    if (fd < 0) {
        throw io_error(path_, "cannot be opened for writing", errno,
                       errno == EBUSY ? "it is in use" : "");
    }
    io_ = Io::adopt(fd, path_);
}

/* false: this file system cannot. */
bool OutputFile::open_unnamed() {
    int fd = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kMode);
    if (fd < 0) {
        return false;
    }
    if (::access(link_source(fd).c_str(), F_OK) != 0) {
        ::close(fd);
        return false;
    }
    io_ = Io::adopt(fd, path_);
    return true;
}

std::string OutputFile::temporary_name() const {
    static thread_local std::random_device random;
    return fmt::format("{}/.{}.{:08x}", directory_,
                       std::filesystem::path(target_).filename().string().substr(0, 200), random());
}

void OutputFile::open_temporary() {
    for (int i = 0; i < kNameAttempts; i++) {
        std::string name = temporary_name();
        int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
        if (fd >= 0) {
            temporary_ = name;
            io_ = Io::adopt(fd, path_);
            return;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    throw io_error(path_, "cannot be created", errno,
                   errno == ENOENT ? "its directory must exist" : "");
}

/* Gives the complete file its name. Replaces another only with --force. */
void OutputFile::put_in_place() {
    if (temporary_.empty()) {
        /* A name of its own first when it replaces: link() never does. */
        std::string name = options_.force ? temporary_name() : target_;
        if (::linkat(AT_FDCWD, link_source(io_->fd()).c_str(), AT_FDCWD, name.c_str(),
                     AT_SYMLINK_FOLLOW) != 0) {
            throw io_error(path_, "cannot be created", errno);
        }
        if (!options_.force) {
            return;
        }
        temporary_ = name;
    }
    int err = 0;
    if (!options_.force) {
        err = rename_to_new(temporary_, target_);
    } else if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
        err = errno;
    }
    if (err != 0) {
        throw io_error(path_, "cannot be created", err);
    }
    temporary_.clear();
}

void write_stdout(int fd, const u8 *bytes, size_t len) {
    while (len != 0) {
        ssize_t n = ::write(fd, bytes, len);
        if (n < 0 && errno != EINTR) {
            throw io_error("standard output", "cannot be written", errno);
        }
        size_t written = n > 0 ? static_cast<size_t>(n) : 0;
        bytes += written;
        len -= written;
    }
}

void OutputFile::copy_out() {
    std::vector<u8> buffer(kCopyLen);
    u64 size = io_->size();
    for (u64 off = 0; off < size; off += buffer.size()) {
        size_t len = cw_min(buffer.size(), size - off);
        io_->read(buffer.data(), len, off);
        write_stdout(options_.out_fd, buffer.data(), len);
    }
}

void OutputFile::commit() {
    if (is_stream()) {
        copy_out();
        return;
    }
    if (::fsync(io_->fd()) != 0) {
        throw io_error(path_, "cannot be flushed", errno);
    }
    if (is_device_) {
        return;
    }
    put_in_place();
    /* The name, too; not every file system can. */
    int fd = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)::fsync(fd);
        ::close(fd);
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <utility>

#include "lib/cow/lock.h"
#include "lib/cow/users.h"
#include "lib/fd.h"
#include "lib/file_kind.h"
#include "lib/image/scratch_file.h"
#include "lib/new_name.h"
#include "lib/same_file.h"
#include "lib/size.h"

namespace cloopw {

namespace {

constexpr mode_t kMode = 0666;    /* less the umask */
constexpr mode_t kPrivate = 0600; /* until it is complete */
constexpr int kNameAttempts = 100;
constexpr size_t kCopyLen = 1 << 18;

/* The name through which an open file can be linked; exists with /proc only. */
std::string link_source(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

/* A device that is a file system's, or another's, must not be written. */
constexpr int kDeviceFlags = O_RDWR | O_EXCL | O_CLOEXEC;

mode_t current_umask() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return mask;
}

/* Names of extended attributes, each ended by a zero. */
std::vector<char> xattr_names(const std::string &path) {
    const ssize_t len = ::listxattr(path.c_str(), nullptr, 0);
    std::vector<char> names(len > 0 ? static_cast<size_t>(len) : 0);
    const ssize_t got = names.empty() ? 0 : ::listxattr(path.c_str(), names.data(), names.size());
    names.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return names;
}

/* Copies the attributes that the new file's file system and user allow. */
void copy_xattrs(const std::string &from, int to) {
    const std::vector<char> names = xattr_names(from);
    for (size_t at = 0; at < names.size(); at += strlen(&names[at]) + 1) {
        const char *name = &names[at];
        const ssize_t len = ::getxattr(from.c_str(), name, nullptr, 0);
        std::vector<char> value(len > 0 ? static_cast<size_t>(len) : 0);
        if (len >= 0 && ::getxattr(from.c_str(), name, value.data(), value.size()) == len) {
            (void)::fsetxattr(to, name, value.data(), value.size(), 0);
        }
    }
}

/* The set-user-ID bits are for programs. */
void set_mode(const Io &io, mode_t mode) {
    if (::fchmod(io.fd(), mode & 0777) != 0 && errno != EPERM) {
        throw io_error(io.name(), "cannot be given its permissions", errno);
    }
}

/*
 * Only root can give a file away, and only to users that its user namespace and the file
 * system know. A failure is no error.
 */
bool change_owner(const Io &io, uid_t user, gid_t group) {
    if (::fchown(io.fd(), user, group) == 0) {
        return true;
    }
    if (errno != EPERM && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
        throw io_error(io.name(), "cannot be given its owner", errno);
    }
    return false;
}

/*
 * With another group than the input's, the group gets the rights of all others, and no
 * more.
 */
mode_t without_group(mode_t mode) { return (mode & ~S_IRWXG) | ((mode & S_IRWXO) << 3); }

/* Takes over owner, group and mode of another file, as far as the user may. */
void settle_like(const Io &io, const struct stat &like) {
    struct stat st = {};
    const bool known = ::fstat(io.fd(), &st) == 0;
    const bool group = known && st.st_gid == like.st_gid;
    const bool done = (group && st.st_uid == like.st_uid) ||
                      change_owner(io, like.st_uid, like.st_gid) || group ||
                      change_owner(io, static_cast<uid_t>(-1), like.st_gid);
    set_mode(io, done ? like.st_mode : without_group(like.st_mode));
}

}  // namespace

OutputFile::OutputFile(const std::string &path, const OutputFileOptions &options)
    : path_(path), options_(options), umask_(current_umask()) {
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

/* Refuses an existing file that must not be overwritten. Sets is_device_. */
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
        if (::stat(input.c_str(), &in) == 0 && is_same_file(in, out)) {
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
    replaces_ = !is_device_;
    existing_ = out;
    if (replaces_) {
        lock_existing_cow();
        refuse_image_in_use();
    }
}

/* A writer of the replaced COW file would go on in a file without a name. */
void OutputFile::lock_existing_cow() {
    const bool writable = ::access(path_.c_str(), W_OK) == 0;
    if (existing_.st_size == 0 || ::access(path_.c_str(), R_OK) != 0) {
        return;
    }
    Io io = Io::open(path_, writable ? Io::Mode::kReadWrite : Io::Mode::kRead);
    if (is_cow_file(io)) {
        lock_cow(io.fd(), path_, writable);
        existing_cow_ = std::move(io);
    }
}

/* Its device would go on with a file without a name, and its COW would fit none. */
void OutputFile::refuse_image_in_use() const {
    const std::string device = device_with(existing_);
    if (!device.empty()) {
        throw Error(path_ + ": is the image of " + device + "; detach it with 'cloopwsetup -d " +
                        device + "' first, or name another file",
                    EBUSY);
    }
}

void OutputFile::open_device() {
    int fd = ::open(target_.c_str(), kDeviceFlags);
    if (fd < 0) {
        throw io_error(path_, "cannot be opened for writing", errno,
                       errno == EBUSY ? "it is in use" : "");
    }
    io_ = Io::adopt(fd, path_);
    int read_only = 0;
    if (::ioctl(fd, BLKROGET, &read_only) == 0 && read_only != 0) {
        throw Error(path_ +
                        ": is read-only and was left as it is; 'blockdev --setrw' may change "
                        "that",
                    EROFS);
    }
    if (options_.size > io_->size()) {
        throw Error(path_ + ": has " + format_size(io_->size()) + ", " +
                        format_size(options_.size) + " are needed; it was left as it is",
                    EINVAL);
    }
}

/* false: this file system cannot. */
bool OutputFile::open_unnamed() {
    int fd = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kPrivate);
    if (fd < 0) {
        return false;
    }
    io_ = Io::adopt(fd, path_);
    if (::access(link_source(fd).c_str(), F_OK) != 0) {
        io_.reset();
        return false;
    }
    return true;
}

/* Short: the name that it gets may be as long as the file system allows. */
std::string OutputFile::temporary_name() const {
    static thread_local std::random_device random;
    return fmt::format("{}/.cloopw-{:08x}", directory_, random());
}

void OutputFile::open_temporary() {
    for (int i = 0; i < kNameAttempts; i++) {
        std::string name = temporary_name();
        int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kPrivate);
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
        /*
         * A file that replaces another has a temporary name first, because link() never
         * replaces.
         */
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

/* A user who may not read one of the inputs may not read the output. */
mode_t OutputFile::new_mode() const {
    mode_t mode = (options_.secret ? kPrivate : kMode) & ~umask_;
    struct stat out = {};
    const bool known = ::fstat(io_->fd(), &out) == 0;
    for (const std::string &input : options_.inputs) {
        struct stat st = {};
        if (::stat(input.c_str(), &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
            const bool same = known && st.st_gid == out.st_gid;
            mode &= (same ? st.st_mode : without_group(st.st_mode)) | S_IRUSR | S_IWUSR | S_IWGRP |
                    S_IWOTH;
        }
    }
    /* Group and others without read permission get no write permission, either. */
    return mode & ~((~mode & (S_IRGRP | S_IROTH)) >> 1);
}

void OutputFile::settle_like_existing() const {
    copy_xattrs(target_, io_->fd());
    settle_like(*io_, existing_);
}

/* Before the file has its name, so that nobody sees it otherwise. */
void OutputFile::settle_owner() const {
    struct stat like = {};
    if (replaces_) {
        settle_like_existing();
    } else if (!options_.like.empty() && ::stat(options_.like.c_str(), &like) == 0 &&
               S_ISREG(like.st_mode)) {
        settle_like(*io_, like);
    } else {
        set_mode(*io_, new_mode());
    }
}

void OutputFile::fill(const std::function<void()> &write) const {
    try {
        write();
    } catch (const Error &e) {
        if (!is_device_) {
            throw;
        }
        const std::string gone = "what was on it before is gone, and it holds no image";
        if (e.err() == EINTR) {
            throw OverwrittenError(path_ + ": interrupted; " + gone, EINTR);
        }
        throw OverwrittenError(std::string(e.what()) + "; " + path_ + ": " + gone, e.err());
    }
}

void OutputFile::commit() {
    if (is_stream()) {
        copy_out();
        return;
    }
    if (!is_device_) {
        settle_owner();
    }
    if (::fsync(io_->fd()) != 0) {
        throw io_error(path_, "cannot be flushed", errno);
    }
    if (is_device_) {
        return;
    }
    put_in_place();
    /* The name, too; not every file system can. */
    const Fd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    (void)::fsync(directory.get());
}

}  // namespace cloopw

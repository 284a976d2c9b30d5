/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel as cloopwsetup sees it: nodes, ioctls, sysfs, modprobe. Tests put
 * a model of the driver in its place. Images and COW files are files of the
 * caller's and not behind this.
 */
#ifndef CLOOPWSETUP_KERNEL_H
#define CLOOPWSETUP_KERNEL_H

#include <sys/stat.h>

#include <chrono>
#include <string>
#include <vector>

namespace cloopw {

class Kernel {
public:
    Kernel() = default;
    Kernel(const Kernel &) = delete;
    Kernel &operator=(const Kernel &) = delete;
    virtual ~Kernel() = default;

    /* Nodes below dev(). All return a result >= 0 or -errno. */
    virtual int open(const std::string &path, int flags) = 0;
    virtual void close(int fd) = 0;
    virtual int stat(const std::string &path, struct stat *st) = 0;
    virtual int ioctl(int fd, unsigned int request, unsigned long arg) = 0;

    /* Runs a program; exit status or -errno, what it wrote to stderr in *said. */
    virtual int run(const std::vector<std::string> &argv, std::string *said) = 0;

    virtual void pause(std::chrono::milliseconds time) = 0;
    virtual std::chrono::milliseconds now() = 0; /* since some time ago */
    virtual bool superuser() = 0;
    virtual std::string release() = 0; /* uname -r prints the same */

    /* Directories, without a slash at the end. */
    virtual std::string dev() = 0;
    virtual std::string sys() = 0;
    virtual std::string proc() = 0;
    virtual std::string udev() = 0; /* udevd's, where it runs */
    /* Where what is attached without the driver is recorded; "": nowhere. */
    virtual std::string run_dir() { return ""; }
    /* Where DKMS builds the module, a directory for each version; "": nowhere. */
    virtual std::string dkms() { return ""; }
};

/* The one that is running. */
class SystemKernel : public Kernel {
public:
    int open(const std::string &path, int flags) override;
    void close(int fd) override;
    int stat(const std::string &path, struct stat *st) override;
    int ioctl(int fd, unsigned int request, unsigned long arg) override;
    int run(const std::vector<std::string> &argv, std::string *said) override;
    void pause(std::chrono::milliseconds time) override;
    std::chrono::milliseconds now() override;
    bool superuser() override;
    std::string release() override;
    std::string dev() override { return "/dev"; }
    std::string sys() override { return "/sys"; }
    std::string proc() override { return "/proc"; }
    std::string udev() override { return "/run/udev"; }
    std::string run_dir() override { return "/run/cloopw"; }
    std::string dkms() override { return "/var/lib/dkms/cloopw"; }
};

/* A node that is open for as long as this lives. */
class Handle {
public:
    /* fd: what Kernel::open returned; an error is kept, see error() */
    Handle(Kernel &kernel, int fd) : kernel_(&kernel), fd_(fd) {}
    Handle(Handle &&other) noexcept : kernel_(other.kernel_), fd_(other.fd_) { other.fd_ = -1; }
    Handle &operator=(Handle &&) = delete;
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    ~Handle() {
        if (fd_ >= 0) {
            kernel_->close(fd_);
        }
    }

    int error() const { return fd_ < 0 ? fd_ : 0; } /* -errno of open, or 0 */
    int ioctl(unsigned int request, unsigned long arg) { return kernel_->ioctl(fd_, request, arg); }

private:
    Kernel *kernel_;
    int fd_;
};

}  // namespace cloopw

#endif

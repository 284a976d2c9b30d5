/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_FD_H
#define CLOOPW_LIB_FD_H

#include <unistd.h>

#include <utility>

namespace cloopw {

/* A file descriptor, closed at the end; -1: none. */
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd &operator=(Fd &&other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
    ~Fd() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }

    int get() const { return fd_; }
    /* The caller closes it then. */
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_ = -1;
};

}  // namespace cloopw

#endif

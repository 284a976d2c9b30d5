/* SPDX-License-Identifier: GPL-2.0 */
/* Runs a tool's body with strings for its streams. */
#ifndef CLOOPW_TESTS_RUN_TOOL_H
#define CLOOPW_TESTS_RUN_TOOL_H

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>

#include "support/test_io.h"
#include "tools/common/tool.h"

namespace cloopw::test {

/* A file descriptor of a file without a name. */
class MemoryFile {
public:
    explicit MemoryFile(const Bytes &bytes = {}) : fd_(memfd_create("test", MFD_CLOEXEC)) {
        if (fd_ < 0 || pwrite(fd_, bytes.data(), bytes.size(), 0) < 0) {
            throw std::runtime_error("cannot make a memory file");
        }
    }
    ~MemoryFile() { close(fd_); }
    MemoryFile(const MemoryFile &) = delete;
    MemoryFile &operator=(const MemoryFile &) = delete;

    int fd() const { return fd_; }
    Bytes bytes() const {
        Bytes all(static_cast<size_t>(lseek(fd_, 0, SEEK_END)));
        if (pread(fd_, all.data(), all.size(), 0) != static_cast<ssize_t>(all.size())) {
            throw std::runtime_error("cannot read a memory file");
        }
        return all;
    }

private:
    int fd_;
};

struct ToolResult {
    int code;
    std::string out; /* standard output */
    std::string err;
    Bytes data; /* data for "-" */
};

struct ToolInput {
    Bytes in;              /* content of "-" */
    int in_fd = -1;        /* used instead of in */
    bool terminal = false; /* standard error is one */
};

inline ToolResult run(const std::function<int(Streams &)> &body, const ToolInput &input = {}) {
    MemoryFile in(input.in);
    MemoryFile data;
    std::ostringstream out;
    std::ostringstream err;
    Streams streams = {
        out, err, input.in_fd >= 0 ? input.in_fd : in.fd(), data.fd(), input.terminal, 80};
    int code = body(streams);
    return {code, out.str(), err.str(), data.bytes()};
}

}  // namespace cloopw::test

#endif

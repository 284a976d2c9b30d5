// SPDX-License-Identifier: GPL-2.0
#include "way.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string_view>

#include "lib/device_node.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "tools/cloopwsetup/detach.h"

namespace cloopw {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStep(10);
/* udev and blkid look at a device for a moment after every change. */
constexpr milliseconds kBusy(1000);
constexpr milliseconds kNode(1000);

}  // namespace

bool wait_until(Driver &driver, milliseconds most, const std::function<bool()> &done) {
    for (milliseconds waited(0); !done(); waited += kStep) {
        if (waited >= most) {
            return false;
        }
        driver.kernel().pause(kStep);
    }
    return true;
}

std::string first_error(const std::string &log, uintmax_t from) {
    constexpr std::string_view kMark = "error: ";
    std::ifstream file(log);
    file.seekg(static_cast<std::streamoff>(from));
    for (std::string line; std::getline(file, line);) {
        const size_t error = line.find(kMark);
        if (error != std::string::npos) {
            return line.substr(error + kMark.size());
        }
    }
    return "";
}

std::string last_line(const std::string &log, uintmax_t from) {
    std::ifstream file(log);
    file.seekg(static_cast<std::streamoff>(from));
    std::string last;
    for (std::string line; std::getline(file, line);) {
        last = line.empty() ? last : line;
    }
    return last;
}

std::string last_words(const std::string &log, uintmax_t from) {
    const std::string error = first_error(log, from);
    return error.empty() ? last_line(log, from) : error;
}

int settle_device(Driver &driver, const UserspaceState &state) {
    Fd fd;
    int err = 0;
    auto is_free = [&] {
        fd = Fd(open(state.node.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
        err = fd.get() < 0 ? errno : 0;
        return err != EBUSY;
    };
    if (!wait_until(driver, kBusy, is_free)) {
        throw in_use(driver, {0, state.node_name(), state.node, nullptr});
    }
    return err != 0 || fsync(fd.get()) == 0 ? err : errno;
}

std::string node_attribute(Driver &driver, const UserspaceState &state, const std::string &name) {
    return text_of(driver.kernel().sys() + "/block/" + state.node_name() + "/" + name);
}

void want_node(Driver &driver, const std::string &node) {
    struct stat st = {};
    auto is_there = [&] { return driver.kernel().stat(node, &st) == 0; };
    if (wait_until(driver, kNode, is_there)) {
        return;
    }
    const std::string name = node.substr(node.rfind('/') + 1);
    const std::string numbers = text_of(driver.kernel().sys() + "/block/" + name + "/dev");
    const int err = make_device_node(node, S_IFBLK, numbers);
    if (err != 0) {
        throw io_error(node, "cannot be made", err,
                       "give the container the device: '--device " + node + "'");
    }
}

}  // namespace cloopw

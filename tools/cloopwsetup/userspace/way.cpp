// SPDX-License-Identifier: GPL-2.0
#include "way.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string_view>

#include "lib/device_node.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "server.h"
#include "tools/cloopwsetup/detach.h"

namespace cloopw {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStep(10);
/* udev and blkid look at a device for a moment after every change. */
constexpr milliseconds kBusy(1000);
constexpr milliseconds kNode(1000);
constexpr milliseconds kLook(1000);
constexpr milliseconds kSilent(30 * 1000);     /* neither the server nor its device shows life */
constexpr milliseconds kStuck(10 * 60 * 1000); /* the device shows none: a flush of a slow medium */

/* Requests that have completed. The other figures of the kernel grow while one waits. */
std::string completed(Driver &driver, const UserspaceState &state) {
    constexpr int kReads = 0;
    constexpr int kWrites = 4;
    constexpr int kDiscards = 11;
    constexpr int kFlushes = 15;
    std::istringstream fields(node_attribute(driver, state, "stat"));
    std::string all;
    std::string field;
    for (int i = 0; fields >> field; i++) {
        if (i == kReads || i == kWrites || i == kDiscards || i == kFlushes) {
            all += field + " ";
        }
    }
    return all;
}

/* Whether somebody still serves a device that is flushed. */
class Life {
public:
    Life(Driver &driver, const UserspaceState &state) : driver_(driver), state_(state) {}

    /* Once every kLook. */
    bool is_over() {
        const std::string stat = completed(driver_, state_);
        still_ = stat == stat_ ? still_ + kLook : milliseconds(0);
        silent_ = server_status(state_).empty() ? silent_ + kLook : milliseconds(0);
        stat_ = stat;
        return std::min(still_, silent_) >= kSilent || still_ >= kStuck;
    }

private:
    Driver &driver_;
    const UserspaceState &state_;
    std::string stat_;
    milliseconds still_{0};
    milliseconds silent_{0};
};

/* 0 or errno. This process goes on, too, when nobody serves the device. */
int sync_in_child(Driver &driver, const UserspaceState &state, int fd) {
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(fsync(fd) == 0 ? 0 : errno);
    }
    if (pid < 0) {
        return errno;
    }
    Life life(driver, state);
    int status = 0;
    auto has_ended = [&] { return waitpid(pid, &status, WNOHANG) == pid; };
    while (!wait_until(driver, kLook, has_ended)) {
        if (life.is_over()) {
            kill(pid, SIGKILL); /* it ends when the device does */
            return ETIMEDOUT;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

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

int settle_device(Driver &driver, const UserspaceState &state, Fd *claim) {
    int err = 0;
    auto is_free = [&] {
        *claim = Fd(open(state.node.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
        err = claim->get() < 0 ? errno : 0;
        return err != EBUSY;
    };
    if (!wait_until(driver, kBusy, is_free)) {
        throw in_use(driver, {0, state.node_name(), state.node, nullptr});
    }
    return err != 0 ? err : sync_in_child(driver, state, claim->get());
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

// SPDX-License-Identifier: GPL-2.0
/* nbd-client gives the socket to the kernel's own NBD driver. */
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <thread>

#include "lib/error.h"
#include "tools/cloopwsetup/detach.h"
#include "way.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kStart(10000);
constexpr milliseconds kEnd(10000);
constexpr int kFindTries = 32; /* others may take the free device first */
constexpr unsigned int kConnections = 4;

bool has_client(Driver &driver, const std::string &name) {
    std::error_code code;
    return fs::exists(driver.kernel().sys() + "/block/" + name + "/pid", code);
}

/* "/dev/nbd0"; the skip-th of those that nobody has. */
std::string free_node(Driver &driver, int skip) {
    std::string name;
    for (int i = 0; fs::exists(driver.kernel().sys() + "/block/nbd" + std::to_string(i)); i++) {
        if (!has_client(driver, "nbd" + std::to_string(i)) && skip-- == 0) {
            return driver.kernel().dev() + "/nbd" + std::to_string(i);
        }
    }
    throw Error(
        "nbd: all devices are in use; end one, 'nbd-client -d /dev/nbdN', or load the "
        "module with more, 'modprobe nbd nbds_max=N'",
        EBUSY);
}

/* The kernel names as a device's pid that of the client that gave it the socket. */
bool attached(Driver &driver, const UserspaceState &state) {
    return !state.node.empty() && state.client.pid > 0 &&
           node_attribute(driver, state, "pid") == std::to_string(state.client.pid);
}

bool try_attach(Driver &driver, UserspaceState &state, const NodeRequest &request) {
    const unsigned int cpus = std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::string> argv = {find_program("nbd-client"),
                                     "-unix",
                                     state.socket(),
                                     state.node,
                                     "-C",
                                     std::to_string(std::min(cpus, kConnections))};
    if (request.read_only) {
        argv.emplace_back("-readonly");
    }
    start_process(argv, state.log(), -1, [&](const Process &client) {
        state.client = client;
        write_state(state);
    });
    /* It ends when the kernel has the socket. */
    if (!wait_for_end(state.client, kStart)) {
        kill(state.client.pid, SIGKILL);
        wait_for_end(state.client, kEnd);
    }
    return attached(driver, state);
}

void attach(Driver &driver, UserspaceState &state, const NodeRequest &request) {
    const bool find = request.device.empty();
    for (int i = 0; i < (find ? kFindTries : 1); i++) {
        state.node = find ? free_node(driver, i) : request.device;
        if (!find && has_client(driver, state.node_name())) {
            throw Error(state.node + ": is in use; leave the DEVICE away for a free one", EBUSY);
        }
        write_state(state);
        want_node(driver, state.node);
        if (try_attach(driver, state, request)) {
            return;
        }
        if (!has_client(driver, state.node_name())) {
            break; /* nobody else took it: it is not that */
        }
    }
    throw Error(state.node + ": nbd-client cannot attach: " + last_words(state.log()), EIO);
}

int detach(Driver &driver, const UserspaceState &state) {
    if (!attached(driver, state)) {
        return 0;
    }
    Fd claim;
    const int err = settle_device(driver, state, &claim);
    claim = Fd();
    std::string said;
    int status = driver.kernel().run({find_program("nbd-client"), "-d", state.node}, &said);
    if (!wait_until(driver, kEnd, [&] { return !attached(driver, state); })) {
        throw Error(state.node + ": nbd-client cannot detach it (status " + std::to_string(status) +
                        "): " + said.substr(0, said.find('\n')),
                    EIO);
    }
    return err;
}

std::string missing(Driver &driver) {
    std::string said;
    std::error_code code;
    if (find_program("nbd-client").empty()) {
        return "nbd-client is not installed ('apt-get install nbd-client')";
    }
    if (!driver.kernel().superuser()) {
        return "only root can give a socket to the kernel's nbd driver";
    }
    const std::string first = driver.kernel().sys() + "/block/nbd0";
    if (!fs::exists(first, code) &&
        driver.kernel().run({"/sbin/modprobe", "-q", "nbd"}, &said) != 0) {
        return "the kernel has no driver nbd (its module cannot be loaded)";
    }
    if (!wait_until(driver, milliseconds(1000), [&] { return fs::exists(first, code); })) {
        return "the kernel's driver nbd has no devices ('modprobe nbd nbds_max=16')";
    }
    return "";
}

}  // namespace

const UserspaceWay kNbdWay = {"nbd",   "nbd",  &kNbdkitServer, false,  false,
                              missing, attach, attached,       detach, nullptr};

}  // namespace cloopw

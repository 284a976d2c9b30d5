// SPDX-License-Identifier: GPL-2.0
/* cloopw-ublkd has the block device itself: there is no socket and no client. */
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "lib/error.h"
#include "lib/fd.h"
#include "server.h"
#include "tools/cloopwsetup/detach.h"
#include "way.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr const char *kDisk = "diskseq"; /* no other disk of this boot has the same number */
constexpr milliseconds kNode(1000);
constexpr milliseconds kEnd(120 * 1000); /* requests are under way */

std::string device_number_of(const UserspaceState &state) { return text_of(state.device_file()); }

/* Runs cloopw-ublkd; "" or what it says is wrong. */
std::string run_server(Driver &driver, const std::string &argument) {
    std::string said;
    if (driver.kernel().run({own_program(kUblkServer.name), argument}, &said) == 0) {
        return "";
    }
    const size_t error = said.find("error: ");
    said = error == std::string::npos ? said : said.substr(error + sizeof("error: ") - 1);
    said = said.substr(0, said.find('\n'));
    return said.empty() ? std::string(kUblkServer.name) + " cannot be run" : said;
}

std::string missing(Driver &driver) {
    std::error_code code;
    std::string said;
    if (!driver.kernel().superuser()) {
        return "only root can make a device of the kernel's driver ublk";
    }
    const std::string control = driver.kernel().dev() + "/ublk-control";
    if (!fs::exists(control, code)) {
        if (driver.kernel().run({"/sbin/modprobe", "-q", "ublk_drv"}, &said) != 0 ||
            !wait_until(driver, kNode, [&] { return fs::exists(control, code); })) {
            return "the kernel has no driver ublk (its module ublk_drv cannot be loaded)";
        }
    }
    return run_server(driver, "--check");
}

bool attached(Driver &driver, const UserspaceState &state) {
    const auto disk = state.attributes.find(kDisk);
    return !state.node.empty() && disk != state.attributes.end() &&
           node_attribute(driver, state, kDisk) == disk->second;
}

/* The server made the device, and said which. */
void attach(Driver &driver, UserspaceState &state, const NodeRequest &) {
    state.node = driver.kernel().dev() + "/ublkb" + device_number_of(state);
    state.attributes[kDisk] = node_attribute(driver, state, kDisk);
    write_state(state);
    want_node(driver, state.node);
}

/* Its server is gone: who waits for it gets errors. */
void remove_orphan(Driver &driver, const std::string &number) {
    const std::string said = run_server(driver, "orphan=" + number);
    if (!said.empty() && said.find(errno_text(ENODEV)) == std::string::npos) {
        throw Error(said, EIO);
    }
}

/* A number of another boot is another device's by now. */
bool may_have_orphan(Driver &driver, const UserspaceState &state) {
    return attached(driver, state) || (state.node.empty() && state.server.pid > 0);
}

/* Nobody can mount the device between its flush and its end. */
int end_block_device(Driver &driver, const UserspaceState &state) {
    Fd claim;
    const int err = settle_device(driver, state, &claim);
    const Process server = serving_process(state);
    interrupt_server(server);
    wait_until(driver, kEnd, [&] { return !attached(driver, state) || !is_alive(server); });
    return err;
}

int detach(Driver &driver, const UserspaceState &state) {
    if (is_alive(serving_process(state))) {
        return attached(driver, state) ? end_block_device(driver, state) : 0;
    }
    const std::string number = device_number_of(state);
    if (!number.empty() && may_have_orphan(driver, state)) {
        remove_orphan(driver, number);
    }
    return 0;
}

}  // namespace

const UserspaceWay kUblkWay = {"ublk",  "ublkb", &kUblkServer, true,   true,
                               missing, attach,  attached,     detach, nullptr};

}  // namespace cloopw

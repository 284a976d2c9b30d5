// SPDX-License-Identifier: GPL-2.0
/* nbdfuse shows what a socket serves as a file, and a loop device is on that. */
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "lib/error.h"
#include "tools/cloopwsetup/detach.h"
#include "way.h"

namespace cloopw {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStart(10000);
constexpr milliseconds kEnd(30000);
constexpr int kFindTries = 32; /* others may take the free device first */

std::string mount_of(const UserspaceState &state) { return state.dir + "/fuse"; }
std::string file_of(const UserspaceState &state) { return mount_of(state) + "/disk"; }

/* ---- the file ---- */

void mount_file(Driver &driver, UserspaceState &state, bool read_only) {
    const std::string pid_file = state.dir + "/client.pid";
    if (mkdir(mount_of(state).c_str(), S_IRWXU) != 0) {
        throw io_error(mount_of(state), "cannot be made", errno);
    }
    std::vector<std::string> argv = {find_program("nbdfuse"), "-P", pid_file};
    if (read_only) {
        argv.emplace_back("-r");
    }
    argv.insert(argv.end(), {file_of(state), "--unix", state.socket()});
    start_process(argv, state.log(), -1, [&](const Process &client) {
        state.client = client;
        write_state(state);
    });
    bool ended = false;
    auto is_ready = [&] {
        ended = !is_alive(state.client);
        return ended || !text_of(pid_file).empty();
    };
    if (!wait_until(driver, kStart, is_ready) || ended) {
        throw Error("nbdfuse: cannot show " + state.socket() + " as a file: " +
                        (ended ? last_words(state.log()) : "it is not ready in time") +
                        "; in a container, /dev/fuse and the right to mount are needed",
                    EIO);
    }
}

bool is_mounted(const UserspaceState &state) {
    std::ifstream mounts("/proc/self/mounts");
    const std::string target = " " + mount_of(state) + " ";
    for (std::string line; std::getline(mounts, line);) {
        if (line.find(target) != std::string::npos) {
            return true;
        }
    }
    return false;
}

void unmount_file(Driver &driver, const UserspaceState &state) {
    std::string said;
    int err = 0;
    auto is_gone = [&] {
        if (!is_mounted(state)) {
            return true;
        }
        if (geteuid() == 0) {
            err = umount2(mount_of(state).c_str(), UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
        } else {
            driver.kernel().run({find_program("fusermount3"), "-u", mount_of(state)}, &said);
            err = EBUSY;
        }
        return !is_mounted(state);
    };
    if (!wait_until(driver, kStart, is_gone)) {
        throw io_error(mount_of(state), "cannot unmount", err,
                       "'fuser -vm " + mount_of(state) + "' tells who uses it");
    }
    if (!wait_for_end(state.client, kEnd)) {
        /* Unmounted, it has nothing left to do. */
        kill(state.client.pid, SIGKILL);
        wait_for_end(state.client, kEnd);
    }
}

/* ---- the loop device ---- */

int next_loop(Driver &driver) {
    Fd control(open((driver.kernel().dev() + "/loop-control").c_str(), O_RDWR | O_CLOEXEC));
    int number = control.get() < 0 ? -1 : ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) {
        throw io_error("/dev/loop-control", "gives no loop device", errno,
                       errno == EACCES || errno == EPERM ? "run this as root" : "");
    }
    return number;
}

/* Makes the device exist. */
void add_loop(Driver &driver, const std::string &node) {
    Fd control(open((driver.kernel().dev() + "/loop-control").c_str(), O_RDWR | O_CLOEXEC));
    unsigned int number = 0;
    if (control.get() >= 0 && sscanf(node.c_str(), "/dev/loop%u", &number) == 1) {
        ioctl(control.get(), LOOP_CTL_ADD, number);
    }
}

/* 0 or a positive errno */
int configure_loop(const std::string &node, int file, const std::string &name,
                   const NodeRequest &request) {
    Fd loop(open(node.c_str(), (request.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    if (loop.get() < 0) {
        return errno;
    }
    struct loop_config config = {};
    config.fd = static_cast<__u32>(file);
    config.block_size = request.sector_size;
    /* Direct, so that data is not cached twice and requests go side by side. */
    config.info.lo_flags = LO_FLAGS_DIRECT_IO | (request.read_only ? LO_FLAGS_READ_ONLY : 0) |
                           (request.partscan ? LO_FLAGS_PARTSCAN : 0);
    name.copy(reinterpret_cast<char *>(config.info.lo_file_name), LO_NAME_SIZE - 1);
    return ioctl(loop.get(), LOOP_CONFIGURE, &config) == 0 ? 0 : errno;
}

void attach_loop(Driver &driver, UserspaceState &state, const NodeRequest &request) {
    Fd file(open(file_of(state).c_str(), (request.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    if (file.get() < 0) {
        throw io_error(file_of(state), "cannot open", errno);
    }
    const bool find = request.device.empty();
    int err = EBUSY;
    for (int i = 0; err == EBUSY && i < (find ? kFindTries : 1); i++) {
        state.node = find ? "/dev/loop" + std::to_string(next_loop(driver)) : request.device;
        write_state(state);
        if (!find) {
            add_loop(driver, state.node);
        }
        want_node(driver, state.node);
        err = configure_loop(state.node, file.get(), file_of(state), request);
    }
    if (err != 0) {
        std::string remedy;
        if (err == EACCES || err == EPERM) {
            remedy = "run this as root";
        } else if (err == EBUSY) {
            remedy = "'losetup -l " + state.node + "' tells what it has; leave the DEVICE away";
        }
        throw io_error(state.node, "cannot attach", err, remedy);
    }
}

/* A file whose server has ended may have lost its name, of which the kernel tells. */
bool is_file(const UserspaceState &state, const std::string &backing) {
    return backing == file_of(state) || backing == file_of(state) + " (deleted)";
}

bool loop_attached(Driver &driver, const UserspaceState &state) {
    if (state.node.empty() || !is_file(state, node_attribute(driver, state, "loop/backing_file"))) {
        return false;
    }
    /* A stopped nbdfuse has whoever looks at its file wait. */
    if (is_stopped(state.client)) {
        return true;
    }
    /* Another container's file may have the same name. */
    struct stat st = {};
    struct loop_info64 info = {};
    Fd loop(open(state.node.c_str(), O_RDONLY | O_CLOEXEC));
    if (stat(file_of(state).c_str(), &st) != 0 || loop.get() < 0 ||
        ioctl(loop.get(), LOOP_GET_STATUS64, &info) != 0) {
        return true; /* nbdfuse was ended: nobody can tell */
    }
    return info.lo_device == st.st_dev && info.lo_inode == st.st_ino;
}

int detach_loop(Driver &driver, const UserspaceState &state) {
    auto is_gone = [&] { return !loop_attached(driver, state); };
    if (is_gone()) {
        return 0;
    }
    Fd claim;
    const int err = settle_device(driver, state, &claim);
    claim = Fd();
    {
        Fd loop(open(state.node.c_str(), O_RDONLY | O_CLOEXEC));
        if (loop.get() < 0 || (ioctl(loop.get(), LOOP_CLR_FD, 0) != 0 && errno != ENXIO)) {
            throw io_error(state.node, "cannot detach", errno,
                           errno == EACCES || errno == EPERM ? "run this as root" : "");
        }
    }
    /* While another has it open for a moment, the kernel puts it off. */
    if (!wait_until(driver, kStart, is_gone)) {
        throw in_use(driver, {0, state.node_name(), state.node, nullptr});
    }
    return err;
}

/* ---- the way ---- */

/* Is the node there, or when the module is loaded? */
bool want_module(Driver &driver, const std::string &node, const std::string &module) {
    struct stat st = {};
    std::string said;
    auto is_there = [&] { return driver.kernel().stat(node, &st) == 0; };
    return is_there() || (driver.kernel().run({"/sbin/modprobe", "-q", module}, &said) == 0 &&
                          wait_until(driver, milliseconds(1000), is_there));
}

std::string missing(Driver &driver) {
    if (find_program("nbdfuse").empty()) {
        return "nbdfuse is not installed ('apt-get install libnbd-bin fuse3')";
    }
    if (!want_module(driver, "/dev/fuse", "fuse")) {
        return "there is no /dev/fuse ('modprobe fuse'; in a container, '--device /dev/fuse')";
    }
    if (!want_module(driver, "/dev/loop-control", "loop")) {
        return "there is no /dev/loop-control ('modprobe loop'; in a container, "
               "'--device /dev/loop-control')";
    }
    return "";
}

void attach(Driver &driver, UserspaceState &state, const NodeRequest &request) {
    mount_file(driver, state, request.read_only);
    attach_loop(driver, state, request);
}

int detach(Driver &driver, const UserspaceState &state) {
    const int err = detach_loop(driver, state);
    unmount_file(driver, state);
    return err;
}

/* nbdfuse writes at once, so the file's pages are clean. */
void forget(const UserspaceState &state) {
    const Fd file(open(file_of(state).c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() >= 0) {
        (void)posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
}

}  // namespace

const UserspaceWay kFuseWay = {"fuse",  "loop", &kNbdkitServer, false,  true,
                               missing, attach, loop_attached,  detach, forget};

}  // namespace cloopw

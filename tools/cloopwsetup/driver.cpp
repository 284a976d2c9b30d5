// SPDX-License-Identifier: GPL-2.0
#include "driver.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "lib/error.h"
#include "lib/fd.h"
#include "tools/cloopwsetup/userspace/userspace.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr const char *kModprobe = "/sbin/modprobe";
constexpr const char *kUdevadm = "/usr/bin/udevadm";
constexpr const char *kModule = "cloopw";
constexpr milliseconds kStep(20);
constexpr int kNodeSteps = 100; /* 2 s for a node to appear */

/* The module's driver is not there; anything else is a failure. */
bool means_absent(int err) { return err == -ENOENT || err == -ENXIO || err == -ENODEV; }

/* DKMS's log of a build for this kernel, which is only there when that failed; or "" */
std::string failed_build(const std::string &dkms, const std::string &release) {
    std::error_code error;
    for (const auto &version : fs::directory_iterator(dkms, error)) {
        std::string log = version.path() / "build/make.log";
        std::string title;
        std::ifstream file(log);
        if (std::getline(file, title) &&
            title.find("kernel " + release + " ") != std::string::npos) {
            return log;
        }
    }
    return "";
}

/* No module for the kernel that runs */
std::string missing_remedy(const std::string &dkms, const std::string &release) {
    std::string log = failed_build(dkms, release);
    if (!log.empty()) {
        return "DKMS could not build it for kernel " + release + ": " + log + " tells why";
    }
    return "there is none for kernel " + release + ": the package cloopw-dkms with linux-headers-" +
           release + ", or 'make install' in the source of cloopw, makes it";
}

/* The remedy for a message of modprobe's. */
std::string modprobe_remedy(const std::string &said, Kernel &kernel) {
    const std::string release = kernel.release();
    auto says = [&](const char *text) { return said.find(text) != std::string::npos; };
    if (says("Key was rejected") || says("Required key not available")) {
        return "Secure Boot admits signed modules only: sign it with a key that "
               "'mokutil --import' enrolled, or turn Secure Boot off";
    }
    if (!kernel.superuser()) {
        return "only root can load it: run 'modprobe cloopw' or this command as root";
    }
    if (says("not found")) {
        return missing_remedy(kernel.dkms(), release);
    }
    if (says("Operation not permitted")) {
        return "the kernel is locked down or this is a container: load it on the host";
    }
    if (says("Exec format error") || says("Invalid argument") || says("Unknown symbol")) {
        return "it was built for another kernel than " + release + ": build and install it again";
    }
    return "'dmesg | tail' may tell more";
}

/* modprobe's first line without "modprobe: FATAL: " before it */
std::string reason_in(const std::string &said) {
    std::string line = said.substr(0, said.find('\n'));
    for (const char *word : {"modprobe: ", "FATAL: ", "ERROR: "}) {
        if (line.rfind(word, 0) == 0) {
            line.erase(0, strlen(word));
        }
    }
    while (!line.empty() && line.back() == '.') {
        line.pop_back();
    }
    return line;
}

std::string kind_of(const struct stat &st) {
    switch (st.st_mode & S_IFMT) {
        case S_IFDIR:
            return "a directory";
        case S_IFCHR:
            return "a character device";
        default:
            return "no block device";
    }
}

std::string device_id(const struct stat &st) {
    return std::to_string(major(st.st_rdev)) + ":" + std::to_string(minor(st.st_rdev));
}

Error not_ours(const std::string &arg, const std::string &what) {
    return Error(arg + ": not a cloopw device, but " + what +
                     "; cloopw devices are named /dev/cloopw0, /dev/cloopw1, ...",
                 ENOTTY);
}

/* Most likely an image whose device was forgotten. */
Error not_a_device(const std::string &arg) {
    return Error(arg + ": not a cloopw device, but a regular file; 'cloopwsetup -f " + arg +
                     "' attaches an image to a free device",
                 ENOTTY);
}

}  // namespace

std::optional<int> device_number(const std::string &name) {
    const std::string prefix = "cloopw";
    if (name.compare(0, prefix.size(), prefix) != 0 || name.size() == prefix.size()) {
        return std::nullopt;
    }
    const char *begin = name.data() + prefix.size();
    const char *end = name.data() + name.size();
    if (*begin < '0' || *begin > '9' || (*begin == '0' && begin + 1 != end)) {
        return std::nullopt; /* one device has one name */
    }
    int number = 0;
    auto [rest, code] = std::from_chars(begin, end, number);
    if (code != std::errc() || rest != end) {
        return std::nullopt;
    }
    return number;
}

std::string text_of(const std::string &path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    std::string result = text.str();
    if (!result.empty() && result.back() == '\n') {
        result.pop_back();
    }
    return result;
}

void Driver::load_module() {
    say("loading the module cloopw");
    std::string said;
    int status = kernel_.run({kModprobe, kModule}, &said);
    if (status == 0) {
        return;
    }
    std::string what = "module cloopw: cannot be loaded: ";
    if (status < 0) {
        throw NoModule(io_error("module cloopw", std::string("cannot be loaded: ") + kModprobe,
                                status, status == -ENOENT ? "install the package kmod" : ""));
    }
    what +=
        said.empty() ? "modprobe failed with status " + std::to_string(status) : reason_in(said);
    throw NoModule(what + "; " + modprobe_remedy(said, kernel_));
}

Handle Driver::open_control() {
    const std::string path = kernel_.dev() + "/" CLOOPW_CONTROL_NAME;
    int fd = kernel_.open(path, O_RDWR);
    if (means_absent(fd)) {
        load_module();
        for (int i = 0; i < kNodeSteps; i++) {
            fd = kernel_.open(path, O_RDWR);
            if (!means_absent(fd)) {
                break;
            }
            kernel_.pause(kStep);
        }
    }
    if (means_absent(fd)) {
        std::string id = text_of(kernel_.sys() + "/class/misc/" CLOOPW_CONTROL_NAME "/dev");
        std::replace(id.begin(), id.end(), ':', ' ');
        throw io_error(path, "cannot open", fd,
                       id.empty()
                           ? "the module is loaded but has no control device"
                           : "neither devtmpfs nor udev made it: mknod " + path + " c " + id);
    }
    if (fd < 0) {
        throw io_error(path, "cannot open", fd,
                       fd == -EACCES || fd == -EPERM ? "run this as root" : "");
    }
    return {kernel_, fd};
}

int Driver::control(unsigned int request, long arg) {
    return open_control().ioctl(request, static_cast<unsigned long>(arg));
}

DeviceRef Driver::device_of(int number) {
    std::string name = "cloopw" + std::to_string(number);
    std::string path = kernel_.dev() + "/" + name;
    return {number, name, path};
}

void Driver::wait_for_node(const DeviceRef &device) {
    struct stat st = {};
    for (int i = 0; i < kNodeSteps; i++) {
        if (kernel_.stat(device.path, &st) == 0) {
            return;
        }
        kernel_.pause(kStep);
    }
    std::string id = text_of(kernel_.sys() + "/block/" + device.name + "/dev");
    std::replace(id.begin(), id.end(), ':', ' ');
    throw io_error(device.path, "the device is there, its node is not", ENOENT,
                   "neither devtmpfs nor udev made it: mknod " + device.path + " b " +
                       (id.empty() ? "MAJOR MINOR" : id));
}

DeviceRef Driver::find_free() {
    int number = control(CLOOPW_CTL_GET_FREE, 0);
    if (number < 0) {
        throw io_error("cloopw", "cannot find a free device", number,
                       number == -EPERM || number == -EACCES ? "run this as root" : "");
    }
    DeviceRef device = device_of(number);
    wait_for_node(device);
    return device;
}

void Driver::add(int number) {
    int result = control(CLOOPW_CTL_ADD, number);
    if (result == -EEXIST) {
        return;
    }
    if (result < 0) {
        throw io_error(device_of(number).path, "cannot add the device", result,
                       result == -EPERM || result == -EACCES ? "run this as root" : "");
    }
    say("added " + device_of(number).path);
}

/*
 * The device behind a block node, by what sysfs says of its numbers. nullopt
 * when sysfs knows of no such numbers or of another name: a node left over.
 */
std::optional<DeviceRef> Driver::known_block_device(const std::string &arg, const struct stat &st) {
    std::error_code code;
    fs::path link = fs::read_symlink(kernel_.sys() + "/dev/block/" + device_id(st), code);
    if (code) {
        return std::nullopt;
    }
    std::string name = link.filename().string();
    auto number = device_number(name);
    auto named = device_number(fs::path(arg).filename().string());
    if (number && named.value_or(*number) != *number) {
        return std::nullopt;
    }
    if (number) {
        return DeviceRef{*number, name, arg};
    }
    std::string whole = link.parent_path().filename().string();
    if (device_number(whole)) {
        throw Error(arg + ": is a partition; the device is " + kernel_.dev() + "/" + whole, ENOTTY);
    }
    throw not_ours(arg, "the block device " + name);
}

DeviceRef Driver::find(const std::string &arg, bool make) {
    std::string path = arg;
    if (path.find('/') == std::string::npos && device_number(path)) {
        path.insert(0, kernel_.dev() + "/");
    }
    struct stat st = {};
    int err = kernel_.stat(path, &st);
    if (err == 0 && !S_ISBLK(st.st_mode)) {
        throw S_ISREG(st.st_mode) ? not_a_device(path) : not_ours(path, kind_of(st));
    }
    if (err == 0) {
        if (auto device = known_block_device(path, st)) {
            return *device;
        }
    } else if (err != -ENOENT) {
        throw io_error(path, "cannot be looked at", err);
    }

    fs::path as_path(path);
    auto number = device_number(as_path.filename().string());
    if (!number || as_path.parent_path() != kernel_.dev()) {
        throw Error(path + ": no such device; cloopw devices are named " + kernel_.dev() +
                        "/cloopw0, " + kernel_.dev() + "/cloopw1, ...",
                    ENXIO);
    }
    if (!make) {
        throw Error(path + ": no such device; 'cloopwsetup' alone lists those in use", ENXIO);
    }
    add(*number);
    DeviceRef device = device_of(*number);
    wait_for_node(device);
    if (kernel_.stat(path, &st) != 0 || !S_ISBLK(st.st_mode) || !known_block_device(path, st)) {
        throw Error(path +
                        ": the node is stale: it has the numbers of another device; remove it, "
                        "and run 'udevadm trigger' or 'mknod " +
                        path + " b " + text_of(kernel_.sys() + "/block/" + device.name + "/dev") +
                        "'",
                    ENXIO);
    }
    return device;
}

std::vector<DeviceRef> Driver::devices() {
    std::vector<DeviceRef> found;
    std::error_code code;
    for (const auto &entry : fs::directory_iterator(kernel_.sys() + "/block", code)) {
        if (auto number = device_number(entry.path().filename().string())) {
            found.push_back(device_of(*number));
        }
    }
    std::sort(found.begin(), found.end(),
              [](const DeviceRef &a, const DeviceRef &b) { return a.number < b.number; });
    return found;
}

std::string Driver::attribute(const DeviceRef &device, const std::string &name) {
    if (device.userspace) {
        auto found = device.userspace->attributes.find(name);
        return found == device.userspace->attributes.end() ? "" : found->second;
    }
    return text_of(kernel_.sys() + "/block/" + device.name + "/cloopw/" + name);
}

std::vector<std::string> Driver::layers(const DeviceRef &device, const std::string &name) {
    std::vector<std::string> found;
    if (device.userspace) {
        std::istringstream lines(attribute(device, name == "path" ? "cow" : "cow_format"));
        for (std::string line; std::getline(lines, line);) {
            found.push_back(line);
        }
        return found;
    }
    for (int i = 0; i < CLOOPW_MAX_LAYERS; i++) {
        std::string text = attribute(device, "layers/" + std::to_string(i) + "/" + name);
        if (text.empty()) {
            break;
        }
        found.push_back(text);
    }
    return found;
}

int Driver::set_attribute(const DeviceRef &device, const std::string &name,
                          const std::string &text) {
    if (device.userspace) {
        return set_userspace_attribute(device, name, text);
    }
    const std::string path = kernel_.sys() + "/block/" + device.name + "/cloopw/" + name;
    Fd fd(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    if (fd.get() < 0) {
        return -errno;
    }
    return write(fd.get(), text.data(), text.size()) < 0 ? -errno : 0;
}

bool Driver::attached(const DeviceRef &device) {
    return device.userspace || !attribute(device, "image").empty();
}

Handle Driver::open(const DeviceRef &device, int flags) {
    Handle handle(kernel_, kernel_.open(device.path, flags));
    int err = handle.error();
    if (err != 0) {
        throw io_error(device.path, "cannot open", err,
                       err == -EACCES || err == -EPERM ? "run this as root" : "");
    }
    return handle;
}

/* Links below /dev/disk and the like are there then. Nothing to wait for is no error. */
void Driver::wait_for_udev() {
    std::error_code code;
    if (!fs::exists(kernel_.udev() + "/control", code)) {
        return;
    }
    std::string said;
    if (kernel_.run({kUdevadm, "settle", "--timeout=5"}, &said) != 0) {
        say("udev is still busy after 5 s");
    }
}

std::optional<struct cloopw_query> Driver::query(int *err) {
    Handle handle(kernel_, kernel_.open(kernel_.dev() + "/" CLOOPW_CONTROL_NAME, O_RDWR));
    struct cloopw_query query = {};
    query.size = sizeof(query);
    int result = handle.error();
    if (result == 0) {
        result = handle.ioctl(CLOOPW_CTL_QUERY, reinterpret_cast<unsigned long>(&query));
    }
    if (err != nullptr) {
        *err = means_absent(result) ? 0 : result;
    }
    return result < 0 ? std::nullopt : std::optional(query);
}

std::optional<struct cloopw_status> Driver::status(const DeviceRef &device) {
    if (device.userspace) {
        return std::nullopt;
    }
    Handle handle(kernel_, kernel_.open(device.path, O_RDONLY | O_NONBLOCK));
    struct cloopw_status status = {};
    status.size = sizeof(status);
    if (handle.error() != 0 ||
        handle.ioctl(CLOOPW_GET_STATUS, reinterpret_cast<unsigned long>(&status)) < 0) {
        return std::nullopt;
    }
    return status;
}

}  // namespace cloopw

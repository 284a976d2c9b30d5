// SPDX-License-Identifier: GPL-2.0
#include "detach.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "lib/cow/reset.h"
#include "lib/error.h"
#include "lib/octal.h"
#include "tools/cloopwsetup/userspace/userspace.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/* udev and blkid look at a device for a moment after every change. */
constexpr milliseconds kStep(50);
constexpr int kSteps = 20;
constexpr size_t kMostHolders = 8; /* in one message */

std::vector<std::string> words_of(const std::string &line) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) {
        words.push_back(word);
    }
    return words;
}

const Part *part_of(const std::vector<Part> &parts, const std::string &path) {
    auto found = std::find_if(parts.begin(), parts.end(),
                              [&](const Part &part) { return part.path == path; });
    return found == parts.end() ? nullptr : &*found;
}

/*
 * "36 35 251:0 / /mnt rw - ext4 /dev/cloopw0 rw". Some file systems, for example btrfs,
 * have numbers of their own, so the source after the dash counts too.
 */
void find_mounts(Kernel &kernel, const std::vector<Part> &parts, std::vector<Holder> *found) {
    constexpr size_t kId = 2;
    constexpr size_t kTarget = 4;
    std::ifstream file(kernel.proc() + "/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        std::vector<std::string> words = words_of(line);
        if (words.size() <= kTarget) {
            continue;
        }
        auto dash = std::find(words.begin(), words.end(), "-");
        std::string source = words.end() - dash > 2 ? from_octal(dash[2]) : "";
        for (const Part &part : parts) {
            if ((!part.id.empty() && words[kId] == part.id) || source == part.path) {
                std::string target = from_octal(words[kTarget]);
                found->push_back({part.path + " is mounted on " + target, "umount " + target});
                break;
            }
        }
    }
}

void find_swap(Kernel &kernel, const std::vector<Part> &parts, std::vector<Holder> *found) {
    std::ifstream file(kernel.proc() + "/swaps");
    for (std::string line; std::getline(file, line);) {
        std::string path = from_octal(line.substr(0, line.find_first_of(" \t")));
        if (part_of(parts, path) != nullptr) {
            found->push_back({path + " is swap space", "swapoff " + path});
        }
    }
}

/* device-mapper and md devices on top; find_loops() tells of those of cloopw */
void find_stacked(const std::vector<Part> &parts, std::vector<Holder> *found) {
    std::error_code code;
    for (const Part &part : parts) {
        for (const auto &entry : fs::directory_iterator(part.sysfs + "/holders", code)) {
            std::string name = entry.path().filename().string();
            std::string mapped = text_of(entry.path().string() + "/dm/name");
            if (name.starts_with("cloopw")) {
                continue;
            }
            if (mapped.empty()) {
                found->push_back({"device " + name + " is on " + part.path, "stop " + name});
            } else {
                found->push_back({"device-mapper's " + mapped + " is on " + part.path,
                                  "dmsetup remove " + mapped});
            }
        }
    }
}

/* loop and cloopw devices whose image it is */
void find_loops(Kernel &kernel, const std::vector<Part> &parts, std::vector<Holder> *found) {
    std::error_code code;
    for (const auto &entry : fs::directory_iterator(kernel.sys() + "/block", code)) {
        std::string dir = entry.path().string();
        std::string name = kernel.dev() + "/" + entry.path().filename().string();
        const Part *part = part_of(parts, text_of(dir + "/loop/backing_file"));
        if (part != nullptr) {
            found->push_back({part->path + " is the file of " + name, "losetup -d " + name});
        }
        part = part_of(parts, text_of(dir + "/cloopw/image"));
        if (part != nullptr) {
            found->push_back({part->path + " is the image of " + name, "cloopwsetup -d " + name});
        }
    }
}

/* This process, and those that serve the device. */
bool is_own(const DeviceRef &device, const std::string &pid) {
    if (pid == std::to_string(getpid())) {
        return true;
    }
    if (!device.userspace) {
        return false;
    }
    const UserspaceState &state = device.userspace->state;
    return pid == std::to_string(state.server.pid) || pid == std::to_string(state.client.pid);
}

void find_processes(Kernel &kernel, const DeviceRef &device, const std::vector<Part> &parts,
                    std::vector<Holder> *found) {
    std::error_code code;
    for (const auto &process : fs::directory_iterator(kernel.proc(), code)) {
        std::string pid = process.path().filename().string();
        if (pid.find_first_not_of("0123456789") != std::string::npos || is_own(device, pid)) {
            continue;
        }
        for (const auto &fd : fs::directory_iterator(process.path() / "fd", code)) {
            const Part *part = part_of(parts, fs::read_symlink(fd.path(), code).string());
            if (part != nullptr) {
                std::string name = text_of(process.path().string() + "/comm");
                found->push_back({fmt::format("process {} ({}) has {} open", pid, name, part->path),
                                  "end process " + pid});
                break;
            }
        }
    }
}

}  // namespace

std::vector<Holder> holders_of(Driver &driver, const DeviceRef &device) {
    std::vector<Part> parts = parts_of(driver, device);
    std::vector<Holder> found;
    find_mounts(driver.kernel(), parts, &found);
    find_swap(driver.kernel(), parts, &found);
    find_stacked(parts, &found);
    find_loops(driver.kernel(), parts, &found);
    find_processes(driver.kernel(), device, parts, &found);
    return found;
}

Error in_use(Driver &driver, const DeviceRef &device, const char *what) {
    std::vector<Holder> holders = holders_of(driver, device);
    std::string text = device.path + ": " + what + ": is in use";
    if (holders.empty()) {
        return Error(text +
                         ", by nothing that can be seen from here; look for mounts in other "
                         "mount namespaces (containers), 'lsof " +
                         device.path + "' as root",
                     EBUSY);
    }
    std::string remedy;
    for (size_t i = 0; i < holders.size() && i < kMostHolders; i++) {
        text.append(i == 0 ? ": " : ", ").append(holders[i].what);
        remedy.append(i == 0 ? "; first '" : "', '").append(holders[i].remedy);
    }
    if (holders.size() > kMostHolders) {
        text += ", and more";
    }
    return Error(text + remedy + "'", EBUSY);
}

std::vector<Part> parts_of(Driver &driver, const DeviceRef &device) {
    Kernel &kernel = driver.kernel();
    std::string sysfs = kernel.sys() + "/block/" + device.name;
    std::vector<Part> parts;
    auto add = [&](const std::string &name, const std::string &dir) {
        parts.push_back({name, kernel.dev() + "/" + name, text_of(dir + "/dev"), dir});
    };
    add(device.name, sysfs);
    std::error_code code;
    for (const auto &entry : fs::directory_iterator(sysfs, code)) {
        if (fs::exists(entry.path() / "partition", code)) {
            add(entry.path().filename().string(), entry.path().string());
        }
    }
    std::sort(parts.begin() + 1, parts.end(),
              [](const Part &a, const Part &b) { return a.name < b.name; });
    return parts;
}

void detach(Driver &driver, const DeviceRef &device) {
    int err = 0;
    for (int i = 0; i <= kSteps; i++) {
        if (i > 0) {
            driver.kernel().pause(kStep);
        }
        Handle node = driver.open(device, O_RDONLY | O_NONBLOCK);
        err = node.ioctl(CLOOPW_CLEAR, 0);
        if (err != -EBUSY) {
            break;
        }
    }
    if (err == -EBUSY) {
        throw in_use(driver, device);
    }
    if (err == -ENXIO) {
        throw Error(device.path + ": cannot detach: has no image", ENXIO);
    }
    if (err < 0 && !driver.attached(device)) {
        throw io_error(device.path, "detached, but not all that was written to it could be stored",
                       err, "'dmesg | tail' may tell more");
    }
    if (err == -ENOSPC || err == -EIO) {
        throw io_error(device.path, "not detached: not all that was written to it could be stored",
                       err,
                       "what is lost must be written again; 'cloopwsetup -d " + device.path +
                           "' once more detaches it all the same");
    }
    if (err < 0) {
        throw io_error(device.path, "cannot detach", err,
                       err == -EPERM || err == -EACCES ? "run this as root" : "");
    }
    driver.say(device.path + ": detached");
}

namespace {

void detach_any(Driver &driver, const DeviceRef &device) {
    device.userspace ? detach_userspace(driver, device) : detach(driver, device);
}

/* Data that could not be stored is to be thrown away, so the second detach is as good. */
void detach_unstored(Driver &driver, const DeviceRef &device) {
    try {
        detach_any(driver, device);
    } catch (const Error &e) {
        if (e.err() != ENOSPC && e.err() != EIO) {
            throw;
        }
        if (!device.userspace && driver.attached(device)) {
            detach_any(driver, device);
        }
    }
}

/* The driver names a file in memory so, and servers give it no path. */
bool is_memory(const std::string &cow) {
    return cow.starts_with("/memfd:") || !cow.starts_with("/");
}

}  // namespace

void detach_and_discard(Driver &driver, const DeviceRef &device) {
    const std::vector<std::string> layers = driver.layers(device, "path");
    if (layers.empty() || driver.attribute(device, "read_only") == "1") {
        throw Error(device.path + ": nothing is written to it, so it has no changes to throw away",
                    EROFS, CLOOPW_R_READ_ONLY);
    }
    if (is_memory(layers.front())) {
        detach_unstored(driver, device);
        return; /* with the device, the changes are gone */
    }
    const std::string name = from_octal(layers.front());
    const AttachedCow cow(name);
    detach_unstored(driver, device);
    try {
        cow.reset();
    } catch (const Error &e) {
        throw e.with(device.path + ": detached, but its changes are still there: " + e.what());
    }
    driver.say(name + ": holds no changes any more");
}

}  // namespace cloopw

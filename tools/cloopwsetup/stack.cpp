// SPDX-License-Identifier: GPL-2.0
#include "stack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "lib/error.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

/* A line of mountinfo: a file system that has no block device of its own. */
struct Mount {
    std::string type;
    std::string source;
    std::string options; /* the superblock's */
};

/* \040 and the like of mountinfo, and what overlayfs puts before its separators. */
std::string unescape(const std::string &text) {
    constexpr size_t kDigits = 3;
    constexpr int kOctal = 8;
    auto is_octal = [&](size_t at) {
        return at < text.size() && text[at] >= '0' && text[at] < '8';
    };
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
        } else if (is_octal(i + 1) && is_octal(i + 2) && is_octal(i + kDigits)) {
            out += static_cast<char>(std::stoi(text.substr(i + 1, kDigits), nullptr, kOctal));
            i += kDigits;
        } else {
            out += text[++i];
        }
    }
    return out;
}

/* Splits at separators that no backslash is before. */
std::vector<std::string> split(const std::string &text, char separator) {
    std::vector<std::string> parts(1);
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == separator) {
            parts.emplace_back();
            continue;
        }
        parts.back() += text[i];
        if (text[i] == '\\' && i + 1 < text.size()) {
            parts.back() += text[++i];
        }
    }
    return parts;
}

std::string device_id(dev_t dev) {
    return std::to_string(major(dev)) + ":" + std::to_string(minor(dev));
}

/* "" where the kernel does not tell. */
std::string mount_id(const std::string &path) {
    struct statx stx = {};
    if (statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &stx) != 0 ||
        (stx.stx_mask & STATX_MNT_ID) == 0) {
        return "";
    }
    return std::to_string(stx.stx_mnt_id);
}

/* The value of NAME=VALUE among mount options. */
std::string option_of(const Mount &mount, const std::string &name) {
    for (const std::string &option : split(mount.options, ',')) {
        if (option.rfind(name + "=", 0) == 0) {
            return option.substr(name.size() + 1);
        }
    }
    return "";
}

bool is_in_memory(const std::string &type) {
    return type == "tmpfs" || type == "ramfs" || type == "devtmpfs" || type == "hugetlbfs";
}

bool begins_with(const std::string &text, const char *prefix) { return text.rfind(prefix, 0) == 0; }

/* One look at all that a file lies on. */
class Look {
public:
    Look(Driver &driver, std::string wanted) : driver_(driver), wanted_(std::move(wanted)) {}

    void at_path(const std::string &path);

    bool found() const { return found_; }
    const std::string &unknown() const { return unknown_; } /* "": all is known */
    /* ", through loop1 and dm-0", or nothing */
    std::string way() const;

private:
    void at_device(const std::string &id);
    void at_disk(const std::string &name);
    void at_loop(const std::string &name);
    void at_ours(const std::string &name);
    bool at_slaves(const std::string &name);
    void at_mount(const std::string &path, const Mount &mount);
    void at_overlay(const Mount &mount);
    void at_btrfs(const Mount &mount);
    std::optional<Mount> mount_of(const std::string &path, dev_t dev) const;
    std::string block(const std::string &name) const {
        return driver_.kernel().sys() + "/block/" + name;
    }
    bool is_there(const std::string &path) const {
        std::error_code code;
        return fs::exists(path, code);
    }
    void no_way_on(const std::string &what) {
        if (unknown_.empty()) {
            unknown_ = what;
        }
    }

    Driver &driver_;
    const std::string wanted_; /* "cloopw0" */
    bool found_ = false;
    std::string unknown_;
    std::set<std::string> seen_;
    std::vector<std::string> way_; /* to where the look is, or has found it */
};

std::string Look::way() const {
    std::string text;
    for (size_t i = 0; i < way_.size(); i++) {
        text += i == 0 ? ", through " : (i + 1 == way_.size() ? " and " : ", ");
        text += way_[i];
    }
    return text;
}

void Look::at_path(const std::string &path) {
    struct stat st = {};
    if (driver_.kernel().stat(path, &st) != 0) {
        no_way_on(path);
    } else if (S_ISBLK(st.st_mode)) {
        at_device(device_id(st.st_rdev));
    } else if (major(st.st_dev) != 0) {
        at_device(device_id(st.st_dev));
    } else if (auto mount = mount_of(path, st.st_dev)) {
        at_mount(path, *mount);
    } else {
        no_way_on("a file system that is not in /proc/self/mountinfo");
    }
}

void Look::at_device(const std::string &id) {
    std::error_code code;
    fs::path link = fs::read_symlink(driver_.kernel().sys() + "/dev/block/" + id, code);
    if (code) {
        no_way_on("block device " + id);
        return;
    }
    std::string name = link.filename().string();
    if (!is_there(block(name))) { /* a partition */
        name = link.parent_path().filename().string();
    }
    if (found_ || !seen_.insert(name).second) {
        return;
    }
    if (name == wanted_) {
        found_ = true;
        return;
    }
    way_.push_back(name);
    at_disk(name);
    if (!found_) {
        way_.pop_back();
    }
}

void Look::at_disk(const std::string &name) {
    const std::string backing = text_of(block(name) + "/backing_dev"); /* zram's */
    if (device_number(name)) {
        at_ours(name);
    } else if (is_there(block(name) + "/loop")) {
        at_loop(name);
    } else if (!backing.empty() && backing != "none") {
        at_path(backing);
    } else if (!at_slaves(name) && !is_there(block(name) + "/device") &&
               !begins_with(name, "ram") && !begins_with(name, "zram") &&
               !begins_with(name, "dm-") && !begins_with(name, "md")) {
        no_way_on(name);
    }
}

bool Look::at_slaves(const std::string &name) {
    std::error_code code;
    bool any = false;
    for (const auto &slave : fs::directory_iterator(block(name) + "/slaves", code)) {
        any = true;
        at_device(text_of(slave.path().string() + "/dev"));
    }
    return any;
}

void Look::at_loop(const std::string &name) {
    const std::string file = text_of(block(name) + "/loop/backing_file");
    if (file.empty() || !is_there(file)) {
        no_way_on(name + ", whose file " + (file.empty() ? "is unknown" : file + " is not there"));
        return;
    }
    at_path(file);
}

void Look::at_ours(const std::string &name) {
    const DeviceRef device = {*device_number(name), name, driver_.kernel().dev() + "/" + name};
    std::vector<std::string> files = driver_.layers(device, "path");
    files.push_back(driver_.attribute(device, "image"));
    for (const std::string &file : files) {
        if (!file.empty() && !begins_with(file, "/memfd:")) {
            at_path(file);
        }
    }
}

/* By its ID, or by the device where the kernel tells none. */
std::optional<Mount> Look::mount_of(const std::string &path, dev_t dev) const {
    const std::string id = mount_id(path);
    std::optional<Mount> found;
    std::ifstream lines(driver_.kernel().proc() + "/self/mountinfo");
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string its_id, parent, its_dev, field;
        fields >> its_id >> parent >> its_dev;
        if (its_id != id && its_dev != device_id(dev)) {
            continue;
        }
        while (fields >> field && field != "-") {
        }
        Mount mount;
        fields >> mount.type >> mount.source >> mount.options;
        mount.source = unescape(mount.source);
        if (its_id == id) {
            return mount;
        }
        found = mount;
    }
    return found;
}

void Look::at_mount(const std::string &path, const Mount &mount) {
    if (mount.type == "overlay") {
        at_overlay(mount);
    } else if (mount.type == "btrfs") {
        at_btrfs(mount);
    } else if (!is_in_memory(mount.type)) {
        no_way_on("a file system of type " + mount.type +
                  (path == mount.source ? "" : ", " + mount.source));
    }
}

/* Written data lies in the upper directory. */
void Look::at_overlay(const Mount &mount) {
    std::vector<std::string> dirs = {option_of(mount, "upperdir")};
    if (dirs.front().empty()) {
        dirs = split(option_of(mount, "lowerdir"), ':');
    }
    way_.emplace_back("overlayfs");
    for (const std::string &dir : dirs) {
        const std::string path = unescape(unescape(dir));
        if (begins_with(path, "/")) {
            at_path(path);
        } else {
            no_way_on("an overlayfs whose directories it does not tell");
        }
    }
    if (!found_) {
        way_.pop_back();
    }
}

/* On all of its devices. */
void Look::at_btrfs(const Mount &mount) {
    std::error_code code;
    const fs::path source = fs::weakly_canonical(mount.source, code);
    for (const auto &system : fs::directory_iterator(driver_.kernel().sys() + "/fs/btrfs", code)) {
        const fs::path devices = system.path() / "devices";
        if (!is_there(devices / source.filename())) {
            continue;
        }
        for (const auto &device : fs::directory_iterator(devices, code)) {
            at_device(text_of(device.path().string() + "/dev"));
        }
        return;
    }
    no_way_on("a btrfs on " + mount.source);
}

}  // namespace

void want_elsewhere(Driver &driver, const DeviceRef &device, const std::string &path, bool force) {
    struct stat st = {};
    std::string there = path;
    if (stat(path.c_str(), &st) != 0) {
        there = fs::path(path).parent_path().string();
        there = there.empty() ? "." : there;
    }
    if (stat(there.c_str(), &st) != 0) {
        return; /* nothing can be made there */
    }
    Look look(driver, device.name);
    look.at_path(there);
    if (look.found()) {
        throw Error(path + ": lies on " + device.path + " itself" + look.way() +
                        ": each would wait for the other; name a file elsewhere",
                    EINVAL);
    }
    if (!look.unknown().empty() && !force) {
        throw Error(path + ": lies on " + look.unknown() +
                        ", which cannot be looked into; if that does not lie on " + device.path +
                        ", --force goes on",
                    EINVAL);
    }
}

}  // namespace cloopw

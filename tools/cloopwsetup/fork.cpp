// SPDX-License-Identifier: GPL-2.0
#include "fork.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "detach.h"
#include "lib/cow/chain.h"
#include "lib/cow/lock.h"
#include "lib/cow/refusal.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lib/octal.h"
#include "lib/same_file.h"
#include "tools/cloopwsetup/userspace/userspace.h"
#include "tools/common/error.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

/* The names that new COW files get: those that are free, in the order of their numbers. */
class CowNames {
public:
    CowNames(const std::string &place, const std::string &image, uint64_t count) {
        std::error_code code;
        std::string pattern = place;
        if (fs::is_directory(place, code)) {
            pattern = fs::path(place) / (fs::path(image).stem().string() + "-%.cow");
        }
        const size_t mark = pattern.rfind('%');
        numbered_ = mark != std::string::npos;
        if (!numbered_ && count > 1) {
            throw UsageError("-c " + place +
                             ": more than one fork wants a directory, or a name with % in the "
                             "place of the number");
        }
        before_ = pattern.substr(0, mark);
        after_ = numbered_ ? pattern.substr(mark + 1) : "";
    }

    std::string next() {
        std::string name = before_;
        do {
            name = numbered_ ? before_ + std::to_string(++number_) + after_ : before_;
        } while (is_taken(name) && numbered_);
        if (is_taken(name)) {
            throw Error(name +
                            ": is there already, and a fork begins with a new COW file; name "
                            "another",
                        EEXIST);
        }
        return name;
    }

    /* Has another program made that file meanwhile? Then the next number is as good. */
    bool is_lost(const std::string &name) const { return numbered_ && is_taken(name); }

private:
    static bool is_taken(const std::string &name) {
        struct stat st = {};
        if (lstat(name.c_str(), &st) == 0) {
            return true;
        }
        if (errno != ENOENT) {
            throw io_error(name, "cannot be looked at", errno);
        }
        return false;
    }

    std::string before_;
    std::string after_;
    bool numbered_;
    uint64_t number_ = 0;
};

void detach_device(Driver &driver, const DeviceRef &device) {
    device.userspace ? detach_userspace(driver, device) : detach(driver, device);
}

/*
 * The COW file while the fork's device has it. A file that is made later can get the same
 * inode. -1: another file has the name.
 */
Fd open_cow(const Fork &fork) {
    Fd fd(open(fork.cow.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat st = {};
    const bool own = fd.get() >= 0 && fstat(fd.get(), &st) == 0 && is_same_file(st, fork.file);
    return own ? std::move(fd) : Fd();
}

void take_back_one(Driver &driver, const Fork &fork) {
    const Fd cow = fork.cow.empty() ? Fd() : open_cow(fork);
    detach_device(driver, fork.device);
    struct stat st = {};
    if (!fork.cow.empty() && !remove_unused(cow.get(), fork.cow) &&
        lstat(fork.cow.c_str(), &st) == 0) {
        throw Error(fork.cow + ": is another file by now, or in use", EBUSY);
    }
}

std::string taken_back_text(Driver &driver, const std::vector<Fork> &forks) {
    const std::string left = take_back(driver, forks);
    if (!left.empty()) {
        return "; these could not be taken back: " + left;
    }
    return forks.empty() ? "" : "; those before it are taken back";
}

}  // namespace

StackOptions base_of_device(Driver &driver, const DeviceRef &device) {
    StackOptions base;
    base.image = from_octal(driver.attribute(device, "image"));
    base.format = driver.attribute(device, "image_format");
    base.offset = std::stoull("0" + driver.attribute(device, "offset"));
    base.sizelimit = std::stoull("0" + driver.attribute(device, "sizelimit"));
    for (const std::string &path : driver.layers(device, "path")) {
        base.cows.push_back(from_octal(path));
    }
    if (base.cows.empty()) {
        return base;
    }
    if (driver.attribute(device, "read_only") != "1") {
        base.cows.erase(base.cows.begin());
    } else if (!identify_cow(base.cows.front()).frozen) {
        throw Error(base.cows.front() +
                        ": is not frozen, so nothing can lie over it; attach it for writing, and "
                        "freeze it with 'cloopwsetup --snapshot'",
                    EINVAL, CLOOPW_R_NOT_FROZEN);
    }
    return base;
}

std::string take_back(Driver &driver, const std::vector<Fork> &forks) {
    std::string left;
    for (auto fork = forks.rbegin(); fork != forks.rend(); ++fork) {
        try {
            take_back_one(driver, *fork);
        } catch (const Error &e) {
            left.append(left.empty() ? "" : ", ").append(e.what());
        }
    }
    return left;
}

/* Two programs may choose the same name: for the later one, the next name is as good. */
static Fork make_fork(const AttachOptions &options, CowNames *names,
                      const std::function<DeviceRef(const AttachOptions &)> &attach_one) {
    for (;;) {
        Fork fork;
        fork.cow = names->next();
        AttachOptions one = options;
        one.cows.insert(one.cows.begin(), fork.cow);
        one.new_top = true;
        try {
            fork.device = attach_one(one);
        } catch (const Error &e) {
            if (e.err() != EEXIST || !names->is_lost(fork.cow)) {
                throw;
            }
            continue;
        }
        (void)stat(fork.cow.c_str(), &fork.file);
        return fork;
    }
}

std::vector<Fork> make_forks(Driver &driver, const AttachOptions &options, uint64_t count,
                             const std::string &place,
                             const std::function<DeviceRef(const AttachOptions &)> &attach_one) {
    CowNames names(place.empty() ? "%" : place, options.image, count);
    std::vector<Fork> forks;
    for (uint64_t i = 1; i <= count; i++) {
        try {
            forks.push_back(place.empty() ? Fork{attach_one(options), "", {}}
                                          : make_fork(options, &names, attach_one));
        } catch (const UsageError &) {
            (void)take_back(driver, forks);
            throw;
        } catch (const Error &e) {
            throw e.with("fork " + std::to_string(i) + " of " + std::to_string(count) + ": " +
                         e.what() + taken_back_text(driver, forks));
        }
    }
    return forks;
}

}  // namespace cloopw

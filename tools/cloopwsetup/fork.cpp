// SPDX-License-Identifier: GPL-2.0
#include "fork.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "detach.h"
#include "lib/cow/chain.h"
#include "lib/cow/refusal.h"
#include "lib/error.h"
#include "lib/octal.h"
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
        std::error_code code;
        std::string name = before_;
        do {
            name = numbered_ ? before_ + std::to_string(++number_) + after_ : before_;
        } while (numbered_ && fs::symlink_status(name, code).type() != fs::file_type::not_found);
        if (!numbered_ && fs::exists(name, code)) {
            throw Error(name +
                            ": is there already, and a fork begins with a new COW file; name "
                            "another",
                        EEXIST);
        }
        return name;
    }

private:
    std::string before_;
    std::string after_;
    bool numbered_;
    uint64_t number_ = 0;
};

void detach_fork(Driver &driver, const DeviceRef &device) {
    device.userspace ? detach_userspace(driver, device) : detach(driver, device);
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
            detach_fork(driver, fork->device);
            if (!fork->cow.empty()) {
                unlink(fork->cow.c_str());
            }
        } catch (const Error &e) {
            left.append(left.empty() ? "" : ", ").append(e.what());
        }
    }
    return left;
}

std::vector<Fork> make_forks(Driver &driver, const AttachOptions &options, uint64_t count,
                             const std::string &place,
                             const std::function<DeviceRef(const AttachOptions &)> &attach_one) {
    CowNames names(place.empty() ? "%" : place, options.image, count);
    std::vector<Fork> forks;
    for (uint64_t i = 1; i <= count; i++) {
        try {
            AttachOptions one = options;
            const std::string cow = place.empty() ? "" : names.next();
            if (!cow.empty()) {
                one.cows.insert(one.cows.begin(), cow);
            }
            forks.push_back({attach_one(one), cow});
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

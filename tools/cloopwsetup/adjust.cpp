// SPDX-License-Identifier: GPL-2.0
#include "adjust.h"

#include <array>
#include <cerrno>

#include "lib/cow/low_space.h"
#include "lib/error.h"
#include "lib/size.h"

namespace cloopw {
namespace {

struct Reason {
    int err;
    const char *text;
};

constexpr std::array kReasons = {
    Reason{EOPNOTSUPP, "its COW is of a format without a limit"},
    Reason{EROFS, "nothing is written to it"},
    Reason{ENXIO, "it has no image"},
    Reason{ENOSPC,
           "more is in use, or needed to give space back; 'fstrim' on its file system may give "
           "some back"},
    Reason{EACCES, "run this as root"},
    Reason{EBUSY, "it is being changed already; try again"},
    Reason{ENOMEM, "there is not enough memory"},
    Reason{ENOTTY, kNobodyIsTold},
    Reason{ENOENT, "this program and the module are of different versions"},
};

}  // namespace

void set_attribute(Driver &driver, const DeviceRef &device, const char *attribute,
                   const std::string &value, const std::string &option) {
    const int err = -driver.set_attribute(device, attribute, value);
    if (err == 0) {
        return;
    }
    for (const Reason &reason : kReasons) {
        if (reason.err == err) {
            throw Error(device.path + ": cannot set " + option + ": " + reason.text, err);
        }
    }
    throw io_error(device.path, "cannot set " + option, err);
}

void adjust(Driver &driver, const DeviceRef &device, const CowSettings &cow) {
    if (cow.limit) {
        set_attribute(driver, device, "cow_limit", std::to_string(*cow.limit),
                      "--cow-limit " + exact_size(*cow.limit));
    }
    if (!cow.low_space.empty()) {
        set_attribute(driver, device, "low_space", cow.low_space, "--low-space " + cow.low_space);
    }
}

}  // namespace cloopw

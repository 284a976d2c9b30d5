// SPDX-License-Identifier: GPL-2.0
#include "attach.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "adjust.h"
#include "change.h"
#include "detach.h"
#include "lib/cow/cow_device.h"
#include "lib/cow/cow_file.h"
#include "lib/cow/image_facts.h"
#include "lib/cow/lock.h"
#include "lib/cow/open_top.h"
#include "lib/cow/refusal.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lib/open_data.h"
#include "module.h"
#include "snapshot.h"
#include "tools/common/error.h"

namespace cloopw {
namespace {

using std::chrono::milliseconds;

constexpr int kFindTries = 32; /* others may take the free device first */
constexpr milliseconds kFindStep(20);
constexpr int kReadySteps = 50;
constexpr milliseconds kReadyStep(20);

std::vector<std::string> paths_of(const std::vector<CowLayer> &layers) {
    std::vector<std::string> paths;
    paths.reserve(layers.size());
    for (const CowLayer &layer : layers) {
        paths.push_back(layer.path);
    }
    return paths;
}

std::vector<Fd> open_layers(const AttachOptions &options) {
    std::vector<Fd> fds;
    for (const std::string &path : options.cows) {
        bool write = fds.empty() && !options.read_only;
        Fd fd(open_data(path, write ? O_RDWR : O_RDONLY));
        if (fd.get() < 0) {
            const char *remedy = "";
            if (write && (errno == EROFS || errno == EACCES || errno == EPERM)) {
                remedy = "-r attaches without writing to it";
            }
            throw io_error(path, write ? "cannot open for writing" : "cannot open", errno, remedy);
        }
        lock_cow(fd.get(), path, write);
        fds.push_back(std::move(fd));
    }
    return fds;
}

/* Calls the ioctl. 0, or -errno with the driver's reason in *reason. */
int configure(Handle &node, const AttachOptions &options, int image, const std::vector<Fd> &layers,
              cloopw_reason *reason) {
    std::vector<__s32> fds;
    fds.reserve(layers.size());
    for (const Fd &fd : layers) {
        fds.push_back(fd.get());
    }
    reason->size = sizeof(*reason);
    struct cloopw_config config = {};
    config.size = sizeof(config);
    config.flags = (options.read_only || layers.empty() ? CLOOPW_F_READ_ONLY : 0) |
                   (options.partscan ? CLOOPW_F_PARTSCAN : 0) |
                   (options.direct_io ? CLOOPW_F_DIRECT_IO : 0) |
                   (options.recording ? CLOOPW_F_RECORD : 0);
    config.image_fd = image;
    config.nr_layers = static_cast<__u32>(fds.size());
    config.layer_fds = reinterpret_cast<__u64>(fds.data());
    config.offset = options.offset;
    config.sizelimit = options.sizelimit;
    config.cache_bytes = options.cache_bytes;
    options.format.copy(config.format, sizeof(config.format) - 1);
    config.reason = reinterpret_cast<__u64>(reason);
    return node.ioctl(CLOOPW_CONFIGURE, reinterpret_cast<unsigned long>(&config));
}

Error busy(Driver &driver, const DeviceRef &device) {
    std::string image = driver.attribute(device, "image");
    if (image.empty()) {
        return Error(device.path + ": is in use without an image; 'lsof " + device.path +
                         "' tells by whom, -f takes a free device",
                     EBUSY);
    }
    return Error(device.path + ": has an image already: " + image +
                     "; detach it with 'cloopwsetup -d " + device.path +
                     "', or take a free device with -f",
                 EBUSY);
}

/* The driver refuses the device, not one of the files. */
bool is_device_busy(const cloopw_reason &reason, int err) {
    return err == -EBUSY && (reason.code == CLOOPW_R_NONE || reason.code == CLOOPW_R_ATTACHED ||
                             reason.code == CLOOPW_R_DEVICE_IN_USE);
}

/* The size, which shows when the device can be read. */
uint64_t wait_until_ready(Driver &driver, const DeviceRef &device) {
    for (int i = 0; i < kReadySteps; i++) {
        auto status = driver.status(device);
        if (status && status->device_size > 0) {
            return status->device_size;
        }
        driver.kernel().pause(kReadyStep);
    }
    throw Error(device.path + ": was attached, but has no size; 'dmesg | tail' may tell more", EIO);
}

/* nullopt: another program took the free device first. */
std::optional<DeviceRef> try_attach(Driver &driver, const AttachOptions &options, int image,
                                    const std::vector<Fd> &layers) {
    const bool find = options.device.empty();
    DeviceRef device = find ? driver.find_free() : driver.find(options.device, true);
    cloopw_reason reason = {};
    /* Closing what was open for writing would be an event for udev. */
    Handle node = driver.open(device, O_RDONLY | O_NONBLOCK);
    int err = configure(node, options, image, layers, &reason);
    if (is_device_busy(reason, err)) {
        if (find) {
            return std::nullopt;
        }
        throw busy(driver, device);
    }
    if (err < 0) {
        std::vector<std::string> files = options.cows;
        files.push_back(options.image);
        throw refused(device.path + ": cannot attach " + options.image, files, reason, err);
    }
    return device;
}

/* Sets what the driver keeps. A device that is not as it was asked for is detached again. */
void adjust_attached(Driver &driver, const DeviceRef &device, const CowSettings &cow,
                     bool was_there) {
    CowSettings rest = cow;
    if (!was_there) {
        rest.limit.reset(); /* it was made with that */
    }
    try {
        adjust(driver, device, rest);
    } catch (const Error &) {
        detach(driver, device);
        throw;
    }
}

/*
 * To the device of options or one that is free. options.cows: all layers, which
 * are there; made: the one of them that was made for this, if any.
 */
DeviceRef attach_files(Driver &driver, const AttachOptions &options, const ImageFacts &image,
                       NewCow &made) {
    std::vector<Fd> layers = open_layers(options);
    if (options.cow.ram) {
        layers.push_back(create_cow_in_memory(base_of(options, image, {}), options.cow));
    }
    for (int i = 0; i < kFindTries; i++) {
        if (auto device = try_attach(driver, options, image.fd.get(), layers)) {
            made.keep();
            const uint64_t size = wait_until_ready(driver, *device);
            driver.say(device->path + ": attached " + options.image + ", " + image.format + ", " +
                       std::to_string(size) + " bytes");
            return *device;
        }
        driver.kernel().pause(kFindStep);
    }
    throw Error("cloopw: other programs take every free device; try again", EBUSY);
}

/* Over a layer that may still be written: it is attached, and frozen by a snapshot. */
DeviceRef attach_and_freeze(Driver &driver, const AttachOptions &options, const std::string &top,
                            const ImageFacts &image) {
    NewCow none;
    DeviceRef device = attach_files(driver, options, image, none);
    try {
        snapshot(driver, device, top, options.cow);
    } catch (const Error &) {
        detach(driver, device);
        throw;
    }
    return device;
}

/* options.cows: chain. Makes the top, over all of chain. */
DeviceRef attach_new_top(Driver &driver, AttachOptions options, const std::string &top,
                         CowFile what, const ImageFacts &image,
                         const std::vector<CowLayer> &chain) {
    if (!chain.empty() && !chain.front().frozen && can_be_frozen(chain.front().format)) {
        return attach_and_freeze(driver, options, top, image);
    }
    const CowFormat *format = wanted_cow_format(options);
    NewCow made;
    made.create(top, what, format != nullptr ? *format : default_cow_format(),
                base_of(options, image, chain), options.cow);
    driver.say("made " + top);
    options.cows.insert(options.cows.begin(), top);
    return attach_files(driver, options, image, made);
}

/* Whatever can fail without a COW file should, before one is made. */
void want_idle(Driver &driver, const std::string &name) {
    if (name.empty()) {
        driver.find_free();
        return;
    }
    DeviceRef device = driver.find(name, true);
    if (driver.attached(device)) {
        throw busy(driver, device);
    }
}

}  // namespace

DeviceRef attach(Driver &driver, const AttachOptions &options) {
    ImageFacts image =
        inspect_image(options.image, options.format, options.offset, options.sizelimit);
    const CowFile top = check_given(options);
    const bool make_top = top != CowFile::kThere;
    std::vector<CowLayer> chain = find_layers(options, make_top, image.st);
    want_idle(driver, options.device);
    want_image_codecs(driver, options.image, image);
    if ((make_top && has_cow_settings(options.cow_format)) || options.cow.ram) {
        want_cow_codec(driver, options.cow);
    }
    AttachOptions whole = options;
    whole.cows = paths_of(chain);
    if (!make_top && options.cow.device_size != 0 && !chain.empty()) {
        grow_layers(whole, options.cow.device_size);
    }
    NewCow none;
    DeviceRef device = make_top
                           ? attach_new_top(driver, whole, options.cows.front(), top, image, chain)
                           : attach_files(driver, whole, image, none);
    adjust_attached(driver, device, options.cow, !make_top);
    if (options.direct_io) {
        say_direct_io(driver, device);
    }
    driver.wait_for_udev();
    return device;
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "attach.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "adjust.h"
#include "cow_device.h"
#include "cow_file.h"
#include "detach.h"
#include "fd.h"
#include "image_facts.h"
#include "lib/error.h"
#include "refusal.h"
#include "tools/common/error.h"

namespace cloopw {
namespace {

using std::chrono::milliseconds;

constexpr int kFindTries = 32; /* others may take the free device first */
constexpr milliseconds kFindStep(20);
constexpr int kReadySteps = 50;
constexpr milliseconds kReadyStep(20);

bool same_file(const struct stat &a, const struct stat &b) {
    if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode)) {
        return a.st_rdev == b.st_rdev;
    }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The COW that attach() makes; removed again unless the attach succeeds. */
class NewCow {
public:
    NewCow() = default;
    NewCow(const NewCow &) = delete;
    NewCow &operator=(const NewCow &) = delete;
    ~NewCow() {
        if (path_.empty()) {
            return;
        }
        if (what_ == CowFile::kBlankDevice) {
            remove_cow_from_device(path_);
        } else {
            unlink(path_.c_str());
        }
    }
    void create(const std::string &path, CowFile what, const CowFormat &format, const CowBase &base,
                const CowSettings &settings) {
        if (what == CowFile::kBlankDevice) {
            create_cow_on_device(path, base, settings);
        } else {
            create_cow_file(path, format, base, settings);
        }
        path_ = path;
        what_ = what;
    }
    void keep() { path_.clear(); }

private:
    std::string path_;
    CowFile what_ = CowFile::kMissing;
};

const CowFormat *wanted_cow_format(const std::string &name) {
    if (name.empty()) {
        return nullptr;
    }
    const CowFormat *format = cow_format_by_name(name);
    if (format == nullptr) {
        throw UsageError("--cow-format: no format '" + name +
                         "', there are: " + cow_format_names());
    }
    return format;
}

/* What the top layer is; kThere when there is none. Throws for layers that cannot be used. */
CowFile check_layers(const AttachOptions &options, const struct stat &image) {
    if (options.cows.size() > CLOOPW_MAX_LAYERS) {
        throw UsageError("-c: " + std::to_string(options.cows.size()) +
                         " COW files are more than " + std::to_string(CLOOPW_MAX_LAYERS));
    }
    const CowFormat *format = wanted_cow_format(options.cow_format);
    CowFile top = CowFile::kThere;
    std::vector<struct stat> seen;
    for (size_t i = 0; i < options.cows.size(); i++) {
        const std::string &path = options.cows[i];
        struct stat st = {};
        /* What is made, and what is chosen, is the top. */
        CowFile what = check_cow_file(path, format, i == 0 ? options.cow : CowSettings());
        if (what != CowFile::kMissing) {
            if (stat(path.c_str(), &st) != 0) {
                throw io_error(path, "cannot be looked at", errno);
            }
            if (same_file(st, image)) {
                throw Error(path + ": is the image, it cannot be its own COW file", EINVAL);
            }
            for (const struct stat &other : seen) {
                if (same_file(st, other)) {
                    throw Error(path + ": is given twice with -c", EINVAL);
                }
            }
            seen.push_back(st);
        }
        if (what == CowFile::kThere) {
            continue;
        }
        if (i != 0) {
            throw io_error(path, "cannot open the lower COW layer", ENOENT,
                           "only the first -c, the top layer, is made when it is missing");
        }
        if (options.read_only) {
            throw io_error(path, "cannot open", ENOENT,
                           "with -r no COW file is made: leave -r away");
        }
        top = what;
    }
    return top;
}

std::vector<Fd> open_layers(const AttachOptions &options) {
    std::vector<Fd> fds;
    for (const std::string &path : options.cows) {
        bool write = fds.empty() && !options.read_only;
        Fd fd(open(path.c_str(), (write ? O_RDWR : O_RDONLY) | O_CLOEXEC));
        if (fd.get() < 0) {
            const char *remedy = "";
            if (write && (errno == EROFS || errno == EACCES || errno == EPERM)) {
                remedy = "-r attaches without writing to it";
            }
            throw io_error(path, write ? "cannot open for writing" : "cannot open", errno, remedy);
        }
        fds.push_back(std::move(fd));
    }
    return fds;
}

/* The driver's reasons begin with the file they are about. */
bool names_a_file(const std::string &message, const AttachOptions &options) {
    auto begins = [&](const std::string &path) {
        std::string name = path.substr(path.rfind('/') + 1);
        size_t colon = message.find(": ");
        return colon != std::string::npos && colon >= name.size() &&
               message.compare(colon - name.size(), name.size(), name) == 0;
    };
    if (begins(options.image)) {
        return true;
    }
    for (const std::string &cow : options.cows) {
        if (begins(cow)) {
            return true;
        }
    }
    return false;
}

Error refusal(const DeviceRef &device, const AttachOptions &options, std::string message, int err) {
    while (!message.empty() && message.back() == '\n') {
        message.pop_back();
    }
    std::string remedy = remedy_of_refusal(message, -err);
    if (message.empty()) {
        message = errno_text(err);
    }
    if (!names_a_file(message, options)) {
        message = device.path + ": cannot attach " + options.image + ": " + message;
    }
    return Error(message + remedy, -err);
}

/* Calls the ioctl. 0, or -errno with the driver's reason in *message. */
int configure(Handle &node, const AttachOptions &options, int image, const std::vector<Fd> &layers,
              std::string *message) {
    std::vector<__s32> fds;
    fds.reserve(layers.size());
    for (const Fd &fd : layers) {
        fds.push_back(fd.get());
    }
    std::vector<char> reason(CLOOPW_MESSAGE_LEN);
    struct cloopw_config config = {};
    config.size = sizeof(config);
    config.flags = (options.read_only || layers.empty() ? CLOOPW_F_READ_ONLY : 0) |
                   (options.partscan ? CLOOPW_F_PARTSCAN : 0);
    config.image_fd = image;
    config.nr_layers = static_cast<__u32>(fds.size());
    config.layer_fds = reinterpret_cast<__u64>(fds.data());
    config.offset = options.offset;
    config.sizelimit = options.sizelimit;
    config.cache_bytes = options.cache_bytes;
    options.format.copy(config.format, sizeof(config.format) - 1);
    config.message = reinterpret_cast<__u64>(reason.data());
    config.message_len = static_cast<__u32>(reason.size());
    int err = node.ioctl(CLOOPW_CONFIGURE, reinterpret_cast<unsigned long>(&config));
    reason.back() = '\0';
    *message = reason.data();
    return err;
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
bool is_device_busy(const DeviceRef &device, const std::string &message, int err) {
    return err == -EBUSY && (message.empty() || message.rfind(device.name + ":", 0) == 0);
}

/* The size shows when the device can be read. */
void wait_until_ready(Driver &driver, const DeviceRef &device) {
    for (int i = 0; i < kReadySteps; i++) {
        auto status = driver.status(device);
        if (status && status->device_size > 0) {
            return;
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
    std::string message;
    /* Closing what was open for writing would be an event for udev. */
    Handle node = driver.open(device, O_RDONLY | O_NONBLOCK);
    int err = configure(node, options, image, layers, &message);
    if (is_device_busy(device, message, err)) {
        if (find) {
            return std::nullopt;
        }
        throw busy(driver, device);
    }
    if (err < 0) {
        throw refusal(device, options, message, err);
    }
    return device;
}

/* What the driver keeps; a device that is not as it was asked for is none. */
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

}  // namespace

DeviceRef attach(Driver &driver, const AttachOptions &options) {
    ImageFacts image =
        inspect_image(options.image, options.format, options.offset, options.sizelimit);
    CowFile top = check_layers(options, image.st);
    /* Whatever can fail without a COW file should, before one is made. */
    if (options.device.empty()) {
        driver.find_free();
    } else {
        DeviceRef device = driver.find(options.device, true);
        if (driver.attached(device)) {
            throw busy(driver, device);
        }
    }
    NewCow made;
    const CowBase base = {options.image, image.st.st_mtime, image.size, image.uuid};
    if (top != CowFile::kThere) {
        const CowFormat *format = wanted_cow_format(options.cow_format);
        made.create(options.cows.front(), top, format != nullptr ? *format : default_cow_format(),
                    base, options.cow);
        driver.say("made " + options.cows.front());
    }
    std::vector<Fd> layers = open_layers(options);
    if (options.cow.ram) {
        layers.push_back(create_cow_in_memory(base, options.cow));
    }
    for (int i = 0; i < kFindTries; i++) {
        if (auto device = try_attach(driver, options, image.fd.get(), layers)) {
            made.keep();
            wait_until_ready(driver, *device);
            adjust_attached(driver, *device, options.cow, top == CowFile::kThere);
            driver.say(device->path + ": attached " + options.image + ", " + image.format + ", " +
                       std::to_string(image.size) + " bytes");
            return *device;
        }
        driver.kernel().pause(kFindStep);
    }
    throw Error("cloopw: other programs take every free device; try again", EBUSY);
}

}  // namespace cloopw

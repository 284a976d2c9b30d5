// SPDX-License-Identifier: GPL-2.0
#include "served.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

#include "tools/cloopwsetup/cow_file.h"
#include "tools/cloopwsetup/image_facts.h"
#include "tools/common/size.h"

namespace cloopw {
namespace {

bool parse_bool(const std::string &value, std::string_view key) {
    for (const char *yes : {"1", "true", "yes", "on"}) {
        if (value == yes) {
            return true;
        }
    }
    for (const char *no : {"0", "false", "no", "off"}) {
        if (value == no) {
            return false;
        }
    }
    throw Error(std::string(key) + "=" + value + ": is neither true nor false", EINVAL);
}

/*
 * A random read costs a cluster's decompression, so what was read before is worth
 * to be kept, as the driver does. No one takes memory back from a process: so
 * less than it has.
 */
uint64_t default_cache() {
    constexpr uint64_t kMost = uint64_t{512} << 20;
    constexpr uint64_t kShare = 8;
    const uint64_t memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                            static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return std::min(memory / kShare, kMost);
}

int parse_level(const std::string &value) {
    int level = 0;
    const char *end = value.data() + value.size();
    auto [rest, code] = std::from_chars(value.data(), end, level);
    if (code != std::errc() || rest != end) {
        throw Error("cow-level=" + value + ": is not a number", EINVAL);
    }
    return level;
}

const CowFormat &wanted_cow_format(const std::string &name) {
    if (name.empty()) {
        return default_cow_format();
    }
    const CowFormat *format = cow_format_by_name(name);
    if (format == nullptr) {
        throw Error("cow-format=" + name + ": know " + cow_format_names(), EINVAL);
    }
    return *format;
}

/* The lock belongs to the open file: it ends with it, however that ends. */
void lock_cow(const Io &io, bool writable) {
    struct flock lock = {};
    lock.l_type = static_cast<short>(writable ? F_WRLCK : F_RDLCK);
    lock.l_whence = SEEK_SET;
    if (fcntl(io.fd(), F_OFD_SETLK, &lock) == 0) {
        return;
    }
    if (errno == EAGAIN || errno == EACCES) {
        throw Error(std::string(io.name()) +
                        ": is in use by another server; end it first, or serve another COW file",
                    EBUSY);
    }
    throw io_error(io.name(), "cannot be locked", errno);
}

/* What cloopwsetup's options with the same names mean, without their dashes. */
CowSettings cow_settings(const ServedOptions &options) {
    try {
        return parse_cow_settings(options.cow);
    } catch (const Error &e) {
        const std::string text = e.what();
        throw Error(text.substr(text.find_first_not_of('-')), EINVAL);
    }
}

/* One that was there has another limit from now on. */
void set_limit(Device &device, const ServedOptions &options) {
    const std::optional<uint64_t> limit = cow_settings(options).limit;
    int err = limit ? cw_device_set_limit(&device.get(), *limit) : 0;
    if (err != 0) {
        throw io_error(options.cows.front(), "cow-limit=" + options.cow.limit + ": cannot be set",
                       err, err == -ENOSPC ? "more of it is in use" : "");
    }
}

/* Was it made? */
bool make_missing_top(const ServedOptions &options, const ImageFacts &image) {
    const std::string &top = options.cows.front();
    const CowFormat *wanted =
        options.cow_format.empty() ? nullptr : &wanted_cow_format(options.cow_format);
    const CowSettings settings = cow_settings(options);
    if (check_cow_file(top, wanted, settings) != CowFile::kMissing) {
        return false;
    }
    if (options.read_only) {
        throw Error(top + ": does not exist, and readonly=true makes none", ENOENT);
    }
    create_cow_file(top, wanted_cow_format(options.cow_format),
                    {options.image, image.st.st_mtime, image.size, image.uuid}, settings);
    return true;
}

}  // namespace

bool set_option(ServedOptions &options, std::string_view key, const std::string &value) {
    if (key == "image") {
        options.image = value;
    } else if (key == "cow") {
        options.cows.push_back(value);
    } else if (key == "format") {
        options.format = value;
    } else if (key == "cow-format") {
        options.cow_format = wanted_cow_format(value).name;
    } else if (key == "cow-codec") {
        options.cow.codec = value;
    } else if (key == "cow-level") {
        options.cow.level = parse_level(value);
    } else if (key == "cow-limit") {
        options.cow.limit = value;
    } else if (key == "status") {
        options.status = value;
    } else if (key == "offset") {
        options.offset = parse_size(value, "offset");
    } else if (key == "sizelimit") {
        options.sizelimit = parse_size(value, "sizelimit");
    } else if (key == "cache") {
        options.cache = parse_size(value, "cache");
    } else if (key == "readonly") {
        options.read_only = parse_bool(value, key);
    } else {
        return false;
    }
    return true;
}

void check_options(const ServedOptions &options) {
    if (options.image.empty()) {
        throw Error("image=FILE is missing: what shall be served?", EINVAL);
    }
    const std::pair<const char *, bool> of_cow[] = {{"cow-format", !options.cow_format.empty()},
                                                    {"cow-codec", !options.cow.codec.empty()},
                                                    {"cow-level", options.cow.level.has_value()},
                                                    {"cow-limit", !options.cow.limit.empty()}};
    for (const auto &[key, given] : of_cow) {
        if (given && options.cows.empty()) {
            throw Error(std::string(key) + ": without cow=FILE there is no COW file", EINVAL);
        }
        if (given && options.cow_format == "uml" && key != std::string("cow-format")) {
            throw Error(std::string(key) + ": not for a COW file of format uml", EINVAL);
        }
    }
    if (options.read_only && !options.cow.limit.empty()) {
        throw Error("cow-limit: with readonly=true nothing is written", EINVAL);
    }
    cow_settings(options);
}

Device open_served(const ServedOptions &options) {
    ImageFacts image =
        inspect_image(options.image, options.format, options.offset, options.sizelimit);
    const bool made = !options.cows.empty() && make_missing_top(options, image);
    std::vector<Io> layers;
    for (const std::string &cow : options.cows) {
        bool writable = layers.empty() && !options.read_only;
        layers.push_back(Io::open(cow, writable ? Io::Mode::kReadWrite : Io::Mode::kRead));
        lock_cow(layers.back(), writable);
    }
    Device::Config config;
    config.format = options.format;
    config.read_only = options.read_only;
    config.cache_bytes = options.cache != 0 ? options.cache : default_cache();
    Device device(Io::open(options.image, Io::Mode::kRead, options.offset, options.sizelimit),
                  std::move(layers), config);
    if (!made) {
        set_limit(device, options);
    }
    return device;
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "served.h"

#include <fcntl.h>

#include <cerrno>
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

void make_missing_top(const ServedOptions &options, const ImageFacts &image) {
    const std::string &top = options.cows.front();
    const CowFormat *wanted =
        options.cow_format.empty() ? nullptr : &wanted_cow_format(options.cow_format);
    if (check_cow_file(top, wanted, {}) != CowFile::kMissing) {
        return;
    }
    if (options.read_only) {
        throw Error(top + ": does not exist, and readonly=true makes none", ENOENT);
    }
    create_cow_file(top, wanted_cow_format(options.cow_format),
                    {options.image, image.st.st_mtime, image.size, image.uuid}, {});
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

Device open_served(const ServedOptions &options) {
    ImageFacts image =
        inspect_image(options.image, options.format, options.offset, options.sizelimit);
    if (!options.cows.empty()) {
        make_missing_top(options, image);
    }
    std::vector<Io> layers;
    for (const std::string &cow : options.cows) {
        bool writable = layers.empty() && !options.read_only;
        layers.push_back(Io::open(cow, writable ? Io::Mode::kReadWrite : Io::Mode::kRead));
        lock_cow(layers.back(), writable);
    }
    Device::Config config;
    config.format = options.format;
    config.read_only = options.read_only;
    config.cache_bytes = options.cache;
    return Device(Io::open(options.image, Io::Mode::kRead, options.offset, options.sizelimit),
                  std::move(layers), config);
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "served.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "lib/cow_chain.h"
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

Io open_image(const ServedOptions &options) {
    return Io::open(options.image, Io::Mode::kRead, options.offset, options.sizelimit);
}

Device::Config config_of(const ServedOptions &options) {
    Device::Config config;
    config.format = options.format;
    config.read_only = options.read_only;
    config.cache_bytes = options.cache;
    return config;
}

/* What a new top is made for: the image, or the layer that is to be below. */
CowBase base_of(const ServedOptions &options, const ImageFacts &image,
                const std::vector<CowLayer> &below) {
    if (below.empty()) {
        return {options.image, image.st.st_mtime, image.size, image.uuid, false};
    }
    const CowLayer &layer = below.front();
    struct stat st = {};
    if (stat(layer.path.c_str(), &st) != 0) {
        throw io_error(layer.path, "cannot be looked at", errno);
    }
    return {layer.path, S_ISREG(st.st_mode) ? st.st_mtime : 0, image.size, layer.uuid, true};
}

/* One that may still be written is frozen under the UUID that the new top is made for. */
void make_top(const ServedOptions &options, const ImageFacts &image, CowFile what) {
    const std::string &top = options.cows.front();
    std::vector<CowLayer> below = find_cow_chain({options.cows.begin() + 1, options.cows.end()});
    CowBase base = base_of(options, image, below);
    const bool freeze =
        !below.empty() && !below.front().frozen && can_be_frozen(below.front().format);
    if (freeze) {
        base.uuid = random_uuid();
    }
    NewCow made;
    made.create(top, what, wanted_cow_format(options.cow_format), base, {});
    if (freeze) {
        Device device(open_image(options), open_cow_chain(below, Io::Mode::kReadWrite),
                      config_of(options));
        device.snapshot(Io::open(top, Io::Mode::kReadWrite));
        made.keep();
        device.close();
    }
    made.keep();
}

void make_missing_top(const ServedOptions &options, const ImageFacts &image) {
    const std::string &top = options.cows.front();
    const CowFormat *wanted =
        options.cow_format.empty() ? nullptr : &wanted_cow_format(options.cow_format);
    CowFile what = check_cow_file(top, wanted, {});
    if (what == CowFile::kThere) {
        return;
    }
    if (options.read_only) {
        throw Error(top + ": does not exist, and readonly=true makes none", ENOENT);
    }
    make_top(options, image, what);
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
    const Io::Mode mode = options.read_only ? Io::Mode::kRead : Io::Mode::kReadWrite;
    std::vector<Io> layers = open_cow_chain(find_cow_chain(options.cows), mode);
    return Device(open_image(options), std::move(layers), config_of(options));
}

}  // namespace cloopw

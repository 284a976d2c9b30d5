// SPDX-License-Identifier: GPL-2.0
#include "open_top.h"

#include <sys/stat.h>

#include <cerrno>

#include "kernel/cloopw/uapi/cloopw.h"
#include "lib/cloopw.h"
#include "lib/error.h"
#include "lib/net/source.h"
#include "lib/net/url.h"
#include "lib/same_file.h"
#include "lock.h"
#include "refusal.h"

namespace cloopw {
namespace {

/* A node's time is that of its last event or of the boot, not of its content. */
int64_t content_time(const struct stat &st) { return S_ISBLK(st.st_mode) ? 0 : st.st_mtime; }

/*
 * Freezes the layer below under its new UUID. The new top is there already, empty, and made
 * for that UUID.
 */
void freeze(const StackOptions &options, const std::vector<CowLayer> &below) {
    Device::Config config;
    config.format = options.format;
    Device device(open_source(options.image, options.offset, options.sizelimit),
                  open_cow_chain(below, Io::Mode::kReadWrite), config);
    Io top = Io::open(options.cows.front(), Io::Mode::kReadWrite);
    lock_cow(top.fd(), options.cows.front(), true);
    device.snapshot(std::move(top));
    device.close();
}

void want_missing(const std::string &path) {
    struct stat st = {};
    if (lstat(path.c_str(), &st) == 0) {
        throw Error(path + ": is there already; name another, which is made", EEXIST);
    }
}

}  // namespace

const CowFormat *wanted_cow_format(const StackOptions &options) {
    if (options.cow_format.empty()) {
        return nullptr;
    }
    const CowFormat *format = cow_format_by_name(options.cow_format);
    if (format == nullptr) {
        throw UsageError(std::string(options.style.prefix) + "cow-format: no format '" +
                         options.cow_format + "', there are: " + joined(cow_format_names()));
    }
    return format;
}

CowFile check_given(const StackOptions &options) {
    if (options.cows.size() > CLOOPW_MAX_LAYERS) {
        throw UsageError(std::string(options.style.layer) + ": " +
                         std::to_string(options.cows.size()) + " COW files are more than " +
                         std::to_string(CLOOPW_MAX_LAYERS));
    }
    const CowFormat *format = wanted_cow_format(options);
    CowFile top = CowFile::kThere;
    std::vector<struct stat> seen;
    for (size_t i = 0; i < options.cows.size(); i++) {
        const std::string &path = options.cows[i];
        struct stat st = {};
        if (i == 0 && options.new_top) {
            want_missing(path);
        }
        /* The settings are for a new COW, and that is the top. */
        CowFile what = check_cow_file(path, format, i == 0 ? options.cow : CowSettings());
        if (what != CowFile::kMissing) {
            if (stat(path.c_str(), &st) != 0) {
                throw io_error(path, "cannot be looked at", errno);
            }
            for (const struct stat &other : seen) {
                if (is_same_file(st, other)) {
                    throw Error(path + ": is given twice with " + options.style.layer, EINVAL);
                }
            }
            seen.push_back(st);
        }
        if (what == CowFile::kThere) {
            continue;
        }
        if (i != 0) {
            throw io_error(path, "cannot open the lower COW layer", ENOENT,
                           std::string("only the first ") + options.style.layer +
                               ", the top layer, is made when it is missing");
        }
        if (options.read_only) {
            throw io_error(path, "cannot open", ENOENT,
                           std::string("with ") + options.style.read_only +
                               " no COW file is made: leave " + options.style.read_only + " away");
        }
        top = what;
    }
    return top;
}

std::vector<CowLayer> find_layers(const StackOptions &options, bool make_top,
                                  const struct stat &image) {
    std::vector<std::string> given(options.cows.begin() + (make_top ? 1 : 0), options.cows.end());
    std::vector<CowLayer> chain;
    try {
        chain = find_cow_chain(given, options.read_only ? Unfinished::kSkip : Unfinished::kFinish);
    } catch (const Error &e) {
        throw with_remedy(e);
    }
    for (const CowLayer &layer : chain) {
        struct stat st = {};
        if (stat(layer.path.c_str(), &st) == 0 && is_same_file(st, image)) {
            throw Error(layer.path + ": is the image, it cannot be its own COW file", EINVAL);
        }
    }
    return chain;
}

CowBase base_of(const StackOptions &options, const ImageFacts &image,
                const std::vector<CowLayer> &below) {
    if (below.empty()) {
        return {shown_name(options.image), content_time(image.st), image.size, image.uuid, false};
    }
    const CowLayer &layer = below.front();
    struct stat st = {};
    if (stat(layer.path.c_str(), &st) != 0) {
        throw io_error(layer.path, "cannot be looked at", errno);
    }
    return {layer.path, content_time(st), layer.size, layer.uuid, true};
}

void make_top(const StackOptions &options, const ImageFacts &image, CowFile what,
              const std::vector<CowLayer> &below, NewCow &made) {
    CowBase base = base_of(options, image, below);
    const bool freezes =
        !below.empty() && !below.front().frozen && can_be_frozen(below.front().format);
    if (freezes) {
        base.uuid = random_uuid();
    }
    const CowFormat *format = wanted_cow_format(options);
    made.create(options.cows.front(), what, format != nullptr ? *format : default_cow_format(),
                base, options.cow);
    if (freezes) {
        freeze(options, below);
        made.keep();
    }
}

void grow_layers(const StackOptions &options, uint64_t size) {
    Device::Config config;
    config.format = options.format;
    try {
        Device device(
            open_source(options.image, options.offset, options.sizelimit),
            open_cow_chain(find_cow_chain(options.cows, Unfinished::kFinish), Io::Mode::kReadWrite),
            config);
        device.grow(size);
        device.close();
    } catch (const Error &e) {
        throw with_remedy(e);
    }
}

CowFile check_new_layer(const std::string &path, const CowSettings &settings) {
    CowSettings place; /* an existing COW is refused, whatever its codec */
    place.overwrite = settings.overwrite;
    const CowFile what = check_cow_file(path, nullptr, place);
    if (what == CowFile::kThere) {
        throw Error(path + ": is there already; a snapshot makes a new COW file, name another",
                    EEXIST);
    }
    return what;
}

CowBase base_of_new_layer(const std::string &device, const std::string &top, uint64_t size) {
    if (top.empty()) {
        throw Error(
            device + ": has no COW file that could be kept as it is; attach the image with -c",
            EROFS);
    }
    CowBase base;
    base.path = top;
    base.size = size;
    base.uuid = random_uuid();
    base.is_layer = true;
    return base;
}

}  // namespace cloopw

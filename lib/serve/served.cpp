// SPDX-License-Identifier: GPL-2.0
#include "served.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "lib/cow/refusal.h"
#include "lib/net/settings.h"
#include "lib/net/source.h"
#include "lib/net/url.h"
#include "lib/open_data.h"
#include "lib/size.h"
#include "lib/yes_no.h"
#include "read_hints.h"

namespace cloopw {
namespace {

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

/* A URL may let in whoever knows it, and all users see the arguments of a process. */
std::string value_of_variable(const std::string &name) {
    const char *value = getenv(name.c_str());
    if (value == nullptr || *value == '\0') {
        throw Error("image-env=" + name + ": there is no such variable in the environment", EINVAL);
    }
    return value;
}

Io open_image(const ServedOptions &options, Opening opening) {
    if (options.image_at.empty()) {
        return open_source(options.image, options.offset, options.sizelimit);
    }
    const int fd = open_data(options.image_at, O_RDONLY);
    if (fd < 0) {
        throw io_error(options.image, "cannot be opened", errno);
    }
    Io io = Io::adopt(fd, without_file_scheme(options.image), options.offset, options.sizelimit);
    if (opening == Opening::kAgain) {
        io.get().mtime = 0;
    }
    return io;
}

Device::Config config_of(const ServedOptions &options) {
    Device::Config config;
    config.format = options.format;
    config.read_only = options.read_only;
    config.failed = options.failed;
    config.record = true;
    config.cache_bytes = options.cache != 0 ? options.cache : default_cache();
    return config;
}

Device open_device(const ServedOptions &options, std::vector<Io> layers, Opening opening) {
    try {
        return Device(open_image(options, opening), std::move(layers), config_of(options));
    } catch (const Error &e) {
        throw with_remedy(e);
    }
}

/* One that was there has another limit from now on. */
void set_limit(Device &device, const ServedOptions &options) {
    const std::optional<uint64_t> limit = options.cow.limit;
    int err = limit ? cw_device_set_limit(&device.get(), *limit) : 0;
    if (err != 0) {
        throw io_error(options.cows.front(),
                       "cow-limit=" + options.arguments.limit + ": cannot be set", err,
                       err == -ENOSPC ? "more of it is in use" : "");
    }
}

auto text(std::string &to) {
    return [&to](const std::string &value) { to = value; };
}

auto size(const char *key, uint64_t &to) {
    return [key, &to](const std::string &value) { to = parse_size(value, key); };
}

auto yes_no(const char *key, bool &to) {
    return [key, &to](const std::string &value) { to = parse_yes_no(value, key); };
}

Parameters file_parameters(ServedOptions &o) {
    return {
        {.key = "image",
         .argument = "FILE",
         .help = "(required) Image of any format that cloopw reads, or its URL.",
         .set = text(o.image),
         .is_path = true},
        {"image-env", "NAME", "The same, in this variable of the environment.",
         [&o](const std::string &value) { o.image = value_of_variable(value); }},
        {.key = "cow",
         .argument = "FILE",
         .help = "Keep changes there, made if missing. The layers it lies over\n"
                 "are found; several cow=: top first.",
         .set = [&o](const std::string &value) { o.cows.push_back(value); },
         .is_path = true},
        {"cow-format", "NAME", "Of a COW file to be made: {}; the first is the default.",
         [&o](const std::string &value) {
             o.cow_format = value;
             (void)wanted_cow_format(o);
         },
         cow_format_names()},
        {"cow-codec", "NAME", "Of the same: {}.", text(o.arguments.codec), cow_codec_names()},
        {"cow-level", "N", "Of its codec, higher is smaller.",
         [&o](const std::string &value) { o.arguments.level = parse_level(value); }},
        {"cow-limit", "SIZE", "What the COW file may grow to; 0: no limit.",
         text(o.arguments.limit)},
        {"format", "NAME", "Of the image: {}.", text(o.format), image_format_names()},
        {"offset", "SIZE", "Where the image begins in its file.", size("offset", o.offset)},
        {"sizelimit", "SIZE", "How much of the file it is.", size("sizelimit", o.sizelimit)},
        {"cache", "SIZE", "For decompressed data; default: 1/8 of the memory,\nat most 512M.",
         size("cache", o.cache)},
    };
}

Parameters net_parameters() {
    const auto set = [](const char *key) {
        return [key](const std::string &value) { set_net_option(net_settings(), key, value); };
    };
    return {
        {.key = "net-cache",
         .argument = "FILE",
         .help = "Keep what was fetched of an image at a URL.",
         .set = set("net-cache"),
         .is_path = true},
        {"net-cache-size", "SIZE", "At most so much of it; 0: all.", set("net-cache-size")},
        {"net-chunk", "SIZE", "Fetch in pieces of this size (256K).", set("net-chunk")},
        {"net-timeout", "SECONDS", "A read fails after so long (60); 0: never.",
         set("net-timeout")},
        {.key = "cacert",
         .argument = "FILE",
         .help = "Certificates to trust, for the system's.",
         .set = set("cacert"),
         .is_path = true},
        {"offline", "BOOLEAN", "Read the cache and nothing else.", set("offline")},
    };
}

Parameters serving_parameters(ServedOptions &o) {
    return {
        {"readonly", "BOOLEAN", "Write to no file.", yes_no("readonly", o.read_only)},
        {.key = "status",
         .argument = "SOCKET",
         .help = "Tell there, as JSON, how the device does.",
         .set = text(o.status),
         .is_path = true},
        {"direct-io", "BOOLEAN", "Read the image past the page cache.",
         yes_no("direct-io", o.direct_io)},
        {"stay", "BOOLEAN", "TERM and HUP do not end it while the device is in use.",
         yes_no("stay", o.stay)},
    };
}

void want_top(const ServedOptions &options) {
    if (check_given(options) != CowFile::kThere) {
        throw Error(options.cows.front() + ": is gone, so no other server can go on with it",
                    ENOENT);
    }
}

/* Was it made? */
bool make_missing_top(const ServedOptions &options, const ImageFacts &image, NewCow &made) {
    const CowFile top = check_given(options);
    if (top == CowFile::kThere) {
        return false;
    }
    make_top(options, image, top, find_layers(options, true, image.st), made);
    return true;
}

Io::Mode mode_of(const ServedOptions &options, Opening opening) {
    if (options.read_only || options.failed) {
        return Io::Mode::kRead;
    }
    return opening == Opening::kFirst ? Io::Mode::kReadWrite : Io::Mode::kResume;
}

}  // namespace

Parameters served_parameters(ServedOptions &options) {
    Parameters all = file_parameters(options);
    for (const Parameters &more : {net_parameters(), serving_parameters(options)}) {
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

void check_options(ServedOptions &options) {
    if (options.image.empty()) {
        throw Error("image=FILE is missing: it names the image to serve", EINVAL);
    }
    const std::pair<const char *, bool> of_cow[] = {
        {"cow-format", !options.cow_format.empty()},
        {"cow-codec", !options.arguments.codec.empty()},
        {"cow-level", options.arguments.level.has_value()},
        {"cow-limit", !options.arguments.limit.empty()}};
    for (const auto &[key, given] : of_cow) {
        if (given && options.cows.empty()) {
            throw Error(std::string(key) + ": without cow=FILE there is no COW file", EINVAL);
        }
        if (given && !has_cow_settings(options.cow_format) && key != std::string("cow-format")) {
            throw Error(std::string(key) + ": not for a COW file of format " + options.cow_format,
                        EINVAL);
        }
    }
    if (options.read_only && !options.arguments.limit.empty()) {
        throw Error("cow-limit: with readonly=true nothing is written", EINVAL);
    }
    check_net_settings(net_settings(), options.style.prefix);
    options.cow = parse_cow_settings(options.arguments, options.style);
}

void set_direct_io(Device &device, bool wanted) {
    const int err = cw_fd_io_set_direct(&device.base().get(), wanted);
    if (err != 0) {
        throw io_error(device.base().name(), "cannot be read past the page cache", err,
                       err == -EOPNOTSUPP ? "an image at a URL is in no file" : "");
    }
}

Device open_served(const ServedOptions &options, NewCow &top, Opening opening) {
    std::optional<ImageFacts> image; /* until the device has this version open, too */
    bool made = false;
    if (opening == Opening::kFirst) {
        image = inspect_image(options.image, options.format, options.offset, options.sizelimit);
        made = make_missing_top(options, *image, top);
    } else {
        want_top(options);
    }
    const Io::Mode mode = mode_of(options, opening);
    const auto unfinished = mode == Io::Mode::kRead ? Unfinished::kSkip : Unfinished::kFinish;
    std::vector<Io> layers = open_cow_chain(find_cow_chain(options.cows, unfinished), mode);
    Device device = open_device(options, std::move(layers), opening);
    if (!made) {
        set_limit(device, options);
    }
    expect_reads_of_blocks(device);
    if (options.direct_io) {
        set_direct_io(device, true);
    }
    return device;
}

}  // namespace cloopw

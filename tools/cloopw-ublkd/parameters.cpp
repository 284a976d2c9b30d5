// SPDX-License-Identifier: GPL-2.0
#include "parameters.h"

#include <filesystem>

#include "lib/error.h"
#include "lib/net/url.h"

namespace cloopw {
namespace {

constexpr const char *kUsage =
    "Usage: cloopw-ublkd image=FILE [cow=FILE]... [KEY=VALUE]...\n"
    "       cloopw-ublkd remove=N | --check | --state | --help | --version\n"
    "\n"
    "Serve an image with its COW layers as /dev/ublkbN, until SIGINT. cloopwsetup starts\n"
    "this program by itself; it is of use alone where there is no cloopwsetup.\n";

constexpr const char *kNotes =
    "  --check               can this machine serve? Says why not\n"
    "\n"
    "Example:\n"
    "  cloopw-ublkd image=knoppix.cloopw cow=changes.cow\n";

}  // namespace

Parameters device_parameters(UblkOptions &options) {
    constexpr uint32_t kMostDevices = 1u << 20;
    constexpr uint32_t kMostThreads = 256;
    constexpr uint32_t kMostDepth = 4096;
    const auto number = [](const char *key, auto &to, uint32_t most) {
        return [key, &to, most](const std::string &value) { to = parse_number(value, key, most); };
    };
    const auto text = [](std::string &to) {
        return [&to](const std::string &value) { to = value; };
    };
    return {
        {"device", "N", "/dev/ublkbN, instead of a free one",
         number("device", options.device, kMostDevices)},
        {"queues", "N", "hardware queues (default: one a processor, 4 at most)",
         [&options](const std::string &value) {
             options.queues = parse_number(value, "queues", kMostThreads);
             if (options.queues > kMostQueues) {
                 throw UsageError("queues=" + value + ": is more than " +
                                  std::to_string(kMostQueues) +
                                  "; a thread for each copies data, and the pool does the work");
             }
         }},
        {"depth", "N", "requests in each queue (64)", number("depth", options.depth, kMostDepth)},
        {"threads", "N", "that decompress and compress (default: two a processor)",
         number("threads", options.threads, kMostThreads)},
        {"sector-size", "N", "bytes of a sector: 512 (default) or 4096",
         [&options](const std::string &value) {
             options.sector_size = parse_number(value, "sector-size", CW_PAGE_SIZE);
             if (options.sector_size != CW_SECTOR_SIZE && options.sector_size != CW_PAGE_SIZE) {
                 throw UsageError("sector-size=" + value + ": is neither 512 nor 4096");
             }
         }},
        {"pidfile", "FILE", "written when the device can be used", text(options.pidfile)},
        {"idfile", "FILE", "N, written as soon as the device exists", text(options.idfile)},
    };
}

Parameters removal_parameters(UblkArguments &arguments) {
    const auto number = [](const char *key, std::optional<uint32_t> &to) {
        return [key, &to](const std::string &value) { to = parse_number(value, key, UINT32_MAX); };
    };
    return {
        {"remove", "N", "end /dev/ublkbN, whatever became of its server",
         number("remove", arguments.remove)},
        {"orphan", "N", "the same, when it has no server", number("orphan", arguments.orphan)},
        {"state", "FD", "go on for another version of this program (cloopwsetup --takeover)",
         number("state", arguments.state)},
    };
}

Parameters all_parameters(UblkArguments &arguments) {
    Parameters all = served_parameters(arguments.options.served);
    for (const Parameters &more :
         {device_parameters(arguments.options), removal_parameters(arguments)}) {
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

std::string ublkd_help() {
    UblkArguments arguments;
    return kUsage +
           ("\nThe image and its layers, as nbdkit's plugin cloopw takes them:\n" +
            help_of(served_parameters(arguments.options.served), "  ")) +
           "\nThe block device:\n" + help_of(device_parameters(arguments.options), "  ") + "\n" +
           help_of(removal_parameters(arguments), "  ") + kNotes;
}

void set_parameter(const Parameters &parameters, const std::string &word) {
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == word.size()) {
        throw UsageError(word + ": is not KEY=VALUE");
    }
    const Parameter *parameter = find_parameter(parameters, key);
    if (parameter == nullptr) {
        throw UsageError("unknown parameter '" + key + "'");
    }
    const std::string value = word.substr(equals + 1);
    const bool is_file = parameter->is_path && !is_url(value);
    parameter->set(is_file ? std::filesystem::absolute(value).string() : value);
}

}  // namespace cloopw

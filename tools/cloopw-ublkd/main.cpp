// SPDX-License-Identifier: GPL-2.0
/*
 * cloopw-ublkd: serves an image with COW layers as /dev/ublkbN, by the kernel's own
 * driver ublk. It is a program of its own, because it goes on after cloopwsetup has ended,
 * and its memory must not be swapped out. So the tool needs no liburing.
 */
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>

#include "hold.h"
#include "lib/error.h"
#include "lib/escape.h"
#include "lib/net/curl_library.h"
#include "lib/net/url.h"
#include "server.h"
#include "supervise.h"

namespace {

using namespace cloopw;

constexpr int kExitUsage = 2;

constexpr const char *kHelp =
    "Usage: cloopw-ublkd image=FILE [cow=FILE]... [KEY=VALUE]...\n"
    "       cloopw-ublkd remove=N | --check | --help | --version\n"
    "\n"
    "Serve an image with its COW layers as /dev/ublkbN, until SIGINT. cloopwsetup starts\n"
    "this program by itself; it is of use alone where there is no cloopwsetup.\n"
    "\n"
    "What is served, as nbdkit's plugin cloopw takes it:\n"
    "  image=FILE            image of any format that cloopw reads, or its URL\n"
    "  image-env=NAME        the same, in this variable of the environment\n"
    "  cow=FILE              keep changes there; several: the top first\n"
    "  cow-format=, cow-codec=, cow-level=, cow-limit=\n"
    "                        of a COW file that is made\n"
    "  format=, offset=, sizelimit=\n"
    "                        of the image\n"
    "  cache=SIZE            for decompressed data\n"
    "  net-cache=, net-cache-size=, net-chunk=, net-timeout=, cacert=, offline=\n"
    "                        of an image at a URL\n"
    "  readonly=true         write to no file\n"
    "  status=SOCKET         tell there, as JSON, how the device does\n"
    "  stay=true             TERM and HUP do not end it; memory is locked\n"
    "\n"
    "The block device:\n"
    "  device=N              /dev/ublkbN, instead of a free one\n"
    "  queues=N, depth=N     hardware queues, and requests in each (default: one a\n"
    "                        processor up to 4, and 64)\n"
    "  threads=N             that decompress and compress (default: two a processor)\n"
    "  pidfile=FILE          written when the device can be used\n"
    "  idfile=FILE           N, written as soon as the device exists\n"
    "\n"
    "  remove=N              end /dev/ublkbN, whatever became of its server\n"
    "  orphan=N              the same, when it has no server\n"
    "  --check               can this machine serve? Says why not\n"
    "\n"
    "Example:\n"
    "  cloopw-ublkd image=knoppix.cloopw cow=changes.cow\n";

void say(const std::string &text) {
    (void)fprintf(stderr, "cloopw-ublkd: error: %s\n", escaped(text).c_str());
}

uint32_t parse_number(const std::string &value, const std::string &key, uint32_t most) {
    uint32_t number = 0;
    const char *end = value.data() + value.size();
    auto [rest, code] = std::from_chars(value.data(), end, number);
    if (code != std::errc() || rest != end || number > most) {
        throw UsageError(key + "=" + value + ": is not a number up to " + std::to_string(most));
    }
    return number;
}

/* false: it is none of the block device's. */
bool set_device_option(UblkOptions &options, const std::string &key, const std::string &value) {
    constexpr uint32_t kMostDevices = 1u << 20;
    constexpr uint32_t kMostThreads = 256;
    constexpr uint32_t kMostDepth = 4096;
    if (key == "device") {
        options.device = parse_number(value, key, kMostDevices);
    } else if (key == "queues") {
        options.queues = parse_number(value, key, kMostThreads);
    } else if (key == "depth") {
        options.depth = parse_number(value, key, kMostDepth);
    } else if (key == "threads") {
        options.threads = parse_number(value, key, kMostThreads);
    } else if (key == "pidfile") {
        options.pidfile = value;
    } else if (key == "idfile") {
        options.idfile = value;
    } else {
        return false;
    }
    return true;
}

void set(UblkOptions &options, const std::string &word) {
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == word.size()) {
        throw UsageError(word + ": is not KEY=VALUE");
    }
    std::string value = word.substr(equals + 1);
    if (is_path_option(key) && !is_url(value)) {
        value = std::filesystem::absolute(value).string();
    }
    if (!set_device_option(options, key, value) && !set_option(options.served, key, value)) {
        throw UsageError("unknown parameter '" + key + "'");
    }
}

int run_server(const UblkOptions &options, ServerState &state) {
    try {
        if (options.served.stay) {
            hold_memory();
        }
        serve(options, state);
        return EXIT_SUCCESS;
    } catch (const std::exception &e) {
        say(e.what());
        return EXIT_FAILURE;
    }
}

int run(int argc, char **argv) {
    UblkOptions options;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        if (word == "--help" || word == "-h") {
            return fputs(kHelp, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        }
        if (word == "--version" || word == "-V") {
            return puts("cloopw-ublkd " CLOOPW_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        }
        if (word == "--check") {
            check_machine();
            return EXIT_SUCCESS;
        }
        if (word.rfind("remove=", 0) == 0) {
            remove_device(parse_number(word.substr(word.find('=') + 1), "remove", UINT32_MAX),
                          false);
            return EXIT_SUCCESS;
        }
        if (word.rfind("orphan=", 0) == 0) {
            remove_device(parse_number(word.substr(word.find('=') + 1), "orphan", UINT32_MAX),
                          true);
            return EXIT_SUCCESS;
        }
        set(options, word);
    }
    check_options(options.served);
    if (is_remote(options.served.image)) {
        (void)curl_library(); /* a later server may not find it any more */
    }
    if (options.served.stay) {
        argv[0][0] = '@'; /* systemd's mark of what serves storage: it is not killed at the end */
        hold_memory();
        hold_mounts();
    }
    return supervise([&](ServerState &state) { return run_server(options, state); },
                     options.served.stay, options.idfile);
}

}  // namespace

int main(int argc, char **argv) {
    try {
        return run(argc, argv);
    } catch (const UsageError &e) {
        say(std::string(e.what()) + "; try 'cloopw-ublkd --help'");
        return kExitUsage;
    } catch (const std::exception &e) {
        say(e.what());
        return EXIT_FAILURE;
    }
}

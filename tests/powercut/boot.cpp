// SPDX-License-Identifier: GPL-2.0
/*
 * Does what a boot does with its COW file, without the driver:
 *
 *   powercut-boot [-r] [-s] [-t] [-u] [-w TEXT]... IMAGE [COW...]
 *
 * Attaches like cloopwsetup, which makes a missing first COW and freezes the second. Writes
 * each TEXT to a page of its own, flushes it, and then prints it. At the end it prints the
 * first bytes of the pages. -g: the device has this many bytes from then on. -t: no file is made without a name, as on FAT. -s: as with
 * --same-base. -u: takes a new COW back when it is attached, as after an error.
 */
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "lib/cloopw.h"
#include "lib/cow/open_top.h"
#include "lib/cow/same_base.h"
#include "tools/cloopwsetup/attach.h"

/* The linker puts this in the place of open(). */
static bool no_tmpfile;
extern "C" int __real_open64(const char *path, int flags, mode_t mode);
extern "C" int __wrap_open64(const char *path, int flags, mode_t mode) {
    if (no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return __real_open64(path, flags, mode);
}

namespace cloopw {
namespace {

constexpr u32 kPages = 8;
constexpr u32 kText = 16;

/* made: the new top, if there is one; it goes with that. */
std::vector<CowLayer> layers_of(const AttachOptions &options, NewCow &made) {
    const ImageFacts image = inspect_image(options.image, "", 0, 0);
    const CowFile top = check_given(options);
    std::vector<CowLayer> below = find_layers(options, top != CowFile::kThere, image.st);
    if (top == CowFile::kThere && options.cow.device_size != 0) {
        grow_layers(options, options.cow.device_size);
    }
    if (top == CowFile::kThere || options.cows.empty()) {
        return below;
    }
    make_top(options, image, top, below, made);
    return find_layers(options, false, image.st);
}

void say(const std::string &text) {
    const std::string line = text + "\n";
    if (write(STDOUT_FILENO, line.data(), line.size()) < 0) {
        _exit(3);
    }
}

/* Texts go to the first page that has none. */
u32 first_free(const Device &device) {
    u32 page = 0;
    char text[kText] = "x";
    while (page < kPages && text[0] != '\0') {
        device.read(text, kText, u64{page} * CW_PAGE_SIZE);
        page += text[0] != '\0' ? 1 : 0;
    }
    return page;
}

void run(const AttachOptions &options, const std::vector<std::string> &texts, bool take_back) {
    const Io::Mode mode = options.read_only ? Io::Mode::kRead : Io::Mode::kReadWrite;
    NewCow made;
    std::vector<Io> layers = open_cow_chain(layers_of(options, made), mode);
    Device::Config config;
    config.read_only = options.read_only;
    Device device(Io::open(options.image, Io::Mode::kRead), std::move(layers), config);
    if (take_back) {
        return device.close();
    }
    made.keep();
    u32 page = first_free(device);
    for (const std::string &text : texts) {
        device.write(text.c_str(), static_cast<u32>(text.size()) + 1, u64{page++} * CW_PAGE_SIZE);
        device.flush();
        say("flushed " + text);
    }
    std::string all = "holds";
    for (u32 i = 0; i < kPages; i++) {
        char found[kText + 1] = {};
        device.read(found, kText, u64{i} * CW_PAGE_SIZE);
        all.append(found[0] != '\0' ? " " : "").append(found);
    }
    device.close();
    say(all);
}

}  // namespace
}  // namespace cloopw

int main(int argc, char **argv) {
    cloopw::AttachOptions options;
    std::vector<std::string> texts;
    bool take_back = false;
    bool same_base = false;
    int option = 0;
    while ((option = getopt(argc, argv, "g:rstuw:")) != -1) {
        if (option == 'g') {
            options.cow.device_size = std::stoull(optarg);
        } else if (option == 'r') {
            options.read_only = true;
        } else if (option == 's') {
            same_base = true;
        } else if (option == 't') {
            no_tmpfile = true;
        } else if (option == 'u') {
            take_back = true;
        } else if (option == 'w') {
            texts.emplace_back(optarg);
        } else {
            return 2;
        }
    }
    if (optind == argc) {
        return 2;
    }
    options.image = argv[optind];
    options.cows.assign(argv + optind + 1, argv + argc);
    try {
        if (same_base) {
            cloopw::adopt_image(options);
        }
        cloopw::run(options, texts, take_back);
    } catch (const std::exception &e) {
        fprintf(stderr, "powercut-boot: %s\n", e.what());
        return 1;
    }
    return 0;
}

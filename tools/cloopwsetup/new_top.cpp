// SPDX-License-Identifier: GPL-2.0
#include "new_top.h"

#include <sys/stat.h>

#include <cerrno>

#include "lib/cloopw.h"
#include "lib/error.h"

namespace cloopw {
namespace {

/* A node's time is that of its last event or of the boot, not of its content. */
int64_t content_time(const struct stat &st) { return S_ISREG(st.st_mode) ? st.st_mtime : 0; }

/* The new one is there, empty, and made for what the layer below it is called from now on. */
void freeze(const AttachOptions &options, const std::vector<CowLayer> &below) {
    Device::Config config;
    config.format = options.format;
    Device device(Io::open(options.image, Io::Mode::kRead, options.offset, options.sizelimit),
                  open_cow_chain(below, Io::Mode::kReadWrite), config);
    device.snapshot(Io::open(options.cows.front(), Io::Mode::kReadWrite));
    device.close();
}

}  // namespace

CowBase base_of(const AttachOptions &options, const ImageFacts &image,
                const std::vector<CowLayer> &below) {
    if (below.empty()) {
        return {options.image, content_time(image.st), image.size, image.uuid, false};
    }
    const CowLayer &layer = below.front();
    struct stat st = {};
    if (stat(layer.path.c_str(), &st) != 0) {
        throw io_error(layer.path, "cannot be looked at", errno);
    }
    return {layer.path, content_time(st), image.size, layer.uuid, true};
}

void make_top(const AttachOptions &options, const ImageFacts &image, CowFile what,
              const std::vector<CowLayer> &below, NewCow &made) {
    CowBase base = base_of(options, image, below);
    const bool freezes =
        !below.empty() && !below.front().frozen && can_be_frozen(below.front().format);
    if (freezes) {
        base.uuid = random_uuid();
    }
    const CowFormat *format = cow_format_by_name(options.cow_format);
    made.create(options.cows.front(), what, format != nullptr ? *format : default_cow_format(),
                base, options.cow);
    if (freezes) {
        freeze(options, below);
        made.keep();
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "same_base.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/error.h"
#include "lock.h"
#include "super.h"

namespace cloopw {
namespace {

/* A log of a later version is left to the engine, which refuses it. */
bool is_understood(const struct cw_disk_log_super &super) {
    return cw_from_le32(super.version) == CW_LOG_VERSION &&
           (cw_from_le64(super.incompat) & ~CW_LOG_INCOMPAT_KNOWN) == 0 &&
           (cw_from_le64(super.ro_compat) & ~CW_LOG_RO_COMPAT_KNOWN) == 0;
}

void set_base(struct cw_disk_log_super &super, const CowBase &base, uint64_t digest) {
    std::ranges::copy(base.uuid, super.base_uuid);
    super.base_mtime = cw_to_le64(static_cast<u64>(base.mtime));
    super.base_digest = cw_to_le64(digest);
    const u64 others = cw_from_le64(super.compat) & ~u64{CW_LOG_COMPAT_BASE_DIGEST};
    super.compat = cw_to_le64(others | (digest != 0 ? CW_LOG_COMPAT_BASE_DIGEST : 0));
}

void adopt(const CowLayer &layer, const CowBase &base, uint64_t digest) {
    if (!can_be_frozen(layer.format)) {
        throw Error(layer.path + ": --same-base is not for a COW file of format " + layer.format +
                        "; 'touch -d' gives its image the time that the COW file has",
                    EOPNOTSUPP);
    }
    if (layer.below_size != cw_round_up(base.size, CW_SECTOR_SIZE)) {
        throw Error(layer.path + ": is for an image of " + std::to_string(layer.below_size) +
                        " bytes, and " + base.path + " has " + std::to_string(base.size) +
                        ": that is another one, and --same-base would damage its files",
                    EINVAL);
    }
    Io io = Io::open(layer.path, Io::Mode::kReadWrite);
    lock_cow(io.fd(), layer.path, true);
    const auto present = read_log_super(io.fd(), layer.path);
    if (!present || !is_understood(*present)) {
        return;
    }
    struct cw_disk_log_super super = *present;
    set_base(super, base, digest);
    if (memcmp(&super, &*present, sizeof(super)) != 0) {
        replace_log_super(io.fd(), layer.path, super);
    }
}

}  // namespace

void adopt_image(const StackOptions &options) {
    const ImageFacts image =
        inspect_image(options.image, options.format, options.offset, options.sizelimit);
    const bool make_top = check_given(options) != CowFile::kThere;
    const std::vector<CowLayer> layers = find_layers(options, make_top, image.st);
    if (!layers.empty()) {
        adopt(layers.back(), base_of(options, image, {}), image.digest);
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
/* Images of every format: whatever the bytes are, opening and reading ends. */
#include <cstring>

#include "image_check.h"

namespace {

using namespace cloopw;

constexpr u64 kMostBytes = u64{32} << 20; /* what is read of one image */

struct Enough {};

/* The checksum is right, so that what it covers is looked at. */
void fix_super(std::vector<u8> *file) {
    cw_disk_super super;
    if (file->size() < sizeof(super) || memcmp(file->data(), CW_IMAGE_MAGIC, 8) != 0) {
        return;
    }
    memcpy(&super, file->data(), sizeof(super));
    u64 root = cw_from_le64(super.root.where) & ((u64{1} << CW_REF_OFFSET_BITS) - 1);
    if (!cw_outside(root, CW_INDEX_PAGE_LEN, file->size())) {
        super.root.crc = cw_to_le32(cw_crc32c(file->data() + root, CW_INDEX_PAGE_LEN));
    }
    super.crc = cw_to_le32(0);
    super.crc = cw_to_le32(cw_crc32c(&super, sizeof(super)));
    memcpy(file->data(), &super, sizeof(super));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    std::vector<u8> file(data, data + size);
    cw_log_bad_quiet(true);
    fix_super(&file);
    Io io = Io::memory("image", file);
    OpenedImage image(io.get(), "");
    if (!image.refusal().empty()) {
        return 0;
    }
    u64 done = 0;
    CheckOptions options;
    try {
        (void)visit_image(image.get(), options, [&](const ImagePart &part) {
            done += part.state == ImagePart::State::kStored ? part.range.len : 0;
            if (done > kMostBytes) {
                throw Enough();
            }
        });
    } catch (const Enough &) {
    }
    return 0;
}

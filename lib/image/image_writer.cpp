// SPDX-License-Identifier: GPL-2.0
#include "image_writer.h"

#include <cstring>

namespace cloopw {

namespace {

constexpr const ImageWriterFormat *kFormats[] = {
    &image_writer_cloopw,
    &image_writer_cloop2,
    &image_writer_cloop4,
};

std::string check_block_size(const ImageWriterFormat &format, u32 size) {
    bool good = size >= format.min_block_size && size <= format.max_block_size &&
                size % format.block_size_multiple == 0 &&
                (!format.power_of_two || cw_is_power_of_2(size));
    if (good) {
        return {};
    }
    std::string kind = format.power_of_two
                           ? "a power of two"
                           : "a multiple of " + std::to_string(format.block_size_multiple);
    return "block size " + std::to_string(size) + ": must be " + kind + " within " +
           std::to_string(format.min_block_size) + ".." + std::to_string(format.max_block_size) +
           " for " + format.name;
}

std::string check_codec(const ImageWriterFormat &format, const cw_codec &codec, int level) {
    if ((format.codecs & CW_CODEC_BIT(codec.id)) == 0) {
        return std::string("codec ") + codec.name + ": " + format.name + " images can only use " +
               joined(codec_names(format.codecs));
    }
    if (level < codec.min_level || level > codec.max_level) {
        return "level " + std::to_string(level) + ": codec " + codec.name + " has " +
               std::to_string(codec.min_level) + ".." + std::to_string(codec.max_level);
    }
    return {};
}

}  // namespace

std::span<const ImageWriterFormat *const> image_writer_formats() { return kFormats; }

Names image_writer_names() {
    Names names;
    for (const ImageWriterFormat *format : kFormats) {
        names.emplace_back(format->name);
    }
    return names;
}

const ImageWriterFormat *image_writer_format(std::string_view name) {
    for (const ImageWriterFormat *format : kFormats) {
        if (name == format->name) {
            return format;
        }
    }
    return nullptr;
}

std::string check_options(const ImageWriterFormat &format, const ImageWriterOptions &options) {
    std::string wrong = check_block_size(format, options.block_size);
    if (wrong.empty()) {
        wrong = check_codec(format, *options.codec, options.level);
    }
    if (wrong.empty() && !format.has_label && (!options.label.empty() || options.uuid != Uuid{})) {
        wrong = std::string(format.name) + " images have neither label nor UUID";
    }
    if (wrong.empty() && options.label.size() > CW_LABEL_LEN) {
        wrong = "label: longer than " + std::to_string(CW_LABEL_LEN) + " bytes";
    }
    return wrong;
}

bool can_copy_blocks(const ImageWriterFormat &format, const ImageWriterOptions &options,
                     const cw_image &image) {
    return image.format == format.copies_from && image.block_size == options.block_size &&
           image.made_codec == options.codec && image.made_level == options.level;
}

bool all_zero(const u8 *bytes, size_t len) {
    /* If the first is zero and each equals the one before it, all are. */
    return len == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, len - 1) == 0);
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "names.h"

namespace cloopw {

std::string joined(const Names &names, const char *between) {
    std::string text;
    for (const std::string &name : names) {
        text.append(text.empty() ? "" : between).append(name);
    }
    return text;
}

Names codec_names(u32 codecs) {
    Names names;
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        if ((codecs & CW_CODEC_BIT(cw_codecs[i]->id)) != 0) {
            names.emplace_back(cw_codecs[i]->name);
        }
    }
    return names;
}

Names image_format_names() {
    Names names;
    for (unsigned int i = 0; i < cw_image_formats_count; i++) {
        names.emplace_back(cw_image_formats[i]->name);
    }
    return names;
}

}  // namespace cloopw

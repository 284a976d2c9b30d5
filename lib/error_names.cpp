// SPDX-License-Identifier: GPL-2.0
#include "error_names.h"

#include <charconv>
#include <string_view>

#include "error.h"

namespace cloopw {

std::string with_error_names(std::string text) {
    constexpr std::string_view kBegin = "(error ";
    for (size_t at = text.find(kBegin); at != std::string::npos; at = text.find(kBegin, at + 1)) {
        int err = 0;
        const char *number = text.data() + at + kBegin.size();
        const auto [end, code] = std::from_chars(number, text.data() + text.size(), err);
        if (code == std::errc() && err > 0 && *end == ')') {
            const size_t digits = static_cast<size_t>(end - number);
            text.replace(at + 1, kBegin.size() - 1 + digits, errno_text(err));
        }
    }
    return text;
}

}  // namespace cloopw

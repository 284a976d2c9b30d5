// SPDX-License-Identifier: GPL-2.0
#include "octal.h"

#include <fmt/format.h>

#include "lib/escape.h"

namespace cloopw {

std::string to_octal(const std::string &name) {
    constexpr unsigned char kAscii = 0x80;
    const bool plain = escaped(name) == name;
    std::string text;
    for (char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_bad = !plain && (byte < ' ' || byte >= kAscii - 1);
        text += is_bad || c == '\\' ? fmt::format("\\{:03o}", byte) : std::string(1, c);
    }
    return text;
}

std::string from_octal(const std::string &text) {
    std::string name;
    for (size_t i = 0; i < text.size(); i++) {
        bool octal = text[i] == '\\' && i + 3 < text.size();
        for (size_t j = 1; octal && j <= 3; j++) {
            octal = text[i + j] >= '0' && text[i + j] <= '7';
        }
        if (octal) {
            name += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                      (text[i + 3] - '0'));
            i += 3;
        } else {
            name += text[i];
        }
    }
    return name;
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "escape.h"

#include <array>
#include <cstdint>

namespace cloopw {
namespace {

struct Character {
    uint32_t code = 0;
    size_t len = 0; /* 0: these bytes are no character */
};

/* Length of a character with this first byte; 0: no character begins so. */
size_t length_by_first(unsigned char first) {
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first < 0xe0) {
        return 2;
    }
    if (first >= 0xe0 && first < 0xf0) {
        return 3;
    }
    return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/* Too long a form, a surrogate, or beyond the last character. */
bool is_no_character(uint32_t code, size_t len) {
    return (len == 3 && code < 0x800) || (len == 4 && code < 0x10000) || code > 0x10ffff ||
           (code >= 0xd800 && code < 0xe000);
}

Character first_of(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    const size_t len = length_by_first(first);
    if (len == 0 || len > text.size()) {
        return {};
    }
    uint32_t code = len == 1 ? first : first & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0) != 0x80) {
            return {};
        }
        code = code << 6 | (next & 0x3f);
    }
    return is_no_character(code, len) ? Character{} : Character{code, len};
}

struct CodeRange {
    uint32_t first;
    uint32_t last;
};

/* Control characters, and invisible characters that change others. */
constexpr std::array<CodeRange, 10> kUnprintable = {{{0x00, 0x1f},
                                                     {0x7f, 0x9f},
                                                     {0xad, 0xad},
                                                     {0x61c, 0x61c},
                                                     {0x200b, 0x200f},
                                                     {0x2028, 0x202e},
                                                     {0x2060, 0x206f},
                                                     {0xfeff, 0xfeff},
                                                     {0xfff9, 0xfffb},
                                                     {0xe0000, 0xe007f}}};

bool is_printable(uint32_t code) {
    for (const CodeRange &range : kUnprintable) {
        if (code >= range.first && code <= range.last) {
            return false;
        }
    }
    return true;
}

/* The kind of escape and so many digits of the number in hexadecimal. */
std::string hexadecimal(const char *kind, int digits, uint32_t value) {
    std::string text = kind;
    for (int i = digits - 1; i >= 0; i--) {
        text += "0123456789abcdef"[value >> (4 * i) & 0xf];
    }
    return text;
}

std::string escape_of(uint32_t code) {
    switch (code) {
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        default:
            break;
    }
    if (code < 0x80) {
        return hexadecimal("\\x", 2, code);
    }
    return code < 0x10000 ? hexadecimal("\\u", 4, code) : hexadecimal("\\U", 8, code);
}

}  // namespace

std::string escaped(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        const Character next = first_of(text);
        const size_t len = next.len != 0 ? next.len : 1;
        if (next.len == 0) {
            result += hexadecimal("\\x", 2, static_cast<unsigned char>(text[0]));
        } else if (is_printable(next.code)) {
            result += text.substr(0, len);
        } else {
            result += escape_of(next.code);
        }
        text.remove_prefix(len);
    }
    return result;
}

}  // namespace cloopw

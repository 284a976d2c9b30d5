// SPDX-License-Identifier: GPL-2.0
#include "uuid.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "error.h"

namespace cloopw {
namespace {

constexpr int kUuidLen = 16;

bool hyphen_before(int byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

Uuid random_uuid() {
    Uuid uuid{};
    if (getrandom(uuid.data(), uuid.size(), 0) != static_cast<ssize_t>(uuid.size())) {
        throw Error("cannot get random numbers for a UUID", errno);
    }
    uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0f) | 0x40);
    uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3f) | 0x80);
    return uuid;
}

std::string format_uuid(const uint8_t *uuid) {
    Uuid value;
    std::copy_n(uuid, value.size(), value.begin());
    return value == Uuid{} ? "" : uuid_text(value);
}

std::string uuid_text(const Uuid &uuid) {
    std::string text;
    for (int i = 0; i < kUuidLen; i++) {
        text += fmt::format("{}{:02x}", hyphen_before(i) ? "-" : "", uuid[i]);
    }
    return text;
}

bool parse_uuid(std::string_view text, uint8_t *uuid) {
    if (text.size() != 36) {
        return false;
    }
    size_t at = 0;
    for (int i = 0; i < kUuidLen; i++) {
        if (hyphen_before(i) && text[at++] != '-') {
            return false;
        }
        int high = hex_digit(text[at]);
        int low = hex_digit(text[at + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        uuid[i] = static_cast<uint8_t>(high << 4 | low);
        at += 2;
    }
    return true;
}

}  // namespace cloopw

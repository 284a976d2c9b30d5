// SPDX-License-Identifier: GPL-2.0
#include "size.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

#include "error.h"

namespace cloopw {

namespace {

constexpr std::string_view kPrefixes = "KMGTPE";

[[noreturn]] void bad_size(std::string_view text, std::string_view what, std::string_view why) {
    throw UsageError(fmt::format("{} {}: {}; write 4096, 64K, 1M or 2G", what, text, why));
}

}  // namespace

uint64_t parse_size(std::string_view text, std::string_view what) {
    uint64_t value = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec == std::errc::result_out_of_range) {
        bad_size(text, what, "too large");
    }
    if (ec != std::errc()) {
        bad_size(text, what, "not a size");
    }

    std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
    if (suffix.empty()) {
        return value;
    }
    auto prefix =
        kPrefixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(suffix[0]))));
    if (prefix == std::string_view::npos) {
        bad_size(text, what, "not a size");
    }
    std::string_view rest = suffix.substr(1);
    uint64_t base = 1024;
    if (rest == "B") {
        base = 1000;
    } else if (!rest.empty() && rest != "iB") {
        bad_size(text, what, "not a size");
    }
    for (size_t i = 0; i <= prefix; i++) {
        if (__builtin_mul_overflow(value, base, &value)) {
            bad_size(text, what, "too large");
        }
    }
    return value;
}

std::string format_size(uint64_t bytes) {
    if (bytes < 1024) {
        return fmt::format("{} B", bytes);
    }
    double value = static_cast<double>(bytes);
    size_t prefix = 0;
    for (value /= 1024; value >= 1023.95 && prefix + 1 < kPrefixes.size(); prefix++) {
        value /= 1024;
    }
    return fmt::format("{:.1f} {}iB", value, kPrefixes[prefix]);
}

std::string exact_size(uint64_t bytes) {
    std::string_view suffix;
    for (size_t i = 0; i < kPrefixes.size() && bytes != 0 && bytes % 1024 == 0; i++) {
        bytes /= 1024;
        suffix = kPrefixes.substr(i, 1);
    }
    return fmt::format("{}{}", bytes, suffix);
}

}  // namespace cloopw

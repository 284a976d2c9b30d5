// SPDX-License-Identifier: GPL-2.0
#include "low_space.h"

#include <fmt/format.h>

#include <charconv>

#include "lib/error.h"
#include "lib/size.h"

namespace cloopw {
namespace {

constexpr uint32_t kMostPercent = 100;

uint32_t parse_percent(const std::string &text, const std::string &option) {
    uint32_t percent = 0;
    const char *end = text.data() + text.size() - 1;
    auto [rest, code] = std::from_chars(text.data(), end, percent);
    if (code != std::errc() || rest != end || percent > kMostPercent) {
        throw UsageError(
            fmt::format("{} {}: not a percentage; write 0% to 100%, or a size", option, text));
    }
    return percent;
}

}  // namespace

LowSpace parse_low_space(const std::string &text, const std::string &option) {
    if (text.empty() || text.back() != '%') {
        return {0, parse_size(text, option)};
    }
    return {parse_percent(text, option), 0};
}

std::string format_low_space(const LowSpace &mark) {
    return mark.percent != 0 ? std::to_string(mark.percent) + "%" : std::to_string(mark.bytes);
}

}  // namespace cloopw

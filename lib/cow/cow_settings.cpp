// SPDX-License-Identifier: GPL-2.0
#include "cow_settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "lib/error.h"
#include "lib/size.h"
#include "low_space.h"

namespace cloopw {
namespace {

/* The first is the default. */
constexpr std::array kCodecs = {&cw_codec_lz4, &cw_codec_lz4hc, &cw_codec_zstd, &cw_codec_zlib,
                                &cw_codec_none};

/* A writer waits for the codec; an image's default level is for building once. */
constexpr int kZstdLevel = 3;

const cw_codec *parse_codec(const std::string &name, const OptionStyle &style) {
    auto found = std::ranges::find_if(kCodecs, [&](auto *codec) { return name == codec->name; });
    if (found == kCodecs.end()) {
        throw UsageError(fmt::format("{}cow-codec {}: there is no such codec; know {}",
                                     style.prefix, name, joined(cow_codec_names())));
    }
    return *found;
}

void check_level(const CowSettings &settings, const OptionStyle &style) {
    const cw_codec &codec = cow_codec(settings);
    if (settings.level &&
        (*settings.level < codec.min_level || *settings.level > codec.max_level)) {
        throw UsageError(fmt::format("{}cow-level {}: codec {} has {}..{}", style.prefix,
                                     *settings.level, codec.name, codec.min_level,
                                     codec.max_level));
    }
}

uint64_t parse_limit(const std::string &text, const std::string &option) {
    uint64_t limit = parse_size(text, option);
    if (limit != 0 && limit < kCowLeast) {
        throw UsageError(
            fmt::format("{} {}: a COW needs {} or more", option, text, exact_size(kCowLeast)));
    }
    return limit;
}

/* The default of tmpfs. */
uint64_t half_of_memory() {
    return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) / 2 *
           static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t parse_ram(const std::string &text) {
    uint64_t limit = text == "default" ? half_of_memory() : parse_limit(text, "--ram");
    if (limit == 0) {
        throw UsageError("--ram 0: leave the size away for half of the memory");
    }
    return limit;
}

}  // namespace

CowSettings parse_cow_settings(const CowArguments &arguments, const OptionStyle &style) {
    CowSettings settings;
    if (!arguments.codec.empty()) {
        settings.codec = parse_codec(arguments.codec, style);
    }
    settings.level = arguments.level;
    check_level(settings, style);
    if (!arguments.limit.empty()) {
        settings.limit = parse_limit(arguments.limit, std::string(style.prefix) + "cow-limit");
    }
    if (!arguments.low_space.empty()) {
        const std::string option = std::string(style.prefix) + "low-space";
        settings.low_space = format_low_space(parse_low_space(arguments.low_space, option));
    }
    if (!arguments.ram.empty()) {
        settings.ram = parse_ram(arguments.ram);
    }
    settings.overwrite = arguments.overwrite;
    return settings;
}

const cw_codec &cow_codec(const CowSettings &settings) {
    return settings.codec != nullptr ? *settings.codec : *kCodecs.front();
}

int cow_level(const CowSettings &settings) {
    const cw_codec &codec = cow_codec(settings);
    return settings.level.value_or(&codec == &cw_codec_zstd ? kZstdLevel : codec.default_level);
}

Names cow_codec_names() {
    Names names;
    for (const cw_codec *codec : kCodecs) {
        names.emplace_back(codec->name);
    }
    return names;
}

}  // namespace cloopw

/* SPDX-License-Identifier: GPL-2.0 */
/* What can be chosen of a COW: by options, checked before anything is done. */
#ifndef CLOOPW_COW_COW_SETTINGS_H
#define CLOOPW_COW_COW_SETTINGS_H

#include <cstdint>
#include <optional>
#include <string>

#include "lib/core.h"

namespace cloopw {

/* Less than this has no room for data besides what discards need. */
constexpr uint64_t kCowLeast = uint64_t{8} << 20;

struct CowSettings {
    const cw_codec *codec = nullptr; /* nullptr: the default for a new one */
    std::optional<int> level;        /* of codec, or of the default codec */
    std::optional<uint64_t> limit;   /* bytes; 0: none */
    std::string low_space;           /* as the driver takes it; empty: its default */
    std::optional<uint64_t> ram;     /* a COW in memory of at most so many bytes */
    bool overwrite = false;          /* a block device that holds something */
};

/* How the user writes options, for messages: --cow-limit, or cow-limit= of a server. */
struct OptionStyle {
    const char *prefix = "--";
    const char *layer = "-c";
    const char *read_only = "-r";
};
constexpr OptionStyle kParameters = {"", "cow=", "readonly=true"};

/* The options as they were written; empty: not given. */
struct CowArguments {
    std::string codec;
    std::optional<int> level;
    std::string limit;
    std::string low_space;
    std::string ram; /* "default" or a size */
    bool overwrite = false;
};

/* Throws UsageError. */
CowSettings parse_cow_settings(const CowArguments &arguments, const OptionStyle &style = {});

/* What a COW gets when nothing is said of it. */
const cw_codec &cow_codec(const CowSettings &settings);
int cow_level(const CowSettings &settings);

std::string cow_codec_names(); /* "lz4, lz4hc, zstd, zlib, none" */

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The settings of a COW, checked before anything is done. */
#ifndef CLOOPW_COW_COW_SETTINGS_H
#define CLOOPW_COW_COW_SETTINGS_H

#include <cstdint>
#include <optional>
#include <string>

#include "lib/core.h"
#include "lib/names.h"

namespace cloopw {

/* A smaller limit leaves no room for data besides what discards need. */
constexpr uint64_t kCowLeast = uint64_t{8} << 20;

struct CowSettings {
    const cw_codec *codec = nullptr; /* nullptr: a new COW's default */
    std::optional<int> level;        /* level of codec, or of the default codec */
    std::optional<uint64_t> limit;   /* bytes; 0: none */
    std::string low_space;           /* in the driver's syntax; empty: its default */
    std::optional<uint64_t> ram;     /* bytes that a COW in memory may have */
    uint64_t device_size = 0;        /* bytes of the device; 0: as below the COW */
    bool overwrite = false;          /* a block device that holds something */
};

/* The style of the user's options, for messages: --cow-limit, or cow-limit= of a server. */
struct OptionStyle {
    const char *prefix = "--";
    const char *layer = "-c";
    const char *read_only = "-r";
};
constexpr OptionStyle kParameters = {"", "cow=", "readonly=true"};

/* The options as written; empty: not given. */
struct CowArguments {
    std::string codec;
    std::optional<int> level;
    std::string limit;
    std::string low_space;
    std::string ram; /* "default" or a size */
    bool overwrite = false;
};

/* Throws UsageError that names the option. */
CowSettings parse_cow_settings(const CowArguments &arguments, const OptionStyle &style = {});

/* The codec and level of a new COW: the given ones, or the defaults. */
const cw_codec &cow_codec(const CowSettings &settings);
int cow_level(const CowSettings &settings);

Names cow_codec_names(); /* the default first */

}  // namespace cloopw

#endif

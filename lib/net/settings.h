/* SPDX-License-Identifier: GPL-2.0 */
/* How this process reads images from other machines. */
#ifndef CLOOPW_NET_SETTINGS_H
#define CLOOPW_NET_SETTINGS_H

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lib/core.h"

namespace cloopw {

constexpr u32 kMinNetChunk = 4u << 10;
constexpr u32 kMaxNetChunk = 16u << 20;

struct NetSettings {
    std::string cacert;     /* a file of CA certificates, in place of the system's */
    std::string cache;      /* a file, or a directory of such files; empty: none */
    u64 cache_bytes = 0;    /* room for chunks in the cache; 0: for the whole image */
    u32 chunk = 256u << 10; /* bytes of an aligned piece that is fetched; a power of two */
    u32 timeout = 60;       /* seconds until a read gives up; 0: never */
    u32 stall = 10;         /* seconds that a server may be silent in the middle of an answer */
    bool offline = false;   /* the cache alone; nothing is fetched */
    bool patient = false;   /* the first request is tried again as long as a later one is */
};

/*
 * The settings of this process. A program sets them before it opens an image; then they are
 * constant.
 */
NetSettings &net_settings();

/*
 * Sets the server's parameter of this name: "cacert", "net-cache", "net-cache-size",
 * "net-chunk", "net-timeout", "offline". false: there is no such parameter. Throws Error.
 */
bool set_net_option(NetSettings &settings, std::string_view key, const std::string &value);

/* The options of a program that were given, by the parameters' names. */
using NetParameters = std::map<std::string, std::string>;

/* Throws Error for settings that do not go together. style_prefix: "--" or nothing. */
void check_net_settings(const NetSettings &settings, const std::string &style_prefix);

}  // namespace cloopw

#endif

// SPDX-License-Identifier: GPL-2.0
#include "settings.h"

#include <cerrno>
#include <charconv>

#include "lib/error.h"
#include "lib/size.h"
#include "lib/yes_no.h"

namespace cloopw {
namespace {

uint32_t parse_seconds(const std::string &value, std::string_view key) {
    constexpr uint32_t kDay = 24 * 3600;
    uint32_t seconds = 0;
    const char *end = value.data() + value.size();
    auto [rest, code] = std::from_chars(value.data(), end, seconds);
    if (code != std::errc() || rest != end || seconds > kDay) {
        throw Error(std::string(key) + "=" + value + ": is not a number of seconds up to " +
                        std::to_string(kDay),
                    EINVAL);
    }
    return seconds;
}

u32 parse_chunk(const std::string &value, std::string_view key) {
    const uint64_t bytes = parse_size(value, key);
    if (bytes < kMinNetChunk || bytes > kMaxNetChunk || !cw_is_power_of_2(bytes)) {
        throw Error(std::string(key) + "=" + value + ": is not a power of two from " +
                        exact_size(kMinNetChunk) + " to " + exact_size(kMaxNetChunk),
                    EINVAL);
    }
    return static_cast<u32>(bytes);
}

}  // namespace

NetSettings &net_settings() {
    static NetSettings settings;
    return settings;
}

bool set_net_option(NetSettings &settings, std::string_view key, const std::string &value) {
    if (key == "cacert") {
        settings.cacert = value;
    } else if (key == "net-cache") {
        settings.cache = value;
    } else if (key == "net-cache-size") {
        settings.cache_bytes = parse_size(value, key);
    } else if (key == "net-chunk") {
        settings.chunk = parse_chunk(value, key);
    } else if (key == "net-timeout") {
        settings.timeout = parse_seconds(value, key);
    } else if (key == "offline") {
        settings.offline = parse_yes_no(value, key);
    } else {
        return false;
    }
    return true;
}

void check_net_settings(const NetSettings &settings, const std::string &style_prefix) {
    if (!settings.cache.empty()) {
        return;
    }
    if (settings.offline) {
        throw UsageError(style_prefix + "offline: only a cache can be read without the network; " +
                         "name it with " + style_prefix + "net-cache");
    }
    if (settings.cache_bytes != 0) {
        throw UsageError(style_prefix + "net-cache-size: without " + style_prefix +
                         "net-cache there is no cache");
    }
}

}  // namespace cloopw

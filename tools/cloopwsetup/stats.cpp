// SPDX-License-Identifier: GPL-2.0
#include "stats.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include "lib/error.h"
#include "lib/size.h"
#include "tools/cloopwsetup/userspace/userspace.h"
#include "tools/common/error.h"
#include "tools/common/table.h"

namespace cloopw {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kHeadingEvery = 20; /* lines, so that a screen has one */

/* Counters since the device is there, and how it is now. */
struct Sample {
    std::chrono::milliseconds time{};
    uint64_t reads = 0;
    uint64_t writes = 0;
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
    uint64_t hits = 0;
    uint64_t misses = 0;
    std::string ratio;
    std::string cow_ratio;
    std::string state;
};

uint64_t count_of(const std::string &text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/* nullopt: it is detached. */
std::optional<Sample> look(Driver &driver, const DeviceRef &asked) {
    Sample sample;
    /* Without the driver, what it says of itself is of when it was looked for. */
    const auto found = asked.userspace ? find_userspace(driver, asked.path) : std::optional(asked);
    if (!found || found->name.empty() || !driver.attached(*found)) {
        return std::nullopt;
    }
    const DeviceRef &device = *found;
    sample.time = driver.kernel().now();
    std::istringstream stat(text_of(driver.kernel().sys() + "/block/" + device.name + "/stat"));
    uint64_t merged = 0, ticks = 0, read_sectors = 0, written_sectors = 0;
    stat >> sample.reads >> merged >> read_sectors >> ticks >> sample.writes >> merged >>
        written_sectors;
    if (!stat) {
        throw Error(device.path + ": its 'stat' in /sys cannot be read; is sysfs mounted?", EIO);
    }
    sample.read_bytes = read_sectors * kSector;
    sample.written_bytes = written_sectors * kSector;
    sample.hits = count_of(driver.attribute(device, "cache_hits"));
    sample.misses = count_of(driver.attribute(device, "cache_misses"));
    sample.ratio = driver.attribute(device, "ratio");
    sample.cow_ratio = driver.attribute(device, "cow_ratio");
    sample.state = driver.attribute(device, "state");
    return sample;
}

/* Between two samples, per second. A counter that went back was a new attach. */
struct Rates {
    double reads, writes, read_bytes, written_bytes;
    std::optional<double> hit_rate; /* in percent; nullopt: nobody asked the cache */
};

double rate(uint64_t before, uint64_t after, double seconds) {
    return after < before || seconds <= 0 ? 0 : static_cast<double>(after - before) / seconds;
}

Rates rates_of(const Sample &before, const Sample &after) {
    constexpr double kMillis = 1000;
    const double seconds = static_cast<double>((after.time - before.time).count()) / kMillis;
    Rates rates = {rate(before.reads, after.reads, seconds),
                   rate(before.writes, after.writes, seconds),
                   rate(before.read_bytes, after.read_bytes, seconds),
                   rate(before.written_bytes, after.written_bytes, seconds), std::nullopt};
    const double hits = rate(before.hits, after.hits, seconds);
    const double misses = rate(before.misses, after.misses, seconds);
    if (hits + misses > 0) {
        rates.hit_rate = 100 * hits / (hits + misses);
    }
    return rates;
}

void print_heading(std::ostream &out) {
    out << fmt::format("{:>12} {:>12} {:>9} {:>9} {:>6} {:>7} {:>9}  {}\n", "READ/s", "WRITE/s",
                       "READS/s", "WRITES/s", "HIT%", "RATIO", "COW_RATIO", "STATE");
}

std::string or_dash(const std::string &text) { return text.empty() ? "-" : text; }

void print_line(std::ostream &out, const Rates &rates, const Sample &now) {
    auto size = [](double bytes) {
        return format_size(static_cast<uint64_t>(std::llround(bytes)));
    };
    out << fmt::format("{:>12} {:>12} {:>9.0f} {:>9.0f} {:>6} {:>7} {:>9}  {}\n",
                       size(rates.read_bytes), size(rates.written_bytes), rates.reads, rates.writes,
                       rates.hit_rate ? fmt::format("{:.1f}", *rates.hit_rate) : "-",
                       or_dash(now.ratio), or_dash(now.cow_ratio), now.state);
}

Json number_or_null(const std::string &text) {
    double value = 0;
    const char *end = text.data() + text.size();
    auto [rest, code] = std::from_chars(text.data(), end, value);
    return code == std::errc() && rest == end && std::isfinite(value) ? Json(value) : Json(nullptr);
}

void print_json_line(std::ostream &out, const DeviceRef &device, const Rates &rates,
                     const Sample &now) {
    Json line = {{"name", device.path},
                 {"read_bytes_per_second", std::llround(rates.read_bytes)},
                 {"write_bytes_per_second", std::llround(rates.written_bytes)},
                 {"reads_per_second", rates.reads},
                 {"writes_per_second", rates.writes},
                 {"cache_hit_percent", rates.hit_rate ? Json(*rates.hit_rate) : Json(nullptr)},
                 {"ratio", number_or_null(now.ratio)},
                 {"cow_ratio", number_or_null(now.cow_ratio)},
                 {"state", now.state}};
    out << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

template <typename Number>
Number parse_part(const std::string &text, const std::string &whole) {
    Number value{};
    const char *end = text.data() + text.size();
    auto [rest, code] = std::from_chars(text.data(), end, value);
    if (code != std::errc() || rest != end) {
        throw UsageError("--stats: '" + whole + "' is not SECONDS or SECONDS,COUNT");
    }
    return value;
}

}  // namespace

void parse_stats(const std::string &text, StatsOptions *options) {
    constexpr double kMillis = 1000;
    constexpr double kLeast = 0.01;
    constexpr double kMost = 86400;
    const size_t comma = text.find(',');
    const auto seconds = parse_part<double>(text.substr(0, comma), text);
    if (!(seconds >= kLeast && seconds <= kMost)) {
        throw UsageError("--stats: an interval of " + text.substr(0, comma) +
                         " s is not within 0.01 to 86400");
    }
    options->interval = std::chrono::milliseconds(std::llround(seconds * kMillis));
    if (comma != std::string::npos) {
        options->count = parse_part<uint64_t>(text.substr(comma + 1), text);
    }
}

void print_stats(Driver &driver, const DeviceRef &device, const StatsOptions &options,
                 std::ostream &out) {
    auto before = look(driver, device);
    for (uint64_t n = 0; before && (options.count == 0 || n < options.count); n++) {
        driver.kernel().pause(options.interval);
        auto now = look(driver, device);
        if (!now) {
            driver.say(device.path + ": was detached");
            return;
        }
        const Rates rates = rates_of(*before, *now);
        if (options.json) {
            print_json_line(out, device, rates, *now);
        } else {
            if (options.headings && n % kHeadingEvery == 0) {
                print_heading(out);
            }
            print_line(out, rates, *now);
        }
        if (!out.flush()) {
            return; /* the reader has gone: run_tool() tells */
        }
        before = now;
    }
}

}  // namespace cloopw

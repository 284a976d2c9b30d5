// SPDX-License-Identifier: GPL-2.0
#include "cloopwsetup.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "adjust.h"
#include "attach.h"
#include "change.h"
#include "detach.h"
#include "driver.h"
#include "fork.h"
#include "lib/cow/cow_file.h"
#include "lib/cow/cow_settings.h"
#include "lib/cow/image_facts.h"
#include "lib/cow/same_base.h"
#include "lib/escape.h"
#include "lib/net/settings.h"
#include "lib/net/url.h"
#include "lib/size.h"
#include "list.h"
#include "module.h"
#include "record.h"
#include "reset.h"
#include "snapshot.h"
#include "stack.h"
#include "stats.h"
#include "tools/cloopwsetup/userspace/userspace.h"
#include "tools/common/option_values.h"
#include "tools/common/table.h"

namespace cloopw {
namespace {

constexpr const char *kName = "cloopwsetup";

constexpr const char *kUsage =
    R"(Usage: cloopwsetup [OPTIONS] DEVICE IMAGE     attach IMAGE
       cloopwsetup [OPTIONS] -f [IMAGE]       to a free device, or name one
       cloopwsetup [-l] [DEVICE...]           list; of one DEVICE: all
       cloopwsetup CHANGE... DEVICE           change what is attached
       cloopwsetup --snapshot FILE DEVICE     freeze the COW file, go on in FILE
       cloopwsetup --takeover DEVICE...|all   the installed server serves it
       cloopwsetup --reset DEVICE             throw the changes away
       cloopwsetup --fork [OPTIONS] DEVICE|IMAGE   writable devices over it
       cloopwsetup -d DEVICE... | -D          detach
Attach compressed disk images as writable block devices.

)";

constexpr const char *kNotes =
    R"(A SIZE is in bytes, or with K, M, G, T of 1024.
Exit code: 0 success, 1 failed, 2 wrong usage.

Examples:
  cloopwsetup -c changes.cow /dev/cloopw0 disk.cloopw
  cloopwsetup -f --show --ram=1G disk.cloopw
)";

struct Options {
    std::vector<std::string> names; /* DEVICE, IMAGE */
    AttachOptions attach;
    CowArguments cow;
    ListOptions list;
    std::string offset;
    std::string sizelimit;
    std::string cache;
    std::string set_cache;
    std::string associated;
    std::string direct_io; /* empty: not given */
    std::string stats;     /* empty: not given */
    StatsOptions stats_options;
    std::string resize; /* empty: not given */
    bool flush = false;
    std::string userspace; /* a way; empty: with the driver where it is */
    bool driver_only = false;
    NetParameters net; /* by the servers' names; empty: not given */
    bool offline = false;
    bool find = false;
    bool show = false;
    std::string snapshot;
    std::string record;
    bool same_base = false;
    bool takeover = false;
    bool reset = false;
    bool fork = false;
    std::string count = "1";
    bool discard_changes = false;
    bool detach = false;
    bool detach_all = false;
    bool list_wanted = false;
    bool no_headings = false;
    bool verbose = false;
};

constexpr const char *kDriversSectors = "512";
constexpr const char *kAll = "all"; /* for the devices of --takeover */

constexpr const char *kAttachGroup = "Attach";
constexpr const char *kSizeOfImage = "image";  /* --resize without a size */
constexpr const char *kCowGroup = "COW";       /* for a new COW, a snapshot's too */
constexpr const char *kForceGroup = "Force";   /* a new COW, or a reset */
constexpr const char *kAdjustGroup = "Adjust"; /* when there is one, too */
constexpr const char *kDirectGroup = "Direct"; /* attach or adjust */
constexpr const char *kChangeGroup = "Change"; /* only adjust */
constexpr const char *kListGroup = "List";
constexpr const char *kDetachGroup = "Detach";
constexpr const char *kForkGroup = "Fork";

OptionTable::Group attach_options(Options &o) {
    const char *const group = kAttachGroup;
    return {
        "Attach",
        {{"-c,--cow", "FILE", "keep changes in FILE, made if missing; top first",
          value(o.attach.cows), any_file(), true, group},
         {"--ram",
          "[=SIZE]",
          "keep changes in memory, at most SIZE",
          value_or(o.cow.ram, "default"),
          {},
          false,
          group},
         {"-r,--read-only", "", "write to no file", flag(o.attach.read_only), {}, false, group},
         {"-f,--find", "", "take the first free device", flag(o.find)},
         {"--show", "", "print the device that was taken", flag(o.show), {}, false, group},
         {"-o,--offset", "SIZE", "where the image begins in its file", value(o.offset)},
         {"--sizelimit",
          "SIZE",
          "how much of the file is the image",
          value(o.sizelimit),
          {},
          false,
          group},
         {"--format", "NAME", "of the image: {}", value(o.attach.format),
          one_of("format", image_format_names()), false, group},
         {"-P,--partscan", "", "look for partitions", flag(o.attach.partscan), {}, false, group},
         {"--direct-io", "[=on|off]", "read the image past the page cache",
          value_or(o.direct_io, "on"), one_of("value", {"on", "off"}), false, kDirectGroup},
         {"--cache", "SIZE", "memory for decompressed data", value(o.cache), {}, false, group},
         {"--recording",
          "",
          "note which blocks are read first, for --record",
          flag(o.attach.recording),
          {},
          false,
          group},
         {"--sector-size", "N", "bytes of a sector of the device: {}", value(o.attach.sector_size),
          one_of("size", {"512", "4096"}), false, group},
         {"--driver",
          "",
          "by the module cloopw, and by nothing else",
          flag(o.driver_only),
          {},
          false,
          group},
         {"--userspace", "[=WAY]", "without the module: {}", value_or(o.userspace, "auto"),
          one_of("way", userspace_way_names()), false, group}}};
}

OptionTable::Group net_options(Options &o) {
    const char *const group = kAttachGroup;
    return {
        "Attach an image at a URL",
        {{"--net-cache", "FILE", "keep what was fetched; FILE,size=SIZE: at most",
          value(o.net["net-cache"]), any_file(), false, group},
         {"--net-chunk",
          "SIZE",
          "fetch in pieces of SIZE (256K)",
          value(o.net["net-chunk"]),
          {},
          false,
          group},
         {"--net-timeout",
          "SECS",
          "a read fails after SECS (60); 0: never",
          value(o.net["net-timeout"]),
          {},
          false,
          group},
         {"--cacert", "FILE", "certificates to trust, for the system's", value(o.net["cacert"]),
          any_file(), false, group},
         {"--offline", "", "read the cache and nothing else", flag(o.offline), {}, false, group}}};
}

OptionTable::Group cow_options(Options &o) {
    return {"A new COW",
            {{"--cow-format", "NAME", "{}", value(o.attach.cow_format), suggest(cow_format_names()),
              false, kAttachGroup},
             {"--cow-codec", "NAME", "{}", value(o.cow.codec), suggest(cow_codec_names()), false,
              kCowGroup},
             {"--cow-level",
              "N",
              "compression level of that codec",
              value(o.cow.level),
              {},
              false,
              kCowGroup},
             {"--same-base",
              "",
              "the COW is of a copy of IMAGE, with the same content",
              flag(o.same_base),
              {},
              false,
              kAttachGroup},
             {"--force",
              "",
              "take a device that is not blank; --reset: one in use",
              flag(o.cow.overwrite),
              {},
              false,
              kForceGroup}}};
}

OptionTable::Group adjust_options(Options &o) {
    return {"Attach, or change of DEVICE",
            {{"--cow-limit",
              "SIZE",
              "what the COW may grow to; 0: as far as there is space",
              value(o.cow.limit),
              {},
              false,
              kAdjustGroup},
             {"--low-space",
              "MARK",
              "send a uevent when so many % or bytes are left",
              value(o.cow.low_space),
              {},
              false,
              kAdjustGroup}}};
}

OptionTable::Group change_options(Options &o) {
    return {"Change of DEVICE",
            {{"--set-cache",
              "SIZE",
              "memory for decompressed data",
              value(o.set_cache),
              {},
              false,
              kChangeGroup},
             {"--resize",
              "[=SIZE]",
              "grow, kept in the COW; without SIZE: as the image",
              value_or(o.resize, kSizeOfImage),
              {},
              false,
              kDirectGroup},
             {"--flush", "", "store all that was written", flag(o.flush), {}, false, kChangeGroup},
             {"--snapshot", "FILE", "freeze the COW file, go on in FILE", value(o.snapshot),
              any_file()},
             {"--reset", "", "throw the changes away, in place", flag(o.reset)}}};
}

OptionTable::Group list_options(Options &o) {
    const char *const group = kListGroup;
    return {"List",
            {{"-l,--list,-a,--all", "", "devices in use", flag(o.list_wanted)},
             {"-j,--associated", "FILE", "devices of that image or COW file", value(o.associated),
              any_file(), false, group},
             {"-O,--output", "NAME,...", "these columns", value(o.list.columns),
              list_of("column", column_keys()), false, group},
             {"--output-all", "", "all columns", flag(o.list.all_columns), {}, false, group},
             {"-n,--noheadings", "", "no headings", flag(o.no_headings), {}, false, group},
             {"-J,--json", "", "as JSON", flag(o.list.json), {}, false, group},
             {"--raw", "", "columns parted by one blank", flag(o.list.raw), {}, false, group},
             {"--stats", "[=SECS[,N]]", "what DEVICE does, every SECS seconds, N times",
              value_or(o.stats, "1")}}};
}

OptionTable options_of(Options &o) {
    return {"cloopwsetup",
            kUsage,
            {attach_options(o),
             net_options(o),
             cow_options(o),
             adjust_options(o),
             change_options(o),
             list_options(o),
             {"Record",
              {{"--record", "FILE", "write which blocks were read first, for mkcloopw",
                value(o.record), any_file()}}},
             {"Fork",
              {{"--fork", "", "new devices, each with its own changes", flag(o.fork)},
               {"--count", "N", "so many of them (1)", value(o.count), {}, false, kForkGroup}}},
             {"Replace the server of ublk",
              {{"--takeover", "", "by the installed one, in use; all: of all devices",
                flag(o.takeover), devices()}}},
             {"Detach",
              {{"-d,--detach", "", "these devices", flag(o.detach), devices()},
               {"-D,--detach-all", "", "all devices", flag(o.detach_all)},
               {"--discard-changes",
                "",
                "with -d: empty the COW file",
                flag(o.discard_changes),
                {},
                false,
                kDetachGroup}}},
             {"Other",
              {{"-v,--verbose", "", "tell what is done", flag(o.verbose)},
               {"-V,--version", "", "print the version; with -v also of the module"},
               {"-h,--help", "", "print this help"}}}},
            kNotes};
}

enum class Action {
    kAttach,
    kPrintFree,
    kSnapshot,
    kTakeover,
    kReset,
    kFork,
    kDetach,
    kDetachAll,
    kAdjust,
    kStats,
    kRecord,
    kStatus,
    kList
};

const char *name_of(Action action) {
    switch (action) {
        case Action::kAttach:
            return "attaching";
        case Action::kPrintFree:
            return "finding a free device";
        case Action::kSnapshot:
            return "making a snapshot";
        case Action::kTakeover:
            return "replacing a server";
        case Action::kReset:
            return "resetting a device";
        case Action::kFork:
            return "making forks";
        case Action::kDetach:
            return "detaching";
        case Action::kDetachAll:
            return "detaching all";
        case Action::kAdjust:
            return "changing a device";
        case Action::kStats:
            return "printing statistics";
        case Action::kRecord:
            return "writing a record";
        case Action::kStatus:
        case Action::kList:
            break;
    }
    return "listing";
}

bool given(const CLI::App &app, const std::string &name) { return app.count(name) > 0; }

void want_names(const Options &o, size_t least, size_t most, const char *what) {
    if (o.names.size() < least || o.names.size() > most) {
        throw UsageError(std::string(what));
    }
}

/* --resize=SIZE of a device that is to be attached. */
bool attaches_longer(const Options &o) {
    return !o.resize.empty() && o.resize != kSizeOfImage &&
           (o.names.size() == 2 || !o.userspace.empty());
}

/* An action that an option asks for, and how many names it takes. */
struct Job {
    bool wanted;
    size_t min, max;
    const char *complaint; /* about more or fewer names */
    Action action;
};

/* No option says what to do: names and settings do. */
Action action_of_names(const CLI::App &app, const Options &o) {
    for (const char *option : {"--resize", "--flush", "--set-cache"}) {
        if (given(app, option) && !attaches_longer(o)) {
            want_names(o, 1, 1, (std::string(option) + ": of which DEVICE, alone?").c_str());
            return Action::kAdjust;
        }
    }
    if (o.names.empty()) {
        return Action::kList;
    }
    want_names(o, 1, 2, "one DEVICE and one IMAGE at a time");
    if (o.names.size() == 2 || !o.userspace.empty()) {
        return Action::kAttach;
    }
    for (const char *option : {"--cow-limit", "--low-space", "--direct-io"}) {
        if (given(app, option)) {
            return Action::kAdjust;
        }
    }
    return Action::kStatus;
}

Action choose_action(const CLI::App &app, const Options &o) {
    constexpr size_t kAny = SIZE_MAX;
    const std::array jobs = {
        Job{o.fork, 1, 1, "--fork: of which DEVICE or IMAGE?", Action::kFork},
        Job{o.reset, 1, 1, "--reset: which DEVICE?", Action::kReset},
        Job{given(app, "--record"), 1, 1, "--record: of which DEVICE?", Action::kRecord},
        Job{given(app, "--stats"), 1, 1, "--stats: of which DEVICE?", Action::kStats},
        Job{given(app, "--snapshot"), 1, 1, "--snapshot: of which DEVICE?", Action::kSnapshot},
        Job{o.takeover, 1, kAny, "--takeover: of which DEVICE, or all?", Action::kTakeover},
        Job{o.detach, 1, kAny, "-d: which DEVICE?", Action::kDetach},
        Job{o.detach_all, 0, 0, "-D takes no DEVICE; -d does", Action::kDetachAll},
        Job{o.find, 0, 1, "-f finds the device by itself: give only an IMAGE",
            o.names.empty() ? Action::kPrintFree : Action::kAttach},
        Job{o.list_wanted || given(app, "-j"), 0, kAny, "", Action::kList},
    };
    const auto job = std::ranges::find_if(jobs, &Job::wanted);
    if (job == jobs.end()) {
        return action_of_names(app, o);
    }
    if (std::ranges::count_if(jobs, &Job::wanted) > 1) {
        throw UsageError(
            "only one of -f, -d, -D, --snapshot, --fork, --reset, --stats, --record, --takeover, "
            "and -l or "
            "-j at a time");
    }
    want_names(o, job->min, job->max, job->complaint);
    return job->action;
}

bool has_meaning(const std::string &group, Action action) {
    const bool attaches = action == Action::kAttach || action == Action::kFork;
    const bool makes_cow = attaches || action == Action::kSnapshot;
    if (group == kAttachGroup) {
        return attaches;
    }
    if (group == kForceGroup) {
        return makes_cow || action == Action::kReset;
    }
    if (group == kForkGroup) {
        return action == Action::kFork;
    }
    if (group == kCowGroup) {
        return makes_cow;
    }
    if (group == kAdjustGroup) {
        return makes_cow || action == Action::kAdjust;
    }
    if (group == kDirectGroup) {
        return action == Action::kAttach || action == Action::kAdjust;
    }
    if (group == kChangeGroup) {
        return action == Action::kAdjust;
    }
    if (group == kDetachGroup) {
        return action == Action::kDetach;
    }
    return group != kListGroup || action == Action::kList || action == Action::kStatus ||
           action == Action::kStats || action == Action::kFork;
}

/* Options that mean nothing for the action are mistakes. */
void check_options(const CLI::App &app, Action action) {
    const bool lists = action == Action::kList || action == Action::kStatus;
    for (const CLI::Option *option : app.get_options()) {
        const std::string &group = option->get_group();
        if (option->count() > 0 && !has_meaning(group, action)) {
            const bool attach = group == kAttachGroup || group == kCowGroup || group == kForceGroup;
            const std::string name = option->get_name(false, true);
            throw UsageError(name.substr(0, name.find('{')) + " has no meaning when " +
                             name_of(action) +
                             (attach && lists ? "; to attach, give DEVICE and IMAGE" : ""));
        }
    }
    for (const char *option : {"-O", "--output-all", "--raw", "-j"}) {
        if ((action == Action::kStats || action == Action::kFork) && given(app, option)) {
            throw UsageError(std::string(option) + " has no meaning when " + name_of(action));
        }
    }
    for (const char *option : {"-r", "--show", "-n"}) {
        if (action == Action::kFork && given(app, option)) {
            throw UsageError(std::string(option) + " has no meaning when " + name_of(action));
        }
    }
    const bool attaches = action == Action::kAttach || action == Action::kFork;
    if (given(app, "-o") && !attaches && !given(app, "-j")) {
        throw UsageError(std::string("-o has no meaning when ") + name_of(action));
    }
}

/* A variable of a script that nobody set: not the same as no option. */
void refuse_empty_values(const CLI::App &app) {
    for (const CLI::Option *option : app.get_options()) {
        const std::vector<std::string> &values = option->results();
        const bool wanted = option->get_type_size() > 0 && option->get_expected_min() > 0;
        if (wanted && std::find(values.begin(), values.end(), "") != values.end()) {
            throw UsageError((option->nonpositional() ? option->get_name() : "a name") +
                             ": is empty");
        }
    }
}

uint64_t size_or_zero(const std::string &text, const char *what) {
    return text.empty() ? 0 : parse_size(text, what);
}

/* Options that say something of a COW want one, of a kind that can do that. */
void check_cow_options(const CLI::App &app, const Options &o) {
    const bool ram = given(app, "--ram");
    const bool adjusts = o.names.size() == 1 && !o.find && o.userspace.empty();
    for (const char *option : {"--cow-format", "--cow-codec", "--cow-level", "--cow-limit",
                               "--low-space", "--force", "--resize"}) {
        if (given(app, option) && o.attach.cows.empty() && !ram && !adjusts) {
            throw UsageError(std::string(option) + ": without -c there is no COW file");
        }
    }
    if (ram && !o.attach.cows.empty()) {
        throw UsageError("--ram or -c, not both");
    }
    for (const char *option : {"--cow-format", "--cow-limit", "--read-only", "--force"}) {
        if (ram && given(app, option)) {
            throw UsageError(std::string("--ram: has no ") + option +
                             (option == std::string("--cow-limit") ? "; write --ram=SIZE" : ""));
        }
    }
    if (!has_cow_settings(o.attach.cow_format)) {
        for (const char *option : {"--cow-codec", "--cow-level", "--cow-limit", "--resize"}) {
            if (given(app, option)) {
                throw UsageError(std::string(option) + ": not for a COW of format " +
                                 o.attach.cow_format);
            }
        }
    }
    for (const char *option : {"--cow-limit", "--resize"}) {
        if (o.attach.read_only && given(app, option)) {
            throw UsageError(std::string(option) + ": with -r nothing is written");
        }
    }
    if (o.same_base && (ram || o.attach.cows.empty() || o.attach.read_only)) {
        throw UsageError("--same-base: writes to the COW file that -c names, and goes without -r");
    }
}

/* FILE[,size=SIZE] is two of the servers' parameters. */
void split_cache(NetParameters &net) {
    constexpr std::string_view kSize = ",size=";
    const std::string whole = net["net-cache"];
    const size_t size = whole.rfind(kSize);
    if (size != std::string::npos) {
        net["net-cache"] = absolute_name(whole.substr(0, size));
        net["net-cache-size"] = whole.substr(size + kSize.size());
    } else if (!whole.empty()) {
        net["net-cache"] = absolute_name(whole);
    }
    if (!net["cacert"].empty()) {
        net["cacert"] = absolute_name(net["cacert"]);
    }
}

/* Parses what concerns an image at a URL, for this process and for a server. */
void settle_net(Options &o) {
    split_cache(o.net);
    o.net["offline"] = o.offline ? "true" : "";
    for (const auto &[key, value] : o.net) {
        if (!value.empty()) {
            set_net_option(net_settings(), key, value);
            o.attach.net.emplace(key, value);
        }
    }
    check_net_settings(net_settings(), "--");
}

/* 0: that of the image. */
uint64_t wanted_size(const Options &o) {
    const uint64_t size = o.resize == kSizeOfImage ? 0 : parse_size(o.resize, "--resize");
    if (size == 0 && o.resize != kSizeOfImage) {
        throw UsageError("--resize=0: a device cannot shrink to nothing");
    }
    return size;
}

/* Checks and parses the strings of the command line. */
void settle(const CLI::App &app, Options &o) {
    refuse_empty_values(app);
    check_choices(app, options_of(o));
    o.attach.offset = size_or_zero(o.offset, "--offset");
    o.attach.sizelimit = size_or_zero(o.sizelimit, "--sizelimit");
    o.attach.cache_bytes = size_or_zero(o.cache, "--cache");
    if (!o.stats.empty()) {
        parse_stats(o.stats, &o.stats_options);
        o.stats_options.json = o.list.json;
        o.stats_options.headings = !o.no_headings;
    }
    o.attach.direct_io = o.direct_io == "on";
    if (!o.userspace.empty() && o.driver_only) {
        throw UsageError("--driver: not with --userspace");
    }
    settle_net(o);
    o.attach.cow = parse_cow_settings(o.cow);
    o.attach.cow.device_size = o.resize.empty() ? 0 : wanted_size(o);
    check_cow_options(app, o);
    o.list.headings = !o.no_headings;
    if (o.list.json && o.list.raw) {
        throw UsageError("--json or --raw, not both");
    }
    if (given(app, "-O") && o.list.all_columns) {
        throw UsageError("-O or --output-all, not both");
    }
}

bool is_named_as_device(const std::string &path) {
    return device_number(path.substr(path.rfind('/') + 1)).has_value();
}

/* Whoever does not learn its name could not detach it. */
void show(Driver &driver, const DeviceRef &device, Streams &streams) {
    errno = 0;
    streams.out << device.path << std::endl;
    if (!streams.out) {
        const Error error =
            io_error("standard output", "cannot write", errno, device.path + " was detached again");
        device.userspace ? detach_userspace(driver, device) : detach(driver, device);
        throw error;
    }
}

/* By the module where it is, else by a server: the user did not choose. */
DeviceRef attach_by_any(Driver &driver, const AttachOptions &options) {
    try {
        return attach(driver, options);
    } catch (const NoModule &e) {
        if (!driver.kernel().superuser()) {
            throw;
        }
        driver.say(e.what());
        try {
            return attach_userspace(driver, options, "auto");
        } catch (const NoWay &none) {
            throw none.with(std::string(e.what()) + "; " + none.what());
        }
    }
}

/* The module's devices have sectors of 512 bytes. */
DeviceRef attach_with_sectors(Driver &driver, const Options &o) {
    if (o.driver_only) {
        throw UsageError("--sector-size " + o.attach.sector_size +
                         ": not by the module; leave --driver away, or write --userspace=ublk");
    }
    return attach_userspace(driver, o.attach, "auto");
}

/* The module cannot fetch anything. */
DeviceRef attach_url(Driver &driver, const Options &o) {
    if (o.driver_only) {
        throw UsageError(
            "--driver: the module reads files and block devices; leave --driver "
            "away, and a server reads " +
            shown_name(o.attach.image));
    }
    return attach_userspace(driver, o.attach, "auto");
}

DeviceRef attach_as_asked(Driver &driver, const Options &o) {
    if (!is_remote(o.attach.image) && !o.attach.net.empty()) {
        throw UsageError("--" + o.attach.net.begin()->first + ": " + o.attach.image +
                         " is not at a URL");
    }
    if (!o.userspace.empty()) {
        return attach_userspace(driver, o.attach, o.userspace);
    }
    if (is_remote(o.attach.image)) {
        return attach_url(driver, o);
    }
    if (!o.attach.sector_size.empty() && o.attach.sector_size != kDriversSectors) {
        return attach_with_sectors(driver, o);
    }
    return o.driver_only ? attach(driver, o.attach) : attach_by_any(driver, o.attach);
}

int do_attach(Driver &driver, Options &o, Streams &streams) {
    if (o.names.size() == 2 && is_named_as_device(o.names.back()) &&
        !is_named_as_device(o.names.front())) {
        throw UsageError("first the DEVICE, then the IMAGE: cloopwsetup " + o.names.back() + " " +
                         o.names.front());
    }
    o.attach.image = without_file_scheme(o.names.back());
    if (is_url(o.attach.image)) {
        check_url(o.attach.image);
    }
    if (o.same_base) {
        adopt_image(o.attach);
    }
    o.attach.device = o.find || o.names.size() == 1 ? "" : o.names.front();
    DeviceRef device = attach_as_asked(driver, o);
    if (o.show) {
        show(driver, device, streams);
    }
    return kExitOk;
}

/* One of the driver's or one without it. */
DeviceRef find_any(Driver &driver, const std::string &name) {
    if (auto device = find_userspace(driver, name)) {
        return *device;
    }
    struct stat st = {};
    const std::string path = driver.kernel().dev() + "/" + name.substr(name.rfind('/') + 1);
    if (!driver.kernel().superuser() && lstat(path.c_str(), &st) == 0 && S_ISLNK(st.st_mode)) {
        throw Error(path + ": is a device without the module, of another user; run this as root",
                    EACCES);
    }
    return driver.find(name, false);
}

DeviceRef find_attached(Driver &driver, const std::string &name) {
    DeviceRef device = find_any(driver, name);
    if (!driver.attached(device)) {
        throw Error(device.path + ": has no image", ENXIO);
    }
    return device;
}

/* For what only the module can do. */
DeviceRef find_of_driver(Driver &driver, const std::string &name, const char *what) {
    DeviceRef device = find_attached(driver, name);
    if (device.userspace) {
        throw Error(
            device.path + ": " + what + " wants the module; detach it, and attach it with --driver",
            EOPNOTSUPP);
    }
    return device;
}

/* The first option that servers cannot do; nullptr: none. */
const char *change_of_driver(const CLI::App &app, const Options &o) {
    const bool of_image = given(app, "--resize") && o.resize == kSizeOfImage;
    return of_image ? "--resize without a size" : nullptr;
}

/* The flush is the last, so that it counts for the others. */
int do_adjust(Driver &driver, const CLI::App &app, const Options &o) {
    const char *change = change_of_driver(app, o);
    DeviceRef device = change == nullptr ? find_attached(driver, o.names.front())
                                         : find_of_driver(driver, o.names.front(), change);
    if (given(app, "--set-cache")) {
        set_cache(driver, device, parse_size(o.set_cache, "--set-cache"));
    }
    if (!o.direct_io.empty()) {
        set_direct_io(driver, device, o.attach.direct_io);
    }
    adjust(driver, device, o.attach.cow);
    if (!o.resize.empty()) { /* a new limit may give it room */
        const uint64_t size = wanted_size(o);
        device.userspace ? resize_userspace(driver, device, size) : resize(driver, device, size);
    }
    if (o.flush) {
        flush(driver, device);
    }
    return kExitOk;
}

uint64_t wanted_forks(const Options &o) {
    uint64_t count = 0;
    const char *end = o.count.data() + o.count.size();
    const auto [rest, code] = std::from_chars(o.count.data(), end, count);
    if (code != std::errc() || rest != end || count == 0 || count > kMostForks) {
        throw UsageError("--count " + o.count + ": must be within 1.." +
                         std::to_string(kMostForks));
    }
    return count;
}

/* Where the forks keep their changes; empty: in memory. */
std::string place_of_forks(const CLI::App &app, const Options &o) {
    if (o.attach.cows.size() > 1) {
        throw UsageError("--fork: one -c alone, for the new COW files; the layers below are found");
    }
    if (o.attach.cows.empty() && !given(app, "--ram")) {
        throw UsageError("--fork: where are the changes to go? -c DIR, -c 'NAME-%.cow' or --ram");
    }
    return o.attach.cows.empty() ? "" : o.attach.cows.front();
}

/* Sets what the forks lie over, and how they are attached. */
void take_base(Driver &driver, Options &o) {
    const std::string &name = o.names.front();
    auto source = find_userspace(driver, name);
    if (!source && is_named_as_device(name)) {
        source = find_attached(driver, name);
    }
    if (!source) {
        o.attach.image = without_file_scheme(name);
        o.attach.cows.clear();
        return;
    }
    const StackOptions base = base_of_device(driver, *source);
    o.attach.image = base.image;
    o.attach.format = base.format;
    o.attach.offset = base.offset;
    o.attach.sizelimit = base.sizelimit;
    o.attach.cows = base.cows;
    if (source->userspace && o.userspace.empty()) {
        o.userspace = source->userspace->state.way;
    }
}

void print_forks(const std::vector<Fork> &forks, bool json, std::ostream &out) {
    Json rows = Json::array();
    for (const Fork &fork : forks) {
        rows.push_back({{"name", fork.device.path}, {"cow", fork.cow}});
        if (!json) {
            out << fork.device.path << '\n';
        }
    }
    if (json) {
        print_json(out, Json{{"forks", std::move(rows)}});
    }
    out.flush();
}

int do_fork(Driver &driver, const CLI::App &app, Options &o, Streams &streams) {
    const uint64_t count = wanted_forks(o);
    const std::string place = place_of_forks(app, o);
    take_base(driver, o);
    if (place.empty() && !o.attach.cows.empty()) {
        throw UsageError("--ram: lies over an image, and " + o.names.front() +
                         " has layers; name a directory with -c");
    }
    const AttachOptions common = o.attach;
    const std::vector<Fork> forks =
        make_forks(driver, common, count, place, [&](const AttachOptions &one) {
            o.attach = one;
            return attach_as_asked(driver, o);
        });
    errno = 0;
    print_forks(forks, o.list.json, streams.out);
    if (!streams.out) {
        const int err = errno;
        const std::string left = take_back(driver, forks);
        throw io_error("standard output", "cannot write", err,
                       left.empty() ? "the forks were taken back" : left);
    }
    return kExitOk;
}

int do_snapshot(Driver &driver, const Options &o) {
    DeviceRef device = find_attached(driver, o.names.front());
    want_elsewhere(driver, device, o.snapshot, o.cow.overwrite);
    if (device.userspace) {
        snapshot_userspace(driver, device, o.snapshot, o.attach.cow);
    } else {
        snapshot(driver, device, o.snapshot, o.attach.cow);
    }
    CowSettings rest = o.attach.cow;
    rest.limit.reset(); /* it was made with that */
    adjust(driver, device, rest);
    return kExitOk;
}

using Finder = std::function<DeviceRef()>; /* may throw Error */

/* One that fails does not keep the others. */
int for_each(const std::vector<Finder> &devices, Streams &streams,
             const std::function<void(const DeviceRef &)> &act) {
    int code = kExitOk;
    for (const Finder &device : devices) {
        try {
            act(device());
        } catch (const Error &e) {
            streams.err << kName << ": " << escaped(e.what()) << '\n';
            code = kExitFailure;
        }
    }
    return code;
}

int do_detach(Driver &driver, const std::vector<Finder> &devices, bool discard, Streams &streams) {
    return for_each(devices, streams, [&](const DeviceRef &device) {
        if (discard) {
            detach_and_discard(driver, device);
            return;
        }
        device.userspace ? detach_userspace(driver, device) : detach(driver, device);
    });
}

void take_over(Driver &driver, const DeviceRef &device, Streams &streams) {
    if (!can_be_taken_over(device)) {
        throw Error(device.path +
                        ": is not served by ublk; --takeover replaces no other server, nor the "
                        "module: detach the device, and attach it again",
                    EOPNOTSUPP);
    }
    streams.out << escaped(device.path + ": " + take_over_userspace(driver, device)) << '\n';
}

int do_record(Driver &driver, const Options &o) {
    record(driver, find_attached(driver, o.names.front()), o.record);
    return kExitOk;
}

std::vector<DeviceRef> attached_devices(Driver &driver) {
    std::vector<DeviceRef> devices;
    for (const DeviceRef &device : driver.devices()) {
        if (driver.attached(device)) {
            devices.push_back(device);
        }
    }
    std::vector<DeviceRef> others = userspace_devices(driver);
    devices.insert(devices.end(), others.begin(), others.end());
    return devices;
}

/* "all" are those that can be taken over. */
int do_takeover(Driver &driver, const Options &o, Streams &streams) {
    std::vector<Finder> devices;
    for (const std::string &name : o.names) {
        if (name != kAll) {
            devices.emplace_back([&driver, name] { return find_attached(driver, name); });
            continue;
        }
        for (const DeviceRef &device : userspace_devices(driver)) {
            if (can_be_taken_over(device) && !device.name.empty()) {
                devices.emplace_back([device] { return device; });
            }
        }
    }
    return for_each(devices, streams,
                    [&](const DeviceRef &device) { take_over(driver, device, streams); });
}

int do_list(Driver &driver, const CLI::App &app, const Options &o, Streams &streams) {
    std::vector<DeviceRef> devices;
    for (const std::string &name : o.names) {
        devices.push_back(find_attached(driver, name));
    }
    if (o.names.empty()) {
        devices = attached_devices(driver);
    }
    if (given(app, "-j")) {
        devices = associated(driver, devices, o.associated);
    }
    if (given(app, "-j") && given(app, "-o")) {
        std::string offset = std::to_string(o.attach.offset);
        auto other = [&](const DeviceRef &device) {
            return driver.attribute(device, "offset") != offset;
        };
        devices.erase(std::remove_if(devices.begin(), devices.end(), other), devices.end());
    }
    list(driver, devices, o.list, streams.out);
    return kExitOk;
}

int do_status(Driver &driver, const CLI::App &app, Options &o, Streams &streams) {
    DeviceRef device = find_attached(driver, o.names.front());
    bool columns = given(app, "-O");
    if (columns || o.list.json || o.list.raw || o.list.all_columns) {
        o.list.all_columns = !columns;
        list(driver, {device}, o.list, streams.out);
    } else {
        print_status(driver, device, streams.out);
    }
    return kExitOk;
}

/* "--resize 4G DEVICE" is "--resize=4G DEVICE". */
void take_size_from_names(Options &o) {
    if (o.resize == kSizeOfImage && o.names.size() == 2 &&
        std::isdigit(static_cast<unsigned char>(o.names.front()[0])) != 0) {
        o.resize = o.names.front();
        o.names.erase(o.names.begin());
    }
}

int run(const CLI::App &app, Options &o, Streams &streams, Kernel &kernel) {
    take_size_from_names(o);
    Action action = choose_action(app, o);
    check_options(app, action);
    settle(app, o);
    Driver driver(kernel, [&](const std::string &text) {
        if (o.verbose) {
            streams.err << kName << ": " << escaped(text) << '\n';
        }
    });
    std::vector<Finder> devices;
    switch (action) {
        case Action::kAttach:
            return do_attach(driver, o, streams);
        case Action::kPrintFree:
            streams.out << driver.find_free().path << '\n';
            return kExitOk;
        case Action::kSnapshot:
            return do_snapshot(driver, o);
        case Action::kTakeover:
            return do_takeover(driver, o, streams);
        case Action::kFork:
            return do_fork(driver, app, o, streams);
        case Action::kReset:
            reset(driver, find_attached(driver, o.names.front()), o.attach.cow.overwrite);
            return kExitOk;
        case Action::kDetach:
            for (const std::string &name : o.names) {
                devices.emplace_back([&driver, name] { return find_any(driver, name); });
            }
            return do_detach(driver, devices, o.discard_changes, streams);
        case Action::kDetachAll:
            for (const DeviceRef &device : attached_devices(driver)) {
                devices.emplace_back([device] { return device; });
            }
            return do_detach(driver, devices, false, streams);
        case Action::kAdjust:
            return do_adjust(driver, app, o);
        case Action::kStats:
            print_stats(driver, find_attached(driver, o.names.front()), o.stats_options,
                        streams.out);
            return kExitOk;
        case Action::kRecord:
            return do_record(driver, o);
        case Action::kStatus:
            return do_status(driver, app, o, streams);
        case Action::kList:
            break;
    }
    return do_list(driver, app, o, streams);
}

}  // namespace

OptionTable cloopwsetup_options() {
    static Options options;
    return options_of(options);
}

int cloopwsetup(const Args &args, Streams &streams, Kernel &kernel) {
    return run_tool(kName, streams, [&] {
        CLI::App app{"", kName};
        Options options;
        app.add_option("names", options.names);
        declare(app, options_of(options), [&]() -> std::string {
            Driver driver(kernel, [](const std::string &) {});
            return given(app, "-v") ? "\n" + module_text(driver) : "";
        });
        if (!parse_args(app, args, streams)) {
            return static_cast<int>(kExitOk);
        }
        return run(app, options, streams, kernel);
    });
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "userspace.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/core.h"
#include "lib/cow/image_facts.h"
#include "lib/cow/open_top.h"
#include "lib/cow/refusal.h"
#include "lib/error.h"
#include "lib/net/url.h"
#include "lib/octal.h"
#include "lib/uuid.h"
#include "server.h"
#include "tools/cloopwsetup/change.h"
#include "tools/cloopwsetup/detach.h"
#include "tools/common/error.h"
#include "tools/common/table.h"
#include "way.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr const char *kAuto = "auto";
constexpr const char *kMemory = "memory"; /* for the name of a COW */
constexpr milliseconds kReady(2000);
constexpr milliseconds kCleared(3 * 60 * 1000); /* a server is given time to store */

bool is_numbered(const std::string &name, const std::string &prefix) {
    return name.size() > prefix.size() && name.compare(0, prefix.size(), prefix) == 0 &&
           name.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
}

std::string last_part(const std::string &path) { return path.substr(path.rfind('/') + 1); }

const UserspaceWay *way_by_name(const std::string &name) {
    for (const UserspaceWay *way : userspace_ways()) {
        if (name == way->name) {
            return way;
        }
    }
    return nullptr;
}

/* ---- the request ---- */

/* The device: a node of a way's, or a name of the driver's that becomes a link. */
struct Wanted {
    const UserspaceWay *way = nullptr; /* nullptr: any */
    std::string node;                  /* empty: any */
    std::string link;                  /* empty: none */
};

Wanted parse_device(Driver &driver, const std::string &device) {
    Wanted wanted;
    if (device.empty()) {
        return wanted;
    }
    const std::string name = last_part(device);
    const std::string path = driver.kernel().dev() + "/" + name;
    for (const UserspaceWay *way : userspace_ways()) {
        if (is_numbered(name, way->prefix)) {
            wanted.way = way;
            wanted.node = path;
            return wanted;
        }
    }
    if (!device_number(name)) {
        throw UsageError(device +
                         ": not a device for --userspace; name a /dev/loopN, a /dev/nbdN, "
                         "or a /dev/cloopwN that becomes a link to one; or none");
    }
    wanted.link = path;
    return wanted;
}

void check_link(Driver &driver, const std::string &link) {
    struct stat st = {};
    if (link.empty() || lstat(link.c_str(), &st) != 0) {
        return;
    }
    if (!S_ISLNK(st.st_mode)) {
        throw Error(link + ": is a device of the driver's; leave --userspace away to use it",
                    EEXIST);
    }
    if (auto owner = find_userspace(driver, link)) {
        throw Error(
            link + ": is in use: " + from_octal(owner->userspace->state.attributes.at("image")) +
                "; detach it with 'cloopwsetup -d " + link + "'",
            EBUSY);
    }
    std::error_code code;
    throw Error(link + ": leads to " + fs::read_symlink(link, code).string() +
                    " and was not made by this program; remove it or name another",
                EEXIST);
}

/* The first way that can be gone. Throws Error with what each of them is in want of. */
const UserspaceWay &choose_way(Driver &driver, const UserspaceWay *only) {
    std::string reasons;
    for (const UserspaceWay *way : userspace_ways()) {
        if (only != nullptr && way != only) {
            continue;
        }
        std::string missing = way->server->missing();
        if (missing.empty()) {
            missing = way->missing(driver);
        }
        if (missing.empty()) {
            return *way;
        }
        driver.say(std::string(way->name) + ": " + missing);
        reasons.append(reasons.empty() ? "" : "; ").append(way->name).append(": ").append(missing);
    }
    throw NoWay("cannot attach without the driver: " + reasons, ENOSYS);
}

/* ---- the present devices ---- */

/* Where root's are, and for others where their own are, too. */
std::vector<std::string> roots(Driver &driver) {
    std::vector<std::string> found = {driver.kernel().run_dir()};
    const char *own = getenv("XDG_RUNTIME_DIR");
    if (!found.front().empty() && !driver.kernel().superuser() && own != nullptr) {
        found.insert(found.begin(), std::string(own) + "/cloopw");
    }
    return found;
}

bool is_attached(Driver &driver, const UserspaceState &state) {
    const UserspaceWay *way = way_by_name(state.way);
    return way != nullptr && way->attached(driver, state);
}

/*
 * The driver's word for it. The server itself says "ok" and so on. "not answering": it
 * says nothing. "failed": a part of it has ended. "incomplete": there is no device.
 */
std::string state_of(Driver &driver, const UserspaceState &state, const std::string &server) {
    if (!state.complete || !is_attached(driver, state)) {
        return "incomplete";
    }
    const bool needs_client = state.way == kFuseWay.name;
    if (!is_alive(serving_process(state)) || (needs_client && !is_alive(state.client))) {
        return "failed";
    }
    const bool waits = server.empty() || (needs_client && is_stopped(state.client));
    return waits ? "not answering" : server;
}

DeviceRef device_of(Driver &driver, const UserspaceState &state) {
    auto device = std::make_shared<UserspaceDevice>();
    device->state = state;
    device->attributes = state.attributes;
    std::map<std::string, std::string> live = server_status(state);
    device->attributes["state"] = state_of(driver, state, live["state"]);
    live.erase("state");
    if (state.attributes.count("cow") > 0 && state.attributes.at("cow") == kMemory) {
        live.erase("cow"); /* its descriptor is not for people */
    }
    for (const auto &[key, value] : live) {
        device->attributes[key] = value;
    }
    const bool has_device = is_attached(driver, state);
    const std::string path = !state.link.empty() ? state.link : state.node;
    return {-1, has_device ? state.node_name() : "", has_device ? path : state.dir, device};
}

/* Without a state file, all that is known is that somebody began. */
UserspaceState state_in(const std::string &dir) {
    auto state = read_state(dir);
    if (!state) {
        state.emplace();
        state->dir = dir;
    }
    return *state;
}

/* ---- the end ---- */

void remove_link(const UserspaceState &state) {
    std::error_code code;
    if (!state.link.empty() && fs::read_symlink(state.link, code) == state.node) {
        unlink(state.link.c_str());
    }
}

/* Ends whatever there is of it. Throws Error; all but a device in use is ended then. */
void end_attachment(Driver &driver, const StateLock &lock) {
    const UserspaceState state = state_in(lock.dir());
    const UserspaceWay *way = way_by_name(state.way);
    const bool served = is_alive(serving_process(state));
    const uintmax_t said = end_of_log(state);
    continue_server(state);
    go_on(state.client);
    const int lost = way != nullptr ? way->detach(driver, state) : 0;
    remove_link(state);
    const std::string name = state.node.empty() ? state.dir : state.node;
    try {
        stop_server(state, said);
    } catch (const Error &e) {
        if (!is_alive(serving_process(state))) {
            lock.remove();
        }
        throw e.with(name + ": detached, but: " + e.what());
    }
    try {
        lock.remove();
    } catch (const Error &e) {
        throw e.with(name + ": detached, but " + e.what());
    }
    if (lost != 0 || (state.complete && !served)) {
        throw Error(name + ": detached, but not all that was written could be stored: " +
                        (served ? errno_text(lost) : "its server had ended before") +
                        "; flushed data is there",
                    EIO);
    }
}

/* A program that was killed while it attached, a device that others detached. */
bool is_leftover(Driver &driver, const UserspaceState &state) {
    return !state.complete || !is_attached(driver, state);
}

bool uses_one_of(const UserspaceState &state, const std::vector<std::string> &cows) {
    auto used = state.attributes.find("cow");
    if (used == state.attributes.end()) {
        return false;
    }
    std::istringstream names(used->second);
    for (std::string name; std::getline(names, name);) {
        if (std::any_of(cows.begin(), cows.end(), [&](const std::string &cow) {
                std::error_code code;
                return fs::equivalent(from_octal(name), cow, code);
            })) {
            return true;
        }
    }
    return false;
}

/* While it is locked. One that is just being made has a maker, who is alive. */
bool is_being_cleared(const UserspaceState &state) {
    return state.complete || !is_alive(state.maker);
}

/*
 * Others may be clearing it away, or detaching it. A program that wants its COW files
 * waits for that, and not for one that is being attached. A program that was killed may
 * leave a child that has not begun yet and holds the lock for a moment.
 */
std::optional<StateLock> take_leftover(Driver &driver, const std::string &dir,
                                       const std::vector<std::string> &cows) {
    std::optional<StateLock> lock;
    wait_until(driver, kCleared, [&] {
        lock = StateLock::take(dir, false);
        const UserspaceState state = state_in(dir);
        return lock || !is_being_cleared(state) || !uses_one_of(state, cows);
    });
    return lock;
}

void clear_leftovers(Driver &driver, const std::vector<std::string> &cows) {
    for (const std::string &root : roots(driver)) {
        for (const std::string &dir : state_dirs(root)) {
            auto lock = take_leftover(driver, dir, cows);
            if (!lock || !is_leftover(driver, state_in(dir))) {
                continue;
            }
            try {
                end_attachment(driver, *lock);
            } catch (const Error &e) {
                driver.say(dir + ": " + e.what());
            }
        }
    }
}

/* ---- the beginning ---- */

std::map<std::string, std::string> constant_attributes(const AttachOptions &options,
                                                       const ImageFacts &image) {
    std::error_code code;
    std::string cows;
    for (const std::string &cow : options.cows) {
        cows.append(cows.empty() ? "" : "\n").append(to_octal(fs::absolute(cow, code).string()));
    }
    if (options.cow.ram) {
        cows = kMemory;
    }
    return {{"image", to_octal(shown_name(absolute_name(options.image)))},
            {"image_format", image.format},
            {"size", std::to_string(image.size)},
            {"cow", cows},
            {"offset", std::to_string(options.offset)},
            {"sizelimit", std::to_string(options.sizelimit)},
            {"read_only", options.read_only || cows.empty() ? "1" : "0"},
            {"uuid", format_uuid(image.uuid.data())}};
}

void make_link(UserspaceState *state, const std::string &link) {
    if (link.empty()) {
        return;
    }
    state->link = link;
    write_state(*state);
    if (symlink(state->node.c_str(), link.c_str()) != 0) {
        throw io_error(link, "cannot be made", errno,
                       errno == EACCES || errno == EPERM ? "run this as root" : "");
    }
}

void wait_until_ready(Driver &driver, const UserspaceState &state) {
    auto has_size = [&] {
        const std::string size = node_attribute(driver, state, "size");
        return !size.empty() && size != "0";
    };
    if (!wait_until(driver, kReady, has_size)) {
        throw Error(state.node + ": was attached, but has no size; 'tail " + state.log() +
                        "' may tell more",
                    EIO);
    }
}

/* 0: the usual ones. */
uint32_t sectors_of(const AttachOptions &options) {
    return options.sector_size.empty() ? 0 : static_cast<uint32_t>(std::stoul(options.sector_size));
}

void check_way(const AttachOptions &options, const UserspaceWay &way) {
    if (!options.cow.low_space.empty() && !way.has_low_space) {
        throw UsageError(std::string("--low-space: not by ") + way.name +
                         ", whose server can tell nobody; the module and ublk can");
    }
    if (sectors_of(options) > CW_SECTOR_SIZE && !way.has_sector_size) {
        throw UsageError("--sector-size " + options.sector_size + ": not by " + way.name +
                         "; --userspace=ublk and --userspace=fuse can");
    }
}

/* Bytes of the device: of the COW, when that has grown or is to grow, else of the image. */
uint64_t device_size(const AttachOptions &options, const ImageFacts &image,
                     const std::vector<CowLayer> &layers) {
    if (options.cow.device_size != 0) {
        return options.cow.device_size;
    }
    return layers.empty() ? image.size : layers.front().size;
}

void check_sectors(const AttachOptions &options, uint64_t size) {
    const uint32_t bytes = sectors_of(options);
    if (bytes != 0 && size % bytes != 0) {
        throw Error(shown_name(options.image) + ": the device's " + std::to_string(size) +
                        " bytes are not a multiple of --sector-size " + options.sector_size +
                        "; --resize=SIZE with a COW makes it longer, or leave the option away",
                    EINVAL);
    }
}

/* Everything after the directory is made. */
void build(Driver &driver, UserspaceState *state, const AttachOptions &options,
           const ImageFacts &image, const UserspaceWay &way, const Wanted &wanted) {
    const bool read_only = state->attributes.at("read_only") == "1";
    const NodeRequest request = {wanted.node, read_only, options.partscan, sectors_of(options)};
    start_server(driver, *state, options, image, way, request);
    way.attach(driver, *state, request);
    wait_until_ready(driver, *state);
    if (!options.cow.low_space.empty()) {
        order_server(*state, {{"do", "set"}, {"low_space", options.cow.low_space}});
    }
    make_link(state, wanted.link);
    state->complete = true;
    write_state(*state);
}

/* The device and the way that the user names. */
Wanted wanted_of(Driver &driver, const AttachOptions &options, const std::string &way) {
    Wanted wanted = parse_device(driver, options.device);
    if (way != kAuto) {
        const UserspaceWay *named = way_by_name(way);
        if (wanted.way != nullptr && wanted.way != named) {
            throw UsageError("--userspace=" + way + ": does not make " + options.device);
        }
        wanted.way = named;
    }
    if (wanted.way != nullptr) {
        check_way(options, *wanted.way);
    }
    return wanted;
}

}  // namespace

DeviceRef attach_userspace(Driver &driver, const AttachOptions &options, const std::string &way) {
    const Wanted wanted = wanted_of(driver, options, way);
    const ImageFacts image =
        inspect_image(options.image, options.format, options.offset, options.sizelimit);
    const UserspaceWay &chosen = choose_way(driver, wanted.way);
    check_way(options, chosen);
    clear_leftovers(driver, options.cows);
    check_link(driver, wanted.link);

    const CowFile top = check_given(options);
    const std::vector<CowLayer> layers = find_layers(options, top != CowFile::kThere, image.st);
    const uint64_t size = device_size(options, image, layers);
    check_sectors(options, size);
    NewCow made;
    StateLock lock = StateLock::create(roots(driver).front());
    UserspaceState state;
    state.dir = lock.dir();
    state.way = chosen.name;
    state.maker = process_of(getpid());
    state.attributes = constant_attributes(options, image);
    try {
        write_state(state);
        if (top != CowFile::kThere) {
            make_top(options, image, top, layers, made);
        } else if (options.cow.device_size != 0 && !options.cows.empty()) {
            grow_layers(options, options.cow.device_size);
        }
        build(driver, &state, options, image, chosen, wanted);
        made.keep();
    } catch (const Error &e) {
        try {
            end_attachment(driver, lock);
        } catch (const Error &end) {
            driver.say(end.what());
        }
        throw;
    }
    driver.say(state.node + ": attached " + shown_name(options.image) + ", " + image.format + ", " +
               std::to_string(size) + " bytes, by " + chosen.name);
    DeviceRef device = device_of(driver, state);
    if (options.direct_io) {
        say_direct_io(driver, device);
    }
    return device;
}

std::vector<DeviceRef> userspace_devices(Driver &driver) {
    std::vector<DeviceRef> devices;
    for (const std::string &root : roots(driver)) {
        for (const std::string &dir : state_dirs(root)) {
            const UserspaceState state = state_in(dir);
            if (!state.complete && !StateLock::take(dir, false)) {
                continue; /* somebody is at it */
            }
            devices.push_back(device_of(driver, state));
        }
    }
    return devices;
}

std::optional<DeviceRef> find_userspace(Driver &driver, const std::string &name) {
    auto has_name = [&](const DeviceRef &device) {
        const UserspaceState &state = device.userspace->state;
        const std::vector<std::string> names = {state.node, state.link, state.dir};
        return std::any_of(names.begin(), names.end(), [&](const std::string &own) {
            return !own.empty() && (name == own || driver.kernel().dev() + "/" + name == own);
        });
    };
    std::vector<DeviceRef> devices = userspace_devices(driver);
    /* The device of a leftover may be another's by now. */
    std::stable_partition(devices.begin(), devices.end(),
                          [](const DeviceRef &device) { return !device.name.empty(); });
    auto found = std::find_if(devices.begin(), devices.end(), has_name);
    return found != devices.end() ? std::optional(*found) : std::nullopt;
}

void detach_userspace(Driver &driver, const DeviceRef &device) {
    auto lock = StateLock::take(device.userspace->state.dir, true);
    if (!lock) {
        throw Error(device.path + ": cannot detach: has no image", ENXIO);
    }
    end_attachment(driver, *lock);
    driver.say(device.path + ": detached");
}

int set_userspace_attribute(const DeviceRef &device, const std::string &name,
                            const std::string &text) {
    if (name != "cow_limit" && name != "cache_limit" && name != "low_space" && name != "dio") {
        return -EOPNOTSUPP;
    }
    try {
        order_server(device.userspace->state, {{"do", "set"}, {name, text}});
        return 0;
    } catch (const Error &e) {
        if (e.err() == 0 || e.code() == kServerLost || name == "dio") {
            throw e.with(device.path + ": " + e.what());
        }
        return -e.err();
    }
}

void snapshot_userspace(Driver &driver, const DeviceRef &device, const std::string &path,
                        const CowSettings &settings) {
    const std::string whole = fs::absolute(path).string();
    Json order = {{"do", "snapshot"}, {"path", whole}, {"overwrite", settings.overwrite}};
    if (settings.codec != nullptr) {
        order["codec"] = settings.codec->name;
    }
    if (settings.level) {
        order["level"] = *settings.level;
    }
    if (settings.limit) {
        order["limit"] = std::to_string(*settings.limit);
    }
    auto lock = StateLock::take(device.userspace->state.dir, true);
    auto state = lock ? read_state(lock->dir()) : std::nullopt;
    if (!state) {
        throw Error(device.path + ": has no image", ENXIO);
    }
    try {
        order_server(*state, order);
    } catch (const Error &e) {
        throw with_remedy(e.with(device.path + ": no snapshot: " + e.what()));
    }
    state->attributes["cow"] = to_octal(whole) + "\n" + state->attributes["cow"];
    try {
        write_state(*state);
    } catch (const Error &e) { /* the server tells the list what it uses */
        cw_log_bad("cloopwsetup: warning: the snapshot is made, but %s", e.what());
    }
    driver.say(device.path + ": writes to " + path + " now");
}

void resize_userspace(Driver &driver, const DeviceRef &device, uint64_t size) {
    Json answer;
    try {
        answer = order_server(device.userspace->state,
                              {{"do", "resize"}, {"size", std::to_string(size)}});
    } catch (const Error &e) {
        throw with_remedy(e.with(device.path + ": not resized: " + e.what()));
    }
    if (answer.contains("unfinished")) {
        throw Error(device.path + ": " + answer.value("unfinished", ""), EIO);
    }
    driver.say(device.path + ": has " + std::to_string(size) + " bytes now");
}

bool can_be_taken_over(const DeviceRef &device) {
    return device.userspace && device.userspace->state.way == kUblkWay.name;
}

std::string take_over_userspace(Driver &driver, const DeviceRef &device) {
    auto lock = StateLock::take(device.userspace->state.dir, true);
    const auto state = lock ? read_state(lock->dir()) : std::nullopt;
    if (!state) {
        throw Error(device.path + ": has no image", ENXIO);
    }
    try {
        return take_over_server(driver, *state);
    } catch (const Error &e) {
        throw e.with(device.path + ": not taken over: " + e.what());
    }
}

/* A client may have cached what the device showed before. */
static void forget_cached(const UserspaceState &state) {
    for (const UserspaceWay *way : userspace_ways()) {
        if (state.way == way->name && way->forget != nullptr) {
            way->forget(state);
        }
    }
}

/* A server that answers too late has reset it all the same. */
void reset_userspace(Driver &driver, const DeviceRef &device) {
    const UserspaceState &state = device.userspace->state;
    try {
        order_server(state, {{"do", "reset"}});
    } catch (const Error &e) {
        forget_cached(state);
        throw with_remedy(e.with(device.path + ": not reset: " + e.what()));
    }
    forget_cached(state);
    driver.say(device.path + ": its server has forgotten the changes");
}

FirstReads first_reads_userspace(const DeviceRef &device, uint64_t from) {
    const Json answer = order_server(device.userspace->state, {{"do", "recorded"}, {"from", from}});
    FirstReads reads;
    reads.block_size = answer.value("block_size", uint64_t{0});
    for (const Json &read : answer.value("reads", Json::array())) {
        reads.reads.push_back({read.at(0).get<uint64_t>(), read.at(1).get<uint64_t>()});
    }
    return reads;
}

Names userspace_way_names() {
    Names names = {kAuto};
    for (const UserspaceWay *way : userspace_ways()) {
        names.emplace_back(way->name);
    }
    return names;
}

}  // namespace cloopw

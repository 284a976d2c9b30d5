// SPDX-License-Identifier: GPL-2.0
#include "orders.h"

#include <cerrno>
#include <climits>
#include <nlohmann/json.hpp>

#include "lib/cow/lock.h"
#include "lib/cow/open_top.h"
#include "lib/error.h"
#include "lib/size.h"
#include "served.h"
#include "status.h"

namespace cloopw {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const Json &answer) {
    return answer.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

/* The field's text; empty: it is not there. */
std::string text_in(const Json &order, const char *key) {
    const auto found = order.find(key);
    if (found == order.end()) {
        return "";
    }
    if (!found->is_string()) {
        throw Error(std::string(key) + ": is not text", EINVAL);
    }
    return found->get<std::string>();
}

LowSpace low_space_in(const std::string &text, const SpaceWatch &watch) {
    if (!watch.can_tell()) {
        throw Error(std::string("low_space: ") + kNobodyIsTold, ENOTTY);
    }
    return parse_low_space(text, "low_space");
}

/* All are understood before one is set. */
void set(Device &device, const Json &order, Remembers &memory, SpaceWatch &watch) {
    const std::string limit = text_in(order, "cow_limit");
    const std::string cache = text_in(order, "cache_limit");
    const std::string low = text_in(order, "low_space");
    const std::string direct = text_in(order, "dio");
    const u64 limit_bytes = limit.empty() ? 0 : parse_size(limit, "cow_limit");
    const u64 cache_bytes = cache.empty() ? 0 : parse_size(cache, "cache_limit");
    const LowSpace mark = low.empty() ? watch.mark() : low_space_in(low, watch);
    const int err = limit.empty() ? 0 : cw_device_set_limit(&device.get(), limit_bytes);
    if (err != 0) {
        throw io_error("cow_limit", "cannot be set", err);
    }
    if (!cache.empty()) {
        memory.set_cache(cache_bytes);
        cw_cache_set_limit(cw_device_cache(&device.get()), cache_bytes);
    }
    if (!low.empty()) {
        memory.set_low_space(mark);
        watch.set_mark(mark);
    }
    if (!direct.empty()) {
        const bool wanted = direct == "1";
        set_direct_io(device, wanted);
        memory.set_direct_io(wanted);
    }
}

CowSettings settings_in(const Json &order) {
    CowArguments arguments;
    arguments.codec = text_in(order, "codec");
    arguments.limit = text_in(order, "limit");
    if (order.contains("level")) {
        arguments.level = order.at("level").get<int>();
    }
    arguments.overwrite = order.value("overwrite", false);
    return parse_cow_settings(arguments);
}

CowBase base_for_snapshot(const Device &device) {
    const bool has_cow = device.info().nr_layers != 0 && device.info().writable;
    const std::string top = has_cow ? cw_device_layer_name(&device.get(), 0) : "";
    if (top.rfind("/proc/", 0) == 0) {
        throw Error("a COW in memory ends with its server, and cannot be frozen", EOPNOTSUPP);
    }
    return base_of_new_layer("the device", top, device.size());
}

void snapshot(Device &device, const Json &order, Remembers &memory) {
    const std::string path = text_in(order, "path");
    if (path.empty() || path.front() != '/') {
        throw Error("snapshot: wants the whole path of the new COW file", EINVAL);
    }
    const CowSettings settings = settings_in(order);
    const CowFile what = check_new_layer(path, settings);
    NewCow made;
    made.create(path, what, layer_cow_format(), base_for_snapshot(device), settings);
    Io layer = Io::open(path, Io::Mode::kReadWrite);
    lock_cow(layer.fd(), path, true);
    memory.push_top(path);
    try {
        device.snapshot(std::move(layer));
    } catch (const Error &) {
        memory.pop_top();
        throw;
    }
    made.keep();
}

/* The answer. The COW keeps the new size before the block device shows it. */
Json resize(Device &device, const Json &order, Remembers &memory) {
    const u64 size = parse_size(text_in(order, "size"), "resize");
    if (size == 0) {
        throw Error("resize: a device cannot shrink to nothing", EINVAL, CLOOPW_R_SHRINK);
    }
    memory.want_resizable();
    device.grow(size);
    try {
        memory.show_size(size);
    } catch (const Error &e) {
        return {{"ok", true},
                {"unfinished", "the COW has " + std::to_string(size) +
                                   " bytes now, but the block device shows its old size until it "
                                   "is detached and attached again: " +
                                   e.what()}};
    }
    return {{"ok", true}};
}

void take_over(const Json &order, Remembers &memory) {
    const std::string program = text_in(order, "program");
    if (program.empty() || program.front() != '/' || program.size() >= PATH_MAX) {
        throw Error("takeover: wants the whole path of the program", EINVAL);
    }
    memory.take_over(program);
}

/* Some of them; the client asks until there are no more. */
Json recorded(const Device &device, const Json &order) {
    constexpr u32 kMost = 4096;
    cw_recorder *recorder = device.image().recorder;
    if (recorder == nullptr) {
        throw Error("a raw image has no blocks whose reads could be recorded", EOPNOTSUPP);
    }
    std::vector<cw_first_read> reads(kMost);
    reads.resize(cw_recorder_get(recorder, order.value("from", u64{0}), kMost, reads.data()));
    Json list = Json::array();
    for (const cw_first_read &read : reads) {
        list.push_back({read.block, read.ms});
    }
    return {{"ok", true}, {"block_size", device.image().block_size}, {"reads", list}};
}

}  // namespace

void Remembers::want_resizable() {
    throw Error(
        "this kind of device learns its size only once: detach it, and attach it with "
        "--resize=SIZE",
        EOPNOTSUPP);
}

void Remembers::take_over(const std::string & /*program*/) {
    throw Error(
        "only a server of ublk can be replaced while its device is in use; detach the device, and "
        "attach it again",
        EOPNOTSUPP);
}

std::string carry_out(Device &device, const std::string &line, Remembers &memory,
                      SpaceWatch &watch) {
    Json answer = {{"ok", true}};
    try {
        const Json order = Json::parse(line);
        const std::string what = order.is_object() ? text_in(order, "do") : "";
        if (what == "status") {
            return status_text(device, watch);
        }
        if (what == "set") {
            set(device, order, memory, watch);
        } else if (what == "snapshot") {
            snapshot(device, order, memory);
        } else if (what == "resize") {
            answer = resize(device, order, memory);
        } else if (what == "reset") {
            device.reset();
        } else if (what == "recorded") {
            answer = recorded(device, order);
        } else if (what == "takeover") {
            take_over(order, memory);
        } else {
            throw Error("there is no order '" + what + "'", EOPNOTSUPP);
        }
    } catch (const Error &e) {
        answer = {{"error", e.what()}, {"errno", e.err()}};
        if (const char *code = cw_reason_name(e.code())) {
            answer["code"] = code;
        }
    } catch (const Json::exception &) {
        answer = {{"error", "is not an order in JSON"}, {"errno", EINVAL}};
    } catch (const std::exception &e) {
        answer = {{"error", e.what()}, {"errno", ENOMEM}};
    }
    return line_of(answer);
}

std::string refuse_order() {
    return line_of(
        {{"error", "only root and the user of the server may give orders"}, {"errno", EPERM}});
}

}  // namespace cloopw

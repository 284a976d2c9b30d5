// SPDX-License-Identifier: GPL-2.0
#include "status.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <chrono>
#include <cstdio>

#include "lib/cow/lock.h"
#include "lib/escape.h"
#include "lib/net/source.h"
#include "lib/octal.h"
#include "lib/same_file.h"
#include "lib/uuid.h"

namespace cloopw {
namespace {

using Json = nlohmann::ordered_json; /* keeps the order */

constexpr int kTendMs = 2000; /* the driver's interval */
constexpr int kBacklog = 8;
constexpr std::chrono::milliseconds kNoClient(100);

std::string quotient(u64 whole, u64 part) {
    constexpr u64 kHundredths = 100;
    return part == 0 ? ""
                     : fmt::format("{}.{:02}", whole / part, whole % part * kHundredths / part);
}

std::string codecs_of(const cw_image &image) {
    std::string names;
    for (unsigned int id = 0; id < CW_CODEC_IDS; id++) {
        const cw_codec *codec = cw_codec_by_id(id);
        if (codec != nullptr && (image.codecs & CW_CODEC_BIT(id)) != 0) {
            names.append(names.empty() ? "" : " ").append(codec->name);
        }
    }
    return names;
}

/* The kernel adds the same word to the name of a file that has lost it. */
std::string name_of(const cw_io &io) {
    const int fd = cw_fd_io_fd(&io);
    const bool lost = fd >= 0 && !has_name(fd, io.name);
    return to_octal(io.name) + (lost ? " (deleted)" : "");
}

void add_image(Json *json, const cw_image &image) {
    const auto mode = cw_fd_io_direct_mode(image.io);
    (*json)["image"] = name_of(*image.io);
    (*json)["image_format"] = image.format->name;
    (*json)["block_size"] = std::to_string(image.block_size);
    (*json)["stored_bytes"] = std::to_string(image.stored_bytes);
    (*json)["ratio"] = quotient(image.size, image.stored_bytes);
    (*json)["codecs"] = codecs_of(image);
    (*json)["dio"] = mode == CW_DIRECT_ON ? "1" : "0";
    (*json)["drop_behind"] = mode == CW_DIRECT_DROP ? "1" : "0";
    (*json)["label"] = escaped(image.label);
    (*json)["uuid"] = format_uuid(image.uuid);
}

void add_layers(Json *json, cw_device *device, u32 nr) {
    const cw_layers *layers = cw_device_layers(device);
    std::string files;
    std::string formats;
    for (u32 i = 0; i < nr; i++) {
        files.append(i == 0 ? "" : "\n").append(name_of(*layers->layer[i]->io));
        formats.append(i == 0 ? "" : "\n").append(cw_device_layer_format(device, i));
    }
    (*json)["cow"] = files;
    (*json)["cow_format"] = formats;
}

void add_cow(Json *json, const Device &device) {
    const cw_cow_stat cow = device.stats().cow;
    cw_cow_space space = {};
    cw_device_get_space(&device.get(), &space);
    const u64 available = cw_cow_available(&space, cw_device_capacity(&device.get()));
    (*json)["cow_live_bytes"] = std::to_string(cow.live_bytes);
    (*json)["cow_dead_bytes"] = std::to_string(cow.dead_bytes);
    (*json)["cow_total_bytes"] = std::to_string(cow.total_bytes);
    (*json)["cow_ratio"] = quotient(cow.plain_bytes, cow.live_bytes);
    (*json)["cow_limit"] = std::to_string(space.limit);
    (*json)["cow_available"] = available == CW_CAPACITY_UNKNOWN ? "" : std::to_string(available);
}

void add_traffic(Json *json, const Device &device) {
    const cw_device_stats stats = device.stats();
    (*json)["cache_bytes"] = std::to_string(stats.cache.bytes);
    (*json)["cache_limit"] = std::to_string(stats.cache.limit);
    (*json)["cache_hits"] = std::to_string(stats.cache.hits);
    (*json)["cache_misses"] = std::to_string(stats.cache.misses);
    (*json)["read_errors"] = std::to_string(stats.read_errors);
    (*json)["write_errors"] = std::to_string(stats.write_errors);
}

/* Nothing for an image of this machine. */
void add_net(Json *json, const cw_io &io) {
    if (const auto stats = net_stats(io)) {
        (*json)["net_requests"] = std::to_string(stats->requests);
        (*json)["net_fetched_bytes"] = std::to_string(stats->fetched_bytes);
        (*json)["net_cache_hits"] = std::to_string(stats->cache_hits);
        (*json)["net_saved_bytes"] = std::to_string(stats->saved_bytes);
    }
}

/* A socket that nobody listens on any more, as a server leaves it that was killed. */
bool is_left_over(const sockaddr_un &address) {
    struct stat st = {};
    if (lstat(address.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool refused =
        fd >= 0 &&
        connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0 &&
        errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* 0 or errno */
int bind_to(int fd, const sockaddr_un &address) {
    const auto *name = reinterpret_cast<const sockaddr *>(&address);
    if (bind(fd, name, sizeof(address)) == 0) {
        return 0;
    }
    if (errno != EADDRINUSE || !is_left_over(address) || unlink(address.sun_path) != 0) {
        return errno;
    }
    return bind(fd, name, sizeof(address)) == 0 ? 0 : errno;
}

/* Its clients write there, too: all of it goes when it is too much. */
void cut_log() {
    constexpr off_t kMost = off_t{1} << 20;
    struct stat st = {};
    if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > kMost &&
        ftruncate(STDERR_FILENO, 0) == 0) {
        (void)fprintf(stderr, "what was said before was too much to be kept\n");
    }
}

void send_all(int fd, const std::string &text) {
    size_t sent = 0;
    while (sent < text.size()) {
        ssize_t n = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the client has gone, or does not read */
        }
        sent += static_cast<size_t>(n);
    }
}

/* A user who may stop the server may change its device. */
bool may_order(int client) {
    ucred peer = {};
    socklen_t len = sizeof(peer);
    return getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

/* A line that begins soon and ends within a second; "" from a client that only listens. */
std::string order_of(int client) {
    constexpr int kSoonMs = 100;
    constexpr size_t kMost = 16384;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    std::string line;
    char buf[1024];
    pollfd input = {client, POLLIN, 0};
    while (line.size() < kMost && line.find('\n') == std::string::npos &&
           std::chrono::steady_clock::now() < until) {
        const int n = poll(&input, 1, kSoonMs);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        const ssize_t got = n > 0 ? recv(client, buf, sizeof(buf), 0) : 0;
        if (got <= 0) {
            break;
        }
        line.append(buf, static_cast<size_t>(got));
    }
    return line;
}

}  // namespace

std::string status_text(const Device &device, const SpaceWatch &watch) {
    const cw_device_info info = device.info();
    cw_cow_space space = {};
    cw_device_get_space(&device.get(), &space);
    Json json;
    if (device.has_failed()) {
        json["state"] = cw_cow_state_name(CW_COW_FAILED);
    } else {
        json["state"] = info.writable ? cw_cow_state_name(space.state) : "read-only";
    }
    json["read_only"] = info.writable ? "0" : "1";
    json["size"] = std::to_string(device.size()); /* it may have grown */
    add_image(&json, *info.image);
    add_layers(&json, &device.get(), info.nr_layers);
    if (info.nr_layers > 0) {
        add_cow(&json, device);
        if (watch.can_tell()) {
            json["low_space"] = format_low_space(watch.mark());
        }
    }
    add_traffic(&json, device);
    add_net(&json, device.base().get());
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusServer::~StatusServer() { stop(); }

void StatusServer::listen(const std::string &path) {
    if (pipe2(wake_, O_CLOEXEC) != 0) {
        throw io_error("pipe", "cannot be made", errno);
    }
    if (path.empty()) {
        return;
    }
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        throw Error("status=" + path + ": is longer than a socket's name can be", ENAMETOOLONG);
    }
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int err = socket_ < 0 ? errno : bind_to(socket_, address);
    if (err != 0) {
        throw io_error("status=" + path, "cannot be made", err,
                       err == EADDRINUSE ? "remove it, or name another" : "");
    }
    path_ = path;
    (void)lstat(path.c_str(), &file_);
    if (::listen(socket_, kBacklog) != 0) {
        throw io_error("status=" + path, "cannot be listened on", errno);
    }
}

void StatusServer::start(Device &device, Remembers &memory, SpaceWatch &watch) {
    memory_ = &memory;
    watch_ = &watch;
    thread_ = std::thread([this, &device] { serve(device); });
}

void StatusServer::stop() {
    /* A word, not the end of the pipe: with --run, nbdkit's other process has it, too. */
    if (thread_.joinable() && write(wake_[1], "", 1) == 1) {
        thread_.join();
    }
    for (int &end : wake_) {
        if (end >= 0) {
            close(end);
            end = -1;
        }
    }
    if (socket_ >= 0) {
        close(socket_);
        socket_ = -1;
    }
    struct stat st = {};
    /* another server may have taken the name over */
    if (!path_.empty() && lstat(path_.c_str(), &st) == 0 && is_same_file(st, file_)) {
        unlink(path_.c_str());
    }
    path_.clear();
}

void StatusServer::talk(Device &device, int client) const {
    constexpr timeval kPatience = {1, 0};
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
    const std::string order = order_of(client);
    if (order.empty()) {
        send_all(client, status_text(device, *watch_));
    } else {
        send_all(client,
                 may_order(client) ? carry_out(device, order, *memory_, *watch_) : refuse_order());
    }
}

void StatusServer::tend(Device &device) const {
    cw_device_tend(&device.get());
    watch_->look(device);
    if (bounds_log_) {
        cut_log();
    }
}

/* Clients that ask often do not keep a full COW from being looked at. */
void StatusServer::serve(Device &device) const {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kTend(kTendMs);
    Clock::time_point next = Clock::now() + kTend;
    for (;;) {
        pollfd fds[] = {{wake_[0], POLLIN, 0}, {socket_, POLLIN, 0}};
        const int n = poll(fds, 2, kTendMs);
        if (fds[0].revents != 0 || (n < 0 && errno != EINTR)) {
            return;
        }
        if (Clock::now() >= next) {
            tend(device);
            next = Clock::now() + kTend;
        }
        if (n <= 0 || fds[1].revents == 0) {
            continue;
        }
        const int client = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client >= 0) {
            talk(device, client);
            close(client);
        } else if (errno != EINTR) {
            std::this_thread::sleep_for(kNoClient); /* no descriptor is free: that passes */
        }
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/cow/cow_device.h"
#include "lib/cow/open_top.h"
#include "lib/error.h"
#include "lib/net/url.h"
#include "tools/common/table.h"
#include "way.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kEver(24 * 3600 * 1000); /* a large COW file is recovered */
constexpr milliseconds kStop(120 * 1000);       /* a slow medium is written to */
constexpr timeval kAnswer = {1, 0};
constexpr timeval kDone = {120, 0};           /* a slow medium is written to */
constexpr milliseconds kTakeover(120 * 1000); /* a slow medium is read from */

/* The one that was built with this program, else nbdkit looks for an installed one. */
std::string plugin() {
    std::error_code code;
    const fs::path self = fs::read_symlink("/proc/self/exe", code);
    const fs::path beside = self.parent_path().parent_path() / "lib/nbdkit-cloopw-plugin.so";
    return !code && fs::exists(beside, code) ? beside.string() : "cloopw";
}

void add(std::vector<std::string> *argv, const char *key, const std::string &value) {
    if (!value.empty()) {
        argv->push_back(std::string(key) + "=" + value);
    }
}

/* All users see the arguments of a process, and the query of a URL may let in. */
void add_image(std::vector<std::string> *argv, const std::string &image) {
    constexpr const char *kVariable = "CLOOPW_IMAGE";
    if (shown_name(image) == image) {
        add(argv, "image", absolute_name(image));
        return;
    }
    (void)setenv(kVariable, image.c_str(), 1);
    add(argv, "image-env", kVariable);
}

void add_number(std::vector<std::string> *argv, const char *key, uint64_t number) {
    if (number != 0) {
        add(argv, key, std::to_string(number));
    }
}

std::string pid_file(const UserspaceState &state) { return state.dir + "/server.pid"; }

std::string nbdkit_missing() {
    return find_program("nbdkit").empty() ? "nbdkit is not installed ('apt-get install nbdkit')"
                                          : "";
}

std::vector<std::string> nbdkit_command(const UserspaceState &state, const NodeRequest &) {
    return {find_program("nbdkit"), "-f", "-U", state.socket(), "-P", pid_file(state), plugin()};
}

std::string ublk_missing() {
    return own_program("cloopw-ublkd").empty()
               ? "cloopw-ublkd is not installed; it comes with cloopwsetup"
               : "";
}

std::vector<std::string> ublk_command(const UserspaceState &state, const NodeRequest &request) {
    std::vector<std::string> argv = {own_program("cloopw-ublkd"), "pidfile=" + pid_file(state),
                                     "idfile=" + state.device_file()};
    if (!request.device.empty()) {
        argv.push_back("device=" +
                       request.device.substr(request.device.find_first_of("0123456789")));
    }
    add_number(&argv, "sector-size", request.sector_size);
    return argv;
}

void add_parameters(std::vector<std::string> &argv, const UserspaceState &state,
                    const AttachOptions &options, int memory) {
    add_image(&argv, options.image);
    for (const auto &[key, value] : options.net) {
        add(&argv, key.c_str(), value);
    }
    for (const std::string &cow : options.cows) {
        add(&argv, "cow", absolute_name(cow));
    }
    if (memory >= 0) {
        add(&argv, "cow", "/proc/self/fd/" + std::to_string(memory));
    }
    add(&argv, "format", options.format);
    add_number(&argv, "offset", options.offset);
    add_number(&argv, "sizelimit", options.sizelimit);
    add_number(&argv, "cache", options.cache_bytes);
    add(&argv, "readonly", options.read_only ? "true" : "");
    add(&argv, "direct-io", options.direct_io ? "true" : "");
    if (memory < 0) {
        add(&argv, "cow-format", options.cow_format);
        add(&argv, "cow-codec", options.cow.codec != nullptr ? options.cow.codec->name : "");
        add(&argv, "cow-level", options.cow.level ? std::to_string(*options.cow.level) : "");
        add(&argv, "cow-limit", options.cow.limit ? std::to_string(*options.cow.limit) : "");
    }
    add(&argv, "status", state.status_socket());
    add(&argv, "stay", "true");
}

std::string remedy_of(const std::string &words) {
    return words.find("cannot open plugin") != std::string::npos
               ? "; 'make install' in the source of cloopw installs it"
               : "";
}

Fd connect_status(const UserspaceState &state, const timeval &patience) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = state.status_socket();
    if (path.size() >= sizeof(address.sun_path)) {
        return {};
    }
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd.get() >= 0 &&
        (setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
         connect(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0)) {
        return {};
    }
    return fd;
}

/* Says order, and reads what comes; null when there is no answer. */
Json ask(const UserspaceState &state, const Json &order, const timeval &patience) {
    const std::string line = order.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    Fd fd = connect_status(state, patience);
    if (fd.get() < 0 || send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
                            static_cast<ssize_t>(line.size())) {
        return nullptr;
    }
    std::string text;
    char buf[4096];
    ssize_t n = 0;
    while ((n = read(fd.get(), buf, sizeof(buf))) > 0) {
        text.append(buf, static_cast<size_t>(n));
    }
    const Json answer = Json::parse(text, nullptr, false);
    return answer.is_object() ? answer : Json(nullptr);
}

/* "SUPERVISOR SERVER START START", as cloopw-ublkd writes it; none: it has not begun. */
std::vector<Process> ublk_processes(const UserspaceState &state) {
    std::istringstream text(text_of(pid_file(state)));
    Process supervisor;
    Process server;
    if (state.server.pid <= 0 ||
        !(text >> supervisor.pid >> server.pid >> supervisor.start >> server.start)) {
        return {};
    }
    return {supervisor, server};
}

}  // namespace

const UserspaceServer kNbdkitServer = {"nbdkit", nbdkit_missing, nbdkit_command};
const UserspaceServer kUblkServer = {"cloopw-ublkd", ublk_missing, ublk_command};

std::string own_program(const std::string &name) {
    std::error_code code;
    const fs::path self = fs::read_symlink("/proc/self/exe", code);
    const fs::path beside = self.parent_path() / name;
    return !code && fs::exists(beside, code) ? beside.string() : find_program(name);
}

void start_server(Driver &driver, UserspaceState &state, const AttachOptions &options,
                  const ImageFacts &image, const UserspaceWay &way, const NodeRequest &request) {
    Fd memory;
    if (options.cow.ram) {
        memory = create_cow_in_memory(base_of(options, image, {}), options.cow);
    }
    std::vector<std::string> argv = way.server->command(state, request);
    add_parameters(argv, state, options, memory.get());
    start_process(argv, state.log(), memory.get(), [&](const Process &server) {
        state.server = server;
        write_state(state);
    });
    bool ended = false;
    wait_until(driver, kEver, [&] {
        ended = !is_alive(state.server);
        return ended || !text_of(pid_file(state)).empty();
    });
    if (ended) {
        const std::string words = last_words(state.log());
        throw Error(
            (words.empty() ? std::string(way.server->name) + ": ended without a word" : words) +
                remedy_of(words),
            EINVAL);
    }
    driver.say(std::string(way.server->name) + " serves " + shown_name(options.image));
}

Process serving_process(const UserspaceState &state) {
    if (is_alive(state.server)) {
        return state.server;
    }
    for (const Process &process : ublk_processes(state)) {
        if (is_alive(process)) {
            return process;
        }
    }
    return {};
}

void continue_server(const UserspaceState &state) {
    go_on(state.server);
    for (const Process &process : ublk_processes(state)) {
        go_on(process);
    }
}

uintmax_t end_of_log(const UserspaceState &state) {
    std::error_code code;
    const uintmax_t size = fs::file_size(state.log(), code);
    return code ? 0 : size;
}

void interrupt_server(const Process &server) {
    if (is_alive(server)) {
        kill(server.pid, SIGINT); /* TERM does not end it while it is in use */
    }
}

void stop_server(const UserspaceState &state, uintmax_t from) {
    const Process server = serving_process(state);
    interrupt_server(server);
    if (!wait_for_end(server, kStop)) {
        throw Error("server (process " + std::to_string(server.pid) +
                        "): still stores what was written; when it has ended, detach again",
                    EBUSY);
    }
    const std::string words = last_words(state.log(), from);
    if (!words.empty()) {
        throw Error(words, EIO);
    }
}

Json order_server(const UserspaceState &state, const Json &order) {
    Json answer = is_alive(serving_process(state)) ? ask(state, order, kDone) : Json(nullptr);
    if (answer.is_null()) {
        throw Error("its server does not answer; 'tail " + state.log() + "' may tell more", EIO,
                    kServerLost);
    }
    if (answer.contains("error")) {
        throw Error(answer.value("error", ""), answer.value("errno", EIO),
                    cw_reason_by_name(answer.value("code", "").c_str()));
    }
    if (!answer.value("ok", false)) {
        throw Error("its server did not take the order; it is busy, or of an older version", EPROTO,
                    kServerLost);
    }
    return answer;
}

std::string take_over_server(Driver &driver, const UserspaceState &state) {
    const std::string program = own_program(kUblkServer.name);
    if (program.empty()) {
        throw Error(std::string(kUblkServer.name) + " is not installed; its present server goes on",
                    ENOENT);
    }
    const uintmax_t before = end_of_log(state);
    const std::string pids = text_of(pid_file(state));
    try {
        order_server(state, {{"do", "takeover"}, {"program", program}});
    } catch (const Error &e) {
        if (e.code() != kServerLost || !is_alive(serving_process(state))) {
            throw;
        } /* the successor was faster than the answer */
    }
    const bool serves = wait_until(driver, kTakeover, [&] {
        return text_of(pid_file(state)) != pids || !is_alive(serving_process(state));
    });
    const std::string error = first_error(state.log(), before);
    if (!serves || !error.empty() || !is_alive(serving_process(state))) {
        throw Error(error.empty() ? "'tail " + state.log() + "' may tell more" : error, EIO);
    }
    const std::string said = last_line(state.log(), before);
    return said.substr(std::min(said.size(), said.find(": ") + 2));
}

std::map<std::string, std::string> server_status(const UserspaceState &state) {
    if (!is_alive(serving_process(state))) {
        return {};
    }
    std::map<std::string, std::string> attributes;
    const Json answer = ask(state, {{"do", "status"}}, kAnswer);
    for (const auto &[key, value] : answer.items()) {
        if (value.is_string()) {
            attributes[key] = value.get<std::string>();
        }
    }
    return attributes;
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/error.h"
#include "lib/replace_file.h"
#include "tools/cloopwsetup/driver.h"
#include "tools/common/table.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

constexpr const char *kFile = "/state";
constexpr int kMostDirs = 4096;

std::string boot_id() { return text_of("/proc/sys/kernel/random/boot_id"); }

Json json_of(const Process &process) {
    return Json{{"pid", process.pid}, {"start", process.start}};
}

Process process_in(const Json &json) {
    return {json.at("pid").get<pid_t>(), json.at("start").get<uint64_t>()};
}

Json json_of(const UserspaceState &state) {
    return Json{{"way", state.way},
                {"node", state.node},
                {"link", state.link},
                {"boot", state.boot},
                {"maker", json_of(state.maker)},
                {"server", json_of(state.server)},
                {"client", json_of(state.client)},
                {"complete", state.complete},
                {"attributes", state.attributes}};
}

UserspaceState state_in(const Json &json) {
    UserspaceState state;
    state.way = json.at("way").get<std::string>();
    state.node = json.at("node").get<std::string>();
    state.link = json.at("link").get<std::string>();
    state.boot = json.at("boot").get<std::string>();
    state.maker = process_in(json.at("maker"));
    state.server = process_in(json.at("server"));
    state.client = process_in(json.at("client"));
    state.complete = json.at("complete").get<bool>();
    state.attributes = json.at("attributes").get<std::map<std::string, std::string>>();
    return state;
}

std::optional<int> number_of(const std::string &name) {
    int number = 0;
    const char *end = name.data() + name.size();
    auto [rest, code] = std::from_chars(name.data(), end, number);
    if (code != std::errc() || rest != end) {
        return std::nullopt;
    }
    return number;
}

void make_root(const std::string &root) {
    if (mkdir(root.c_str(), S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH) != 0 &&
        errno != EEXIST) {
        throw io_error(root, "cannot be made", errno,
                       errno == ENOENT ? "make the directory above it, as the system does at boot"
                                       : "run this as root");
    }
}

/* Does the directory that is open have this name still? */
bool is_at(int fd, const std::string &dir) {
    struct stat open = {};
    struct stat named = {};
    return fstat(fd, &open) == 0 && stat(dir.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
           open.st_dev == named.st_dev;
}

}  // namespace

void write_state(const UserspaceState &state) {
    UserspaceState now = state;
    now.boot = boot_id();
    std::ostringstream text;
    print_json(text, json_of(now));
    replace_file(state.dir + kFile, text.str(), S_IRUSR | S_IWUSR);
}

std::optional<UserspaceState> read_state(const std::string &dir) {
    std::ifstream file(dir + kFile);
    const Json json = Json::parse(file, nullptr, false);
    if (json.is_discarded()) {
        return std::nullopt;
    }
    UserspaceState state;
    try {
        state = state_in(json);
    } catch (const Json::exception &) {
        return std::nullopt; /* another version's, or damaged */
    }
    state.dir = dir;
    if (state.boot != boot_id()) {
        state.maker = {};
        state.server = {};
        state.client = {};
        state.node.clear();
    }
    return state;
}

std::vector<std::string> state_dirs(const std::string &root) {
    std::vector<int> numbers;
    std::error_code code;
    for (const auto &entry : fs::directory_iterator(root, code)) {
        if (auto number = number_of(entry.path().filename().string())) {
            numbers.push_back(*number);
        }
    }
    std::sort(numbers.begin(), numbers.end());
    std::vector<std::string> dirs;
    dirs.reserve(numbers.size());
    for (int number : numbers) {
        dirs.push_back(root + "/" + std::to_string(number));
    }
    return dirs;
}

StateLock StateLock::create(const std::string &root) {
    make_root(root);
    for (int i = 0; i < kMostDirs; i++) {
        const std::string dir = root + "/" + std::to_string(i);
        /* For nobody else: who can open it could lock it for ever. */
        if (mkdir(dir.c_str(), S_IRWXU) != 0) {
            if (errno == EEXIST) {
                continue;
            }
            throw io_error(dir, "cannot be made", errno,
                           errno == EACCES || errno == EPERM ? "run this as root" : "");
        }
        if (auto lock = take(dir, true)) { /* another may look at it just now */
            return std::move(*lock);
        }
    }
    throw Error(root + ": is full of attachments; 'cloopwsetup -D' detaches all", EMFILE);
}

std::optional<StateLock> StateLock::take(const std::string &dir, bool wait) {
    Fd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) {
        return std::nullopt;
    }
    while (flock(fd.get(), LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
        if (errno != EINTR) {
            return std::nullopt;
        }
    }
    if (!is_at(fd.get(), dir)) {
        return std::nullopt; /* its owner has removed it */
    }
    return StateLock(dir, std::move(fd));
}

void StateLock::remove() const {
    std::error_code code;
    fs::remove_all(dir_, code);
    if (code) {
        throw io_error(dir_, "cannot be removed", code.value());
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "users.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/octal.h"
#include "lib/same_file.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/* Is it the file of one of these lines? */
bool is_one_of(std::istream &lines, const struct stat &file) {
    struct stat st = {};
    for (std::string line; std::getline(lines, line);) {
        if (stat(from_octal(line).c_str(), &st) == 0 && is_same_file(st, file)) {
            return true;
        }
    }
    return false;
}

bool is_named_in(const fs::path &attribute, const struct stat &file) {
    std::ifstream lines(attribute);
    return is_one_of(lines, file);
}

/* disk: a directory of the driver's. */
bool driver_has(const fs::path &disk, const struct stat &file) {
    std::error_code code;
    if (is_named_in(disk / "image", file)) {
        return true;
    }
    for (const auto &layer : fs::directory_iterator(disk / "layers", code)) {
        if (is_named_in(layer.path() / "path", file)) {
            return true;
        }
    }
    return false;
}

/* The device of a state file, if that names the file; or empty. */
std::string node_with(const fs::path &state, const struct stat &file) {
    std::ifstream text(state);
    try {
        const Json json = Json::parse(text);
        for (const char *key : {"image", "cow"}) {
            std::istringstream lines(json.at("attributes").value(key, ""));
            if (is_one_of(lines, file)) {
                return json.at("node");
            }
        }
    } catch (const Json::exception &) { /* another version's, or half of one */
    }
    return "";
}

}  // namespace

std::string device_with(const struct stat &file, const std::string &sys_block,
                        const std::string &run) {
    std::error_code code;
    for (const auto &disk : fs::directory_iterator(sys_block, code)) {
        if (driver_has(disk.path() / "cloopw", file)) {
            return "/dev/" + disk.path().filename().string();
        }
    }
    for (const auto &dir : fs::directory_iterator(run, code)) {
        if (std::string node = node_with(dir.path() / "state", file); !node.empty()) {
            return node;
        }
    }
    return "";
}

}  // namespace cloopw

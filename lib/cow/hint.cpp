// SPDX-License-Identifier: GPL-2.0
#include "hint.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/fd.h"
#include "lib/open_data.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

bool is_link(const fs::path &path) {
    struct stat st = {};
    return lstat(path.c_str(), &st) == 0 && S_ISLNK(st.st_mode);
}

bool leads_to_device(const fs::path &path) {
    struct stat st = {};
    return stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode);
}

bool is_device(int fd) {
    struct stat st = {};
    return fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
}

}  // namespace

std::vector<fs::path> hint_directories(const std::string &file) {
    const fs::path parent = fs::path(file).parent_path();
    std::vector<fs::path> directories = {parent.empty() ? "." : parent};
    std::error_code code;
    const fs::path target = fs::canonical(file, code).parent_path();
    if (!code && !fs::equivalent(target, directories[0], code)) {
        directories.push_back(target);
    }
    return directories;
}

std::vector<fs::path> hint_places(const std::string &file, const std::string &hint) {
    const fs::path name = fs::path(hint).filename();
    std::vector<fs::path> places;
    if (name.empty() || name == "." || name == "..") {
        return places;
    }
    for (const fs::path &directory : hint_directories(file)) {
        places.push_back(directory == "." ? name : directory / name);
    }
    return places;
}

std::optional<Io> open_hint(const fs::path &path) {
    const bool link = is_link(path);
    if (link && !leads_to_device(path)) {
        return std::nullopt;
    }
    Fd fd(open_data(path.string(), O_RDONLY | (link ? 0 : O_NOFOLLOW)));
    if (fd.get() < 0 || (link && !is_device(fd.get()))) {
        return std::nullopt;
    }
    return Io::adopt(fd.release(), path.string());
}

}  // namespace cloopw

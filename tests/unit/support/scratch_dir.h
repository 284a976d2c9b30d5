/* SPDX-License-Identifier: GPL-2.0 */
/* A directory that the destructor removes, and files in it. */
#ifndef CLOOPW_TESTS_SCRATCH_DIR_H
#define CLOOPW_TESTS_SCRATCH_DIR_H

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/test_io.h"

namespace cloopw::test {

class ScratchDir {
public:
    ScratchDir() {
        std::string name = (std::filesystem::temp_directory_path() / "cloopw-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) {
            throw std::runtime_error("cannot make a temporary directory");
        }
        path_ = name;
    }
    ~ScratchDir() {
        std::error_code ec;
        std::filesystem::remove_all(path_, ec);
    }
    ScratchDir(const ScratchDir &) = delete;
    ScratchDir &operator=(const ScratchDir &) = delete;

    std::string operator/(const std::string &name) const { return (path_ / name).string(); }
    std::string path() const { return path_.string(); }

    /* All names in the directory, sorted. */
    std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto &entry : std::filesystem::directory_iterator(path_)) {
            names.push_back(entry.path().filename().string());
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    /* Makes a file in it. Returns its path. */
    std::string write(const std::string &name, const Bytes &bytes) const {
        std::ofstream file(path_ / name, std::ios::binary);
        file.write(reinterpret_cast<const char *>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
        return (path_ / name).string();
    }

private:
    std::filesystem::path path_;
};

inline Bytes read_bytes(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

}  // namespace cloopw::test

#endif

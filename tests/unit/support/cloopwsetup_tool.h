/* SPDX-License-Identifier: GPL-2.0 */
/* Runs cloopwsetup in a directory of its own, with a kernel of its own. */
#ifndef CLOOPW_TESTS_CLOOPWSETUP_TOOL_H
#define CLOOPW_TESTS_CLOOPWSETUP_TOOL_H

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/data.h"
#include "support/fake_kernel.h"
#include "support/images.h"
#include "tools/cloopwsetup/cloopwsetup.h"

namespace cloopw::test {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kImageSize = 1 << 20;

inline bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

class Cloopwsetup : public testing::Test {
protected:
    Cloopwsetup() {
        char name[] = "/tmp/cloopwsetup.XXXXXX";
        dir_ = mkdtemp(name);
        fs::create_directory(dir_ + "/kernel");
        kernel_ = std::make_unique<FakeKernel>(dir_ + "/kernel");
        write("disk.img", text_bytes(kImageSize));
    }
    ~Cloopwsetup() override {
        EXPECT_EQ(kernel_->open_handles, 0) << "a node was left open";
        kernel_.reset();
        fs::permissions(dir_, fs::perms::owner_all);
        fs::remove_all(dir_);
    }

    /* Runs the program; its output is in out_ and err_. */
    int run(const Args &args) {
        std::ostringstream out;
        std::ostringstream err;
        Streams streams = {out, err, -1, -1, false, 80};
        int code = cloopwsetup(args, streams, *kernel_);
        out_ = out.str();
        err_ = err.str();
        return code;
    }
    void runs(const Args &args) {
        int code = run(args);
        ASSERT_EQ(code, 0) << err_;
    }
    /* Expects exactly this line as the error. DIR and DEV in it stand for directories. */
    void refuses(const Args &args, const std::string &line, int code = 1) {
        EXPECT_EQ(run(args), code);
        EXPECT_EQ(placeholders(err_),
                  "cloopwsetup: " + line + "\n" + (code == 2 ? "Try 'cloopwsetup --help'.\n" : ""));
    }
    std::string placeholders(std::string text) const {
        replace(&text, kernel_->dev(), "DEV");
        replace(&text, dir_, "DIR");
        return text;
    }
    static void replace(std::string *text, const std::string &what, const std::string &by) {
        for (size_t at; (at = text->find(what)) != std::string::npos;) {
            text->replace(at, what.size(), by);
        }
    }

    std::string path(const std::string &name) const { return dir_ + "/" + name; }
    std::string write(const std::string &name, const Bytes &bytes) const {
        std::ofstream file(path(name), std::ios::binary);
        file.write(reinterpret_cast<const char *>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
        return path(name);
    }
    std::string read(const std::string &name) const {
        std::ifstream file(path(name), std::ios::binary);
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }
    /* Gives a native image a UUID of these bytes. */
    void change_uuid(const std::string &name, u8 byte) const {
        std::string text = read(name);
        Bytes bytes(text.begin(), text.end());
        change_super(&bytes, [&](cw_disk_super *super) { memset(super->uuid, byte, 16); });
        write(name, bytes);
    }
    std::string out_of(const Args &args) {
        EXPECT_EQ(run(args), 0) << err_;
        return out_;
    }

    const FakeKernel::Attached &attached(int number) const {
        const auto &disk = kernel_->disks.at(number);
        if (!disk) {
            throw std::runtime_error("nothing is attached");
        }
        return *disk;
    }
    std::string image() const { return path("disk.img"); }
    std::string device(int number) const { return kernel_->node(number); }
    std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto &entry : fs::directory_iterator(dir_)) {
            names.push_back(entry.path().filename().string());
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    std::string dir_;
    std::unique_ptr<FakeKernel> kernel_;
    std::string out_;
    std::string err_;
};

}  // namespace cloopw::test

#endif

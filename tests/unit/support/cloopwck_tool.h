/* SPDX-License-Identifier: GPL-2.0 */
/* Runs cloopwck on files in a directory of the test's own, and makes the files. */
#ifndef CLOOPW_TESTS_CLOOPWCK_TOOL_H
#define CLOOPW_TESTS_CLOOPWCK_TOOL_H

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "lib/cow/chain.h"
#include "support/core_log_support.h"
#include "support/images.h"
#include "support/make_image.h"
#include "support/run_tool.h"
#include "support/scratch_dir.h"
#include "tools/cloopwck/cloopwck.h"

namespace cloopw::test {

using nlohmann::json;

constexpr u64 kCowDevice = u64{8} << 20;
constexpr u64 kLogSegment = u64{1} << 20;

class Cloopwck : public testing::Test {
protected:
    static inline const std::atomic<bool> kNotCancelled = false;

    ToolResult tool(const Args &args, const std::atomic<bool> &cancelled = kNotCancelled) {
        return test::run([&](Streams &streams) { return cloopwck(args, streams, cancelled); });
    }
    /* Expects this exit code, and this text in the output. */
    std::string expect(int code, const std::string &text, const Args &args) {
        ToolResult result = tool(args);
        EXPECT_EQ(result.code, code) << result.out << result.err;
        EXPECT_NE((result.out + result.err).find(text), std::string::npos)
            << "said: " << result.out << result.err << "expected: " << text;
        return result.out;
    }
    void expect_clean(const Args &args) {
        ToolResult result = tool(args);
        EXPECT_EQ(result.code, 0) << result.out << result.err;
        EXPECT_EQ(result.out.find("error"), std::string::npos) << result.out;
        EXPECT_EQ(result.err, "");
    }

    std::string path(const std::string &name) const { return dir_ / name; }
    std::string write(const std::string &name, const Bytes &bytes) {
        return dir_.write(name, bytes);
    }
    void change(const std::string &file, u64 off, const Bytes &bytes) {
        Io io = Io::open(file, Io::Mode::kReadWrite);
        io.write(bytes.data(), bytes.size(), off);
    }
    void flip(const std::string &file, u64 off) {
        Io io = Io::open(file, Io::Mode::kReadWrite);
        u8 byte = 0;
        io.read(&byte, 1, off);
        byte ^= 0x5a;
        io.write(&byte, 1, off);
    }

    /* An empty log over the file below, made like by cloopwsetup. */
    std::string make_cow(const std::string &name, const std::string &below,
                         const std::string &codec = "lz4", u64 size = kCowDevice) {
        LogCowConfig config = log_config(size, codec);
        config.parent = below;
        config.uuid = random_uuid();
        config.first_generation = 1000;
        make_cow(name, config);
        return path(name);
    }
    void make_cow(const std::string &name, const LogCowConfig &config) {
        int fd = ::open(path(name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ASSERT_GE(fd, 0);
        write_log_cow(fd, name, config);
        ::close(fd);
    }
    Device attach(const std::vector<std::string> &layers, const std::string &base,
                  bool read_only = false) {
        std::vector<Io> ios;
        for (const std::string &layer : layers) {
            ios.push_back(Io::open(
                layer, ios.empty() && !read_only ? Io::Mode::kReadWrite : Io::Mode::kRead));
        }
        Device::Config config;
        config.read_only = read_only;
        return Device(Io::open(base, Io::Mode::kRead), std::move(ios), config);
    }
    static Bytes all_of(const Device &device) {
        Bytes all(device.size());
        device.read(all.data(), static_cast<u32>(all.size()), 0);
        return all;
    }
    Bytes content(const std::vector<std::string> &layers, const std::string &base) {
        return all_of(attach(layers, base, true));
    }

    /* Writes, discards and zeros; or only data. Returns the content afterwards. */
    static Bytes use(Device &device, unsigned int seed, unsigned int times, bool discards = true) {
        std::mt19937 random(seed);
        for (unsigned int i = 0; i < times; i++) {
            const u64 off = random() % (device.size() - 150000);
            const size_t len = 1 + random() % 150000;
            const Bytes data = discards     ? mixed_bytes(&random, len)
                               : i % 3 == 0 ? random_bytes(len, random())
                                            : text_bytes(len, random());
            device.write(data.data(), static_cast<u32>(data.size()), off);
            if (discards && i % 5 == 4) {
                device.discard(random() % (device.size() - 60000), 60000);
                device.zero(random() % (device.size() - 60000), 50000);
            }
        }
        return all_of(device);
    }
    /* base.img, and a used and closed cow.img over it. */
    void make_used(unsigned int times = 60, const std::string &codec = "lz4",
                   bool discards = true) {
        base_ = write("base.img", text_bytes(kCowDevice, 77));
        cow_ = make_cow("cow.img", base_, codec);
        Device device = attach({cow_}, base_);
        all_ = use(device, 1, times, discards);
        device.close();
    }
    /* Copies the file like a crash leaves it. */
    std::string copy(const std::string &from, const std::string &name) {
        std::filesystem::copy_file(from, path(name),
                                   std::filesystem::copy_options::overwrite_existing);
        return path(name);
    }

    ScratchDir dir_;
    std::string base_;
    std::string cow_;
    Bytes all_;
};

}  // namespace cloopw::test

#endif

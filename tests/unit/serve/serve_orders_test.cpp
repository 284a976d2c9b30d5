// SPDX-License-Identifier: GPL-2.0
/* Orders on the status socket of a server. */
#include "lib/serve/orders.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lib/cow/chain.h"
#include "lib/serve/served.h"
#include "support/data.h"
#include "support/make_image.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

using Json = nlohmann::ordered_json;

constexpr u64 kSize = u64{1} << 20;

class Memory : public Remembers {
public:
    void push_top(const std::string &path) override { tops.push_back(path); }
    void pop_top() override { tops.pop_back(); }
    void set_cache(u64 bytes) override { cache = bytes; }
    void want_resizable() override {
        if (!can_resize) {
            Remembers::want_resizable();
        }
    }
    void show_size(u64 bytes) override {
        if (!can_show) {
            throw Error("/dev/ublkb0: cannot be given its new size", EINVAL);
        }
        size = bytes;
    }
    void set_direct_io(bool wanted) override { direct_io = wanted; }
    void take_over(const std::string &path) override {
        if (!can_be_replaced) {
            Remembers::take_over(path);
        }
        program = path;
    }

    std::vector<std::string> tops;
    u64 cache = 0;
    u64 size = 0;
    bool can_resize = true;
    bool can_show = true;
    bool direct_io = false;
    bool can_be_replaced = true;
    std::string program;
};

class Told : public TellsSpace {
public:
    bool tell(const SpaceEvent &event) override {
        events.push_back(event);
        return is_told;
    }
    bool is_told = true;

    std::vector<SpaceEvent> events;
};

class ServeOrders : public testing::Test {
protected:
    ServeOrders() {
        set("image", dir_.write("image", text_bytes(kSize)));
        set("format", "raw");
        set("cow", dir_ / "cow");
        check_options(options_);
        NewCow top;
        device_ = std::make_unique<Device>(open_served(options_, top));
        top.keep();
    }

    void set(const std::string &key, const std::string &value) {
        find_parameter(parameters_, key)->set(value);
    }
    Json tell(const std::string &line) {
        return Json::parse(carry_out(*device_, line, memory_, watch_));
    }
    std::string refusal(const std::string &line) { return tell(line).value("error", ""); }

    ScratchDir dir_;
    ServedOptions options_;
    Parameters parameters_ = served_parameters(options_);
    std::unique_ptr<Device> device_;
    Memory memory_;
    Told told_;
    SpaceWatch watch_{&told_};
};

TEST_F(ServeOrders, TellsWhatHoldsWhenTheBlockDeviceCannotShowItsSize) {
    memory_.can_show = false;
    const Json answer = tell(R"({"do": "resize", "size": "4M"})");
    EXPECT_TRUE(answer.value("ok", false));
    EXPECT_EQ(answer.value("unfinished", ""),
              "the COW has 4194304 bytes now, but the block device shows its old size until it is "
              "detached and attached again: /dev/ublkb0: cannot be given its new size");
    EXPECT_EQ(device_->size(), u64{4} << 20);
}

TEST_F(ServeOrders, ReadsTheImagePastThePageCache) {
    EXPECT_EQ(tell(R"({"do": "status"})").value("dio", ""), "0");
    EXPECT_TRUE(tell(R"({"do": "set", "dio": "1"})").value("ok", false));
    EXPECT_TRUE(memory_.direct_io);
    const Json status = tell(R"({"do": "status"})");
    EXPECT_NE(status.value("dio", ""), status.value("drop_behind", "")); /* by the file system */
    Bytes bytes(kSize);
    ASSERT_EQ(cw_device_read(&device_->get(), 0, kSize, bytes.data()), 0);
    EXPECT_EQ(bytes, text_bytes(kSize));
    EXPECT_TRUE(tell(R"({"do": "set", "dio": "0"})").value("ok", false));
    EXPECT_FALSE(memory_.direct_io);
    EXPECT_EQ(tell(R"({"do": "status"})").value("dio", ""), "0");
}

TEST_F(ServeOrders, AnotherProgramTakesOver) {
    const std::string order = R"({"do": "takeover", "program": "/usr/sbin/cloopw-ublkd"})";
    EXPECT_TRUE(tell(order).value("ok", false));
    EXPECT_EQ(memory_.program, "/usr/sbin/cloopw-ublkd");
    memory_.can_be_replaced = false;
    EXPECT_EQ(refusal(order),
              "only a server of ublk can be replaced while its device is in use; detach the "
              "device, and attach it again");
    EXPECT_EQ(refusal(R"({"do": "takeover", "program": 4})"), "program: is not text");
    EXPECT_EQ(refusal(R"({"do": "takeover", "program": "cloopw-ublkd"})"),
              "takeover: wants the whole path of the program");
}

TEST_F(ServeOrders, GrowsWhatTheBlockDeviceCanShow) {
    memory_.can_resize = false;
    EXPECT_EQ(refusal(R"({"do": "resize", "size": "4M"})"),
              "this kind of device learns its size only once: detach it, and attach it with "
              "--resize=SIZE");
    EXPECT_EQ(device_->size(), kSize);
    memory_.can_resize = true;
    ASSERT_TRUE(tell(R"({"do": "resize", "size": "4M"})").value("ok", false));
    EXPECT_EQ(device_->size(), 4 * kSize);
    EXPECT_EQ(memory_.size, 4 * kSize);
    EXPECT_EQ(tell(R"({"do": "status"})").at("size"), std::to_string(4 * kSize));
    EXPECT_EQ(refusal(R"({"do": "resize", "size": "0"})"),
              "resize: a device cannot shrink to nothing");
    const Json answer = tell(R"({"do": "resize", "size": "1M"})");
    EXPECT_EQ(answer.value("code", ""), "SHRINK");
    EXPECT_EQ(memory_.size, 4 * kSize);
}

TEST_F(ServeOrders, ResetsTheTopLayer) {
    const Bytes changed = random_bytes(kSize, 3);
    device_->write(changed.data(), kSize, 0);
    ASSERT_TRUE(tell(R"({"do": "reset"})").value("ok", false));
    Bytes shown(kSize);
    device_->read(shown.data(), kSize, 0);
    EXPECT_EQ(shown, text_bytes(kSize));
    device_ = std::make_unique<Device>(Io::open(dir_ / "image", Io::Mode::kRead), std::vector<Io>{},
                                       Device::Config{"raw"});
    EXPECT_EQ(tell(R"({"do": "reset"})").value("code", ""), "READ_ONLY");
}

TEST_F(ServeOrders, TellsOnceOfSpaceBelowTheMark) {
    ASSERT_TRUE(tell(R"({"do": "set", "cow_limit": "64M", "low_space": "1M"})").value("ok", false));
    EXPECT_EQ(tell(R"({"do": "status"})").at("low_space"), "1048576");
    watch_.look(*device_);
    EXPECT_TRUE(told_.events.empty());
    ASSERT_TRUE(tell(R"({"do": "set", "low_space": "100%"})").value("ok", false));
    watch_.look(*device_);
    watch_.look(*device_);
    ASSERT_EQ(told_.events.size(), 1U);
    EXPECT_TRUE(told_.events.front().low);
    EXPECT_LE(told_.events.front().available, u64{64} << 20);
    ASSERT_TRUE(tell(R"({"do": "set", "low_space": "0"})").value("ok", false));
    watch_.look(*device_);
    ASSERT_EQ(told_.events.size(), 2U);
    EXPECT_FALSE(told_.events.back().low);
}

TEST_F(ServeOrders, ABadValueSetsNothing) {
    ASSERT_TRUE(tell(R"({"do": "set", "low_space": "5%"})").value("ok", false));
    EXPECT_NE(refusal(R"({"do": "set", "low_space": "7%", "cow_limit": "much"})"), "");
    EXPECT_EQ(tell(R"({"do": "status"})").at("low_space"), "5%");
    EXPECT_NE(refusal(R"({"do": "set", "low_space": "101%", "cache_limit": "8M"})"), "");
    EXPECT_EQ(memory_.cache, 0U);
}

TEST_F(ServeOrders, NoMarkWhereNobodyIsTold) {
    SpaceWatch silent;
    const Json answer =
        Json::parse(carry_out(*device_, R"({"do": "set", "low_space": "5%"})", memory_, silent));
    EXPECT_EQ(answer.value("errno", 0), ENOTTY);
    EXPECT_NE(refusal(R"({"do": "set", "low_space": "101%"})"), "");
}

TEST_F(ServeOrders, Status) {
    const Json status = tell(R"({"do": "status"})");
    EXPECT_EQ(status.at("state"), "ok");
    EXPECT_EQ(status.at("size"), std::to_string(kSize));
}

/* One that could not be told is told at the next look. */
TEST_F(ServeOrders, TellsAgainWhatWasNotTold) {
    watch_.set_mark({100, 0});
    told_.is_told = false;
    watch_.look(*device_);
    watch_.look(*device_);
    EXPECT_EQ(told_.events.size(), 2u);
    told_.is_told = true;
    watch_.look(*device_);
    watch_.look(*device_);
    EXPECT_EQ(told_.events.size(), 3u);
}

/* ---- a server that goes on for another ---- */

TEST_F(ServeOrders, AFailedLogFailsForALaterServer) {
    const Bytes changed = random_bytes(kSize, 3);
    device_->write(changed.data(), kSize, 0);
    device_.reset();
    NewCow none;
    device_ = std::make_unique<Device>(open_served(options_, none, Opening::kAgain));
    EXPECT_FALSE(device_->has_failed());
    device_.reset();
    options_.failed = true;
    device_ = std::make_unique<Device>(open_served(options_, none, Opening::kAgain));
    EXPECT_TRUE(device_->has_failed());
    EXPECT_EQ(tell(R"({"do": "status"})").at("state"), "failed");
    watch_.look(*device_);
    ASSERT_EQ(told_.events.size(), 1u);
    EXPECT_EQ(told_.events.front().state, CW_COW_FAILED);
    EXPECT_THROW(device_->write(changed.data(), kSize, 0), Error);
    Bytes shown(kSize);
    device_->read(shown.data(), kSize, 0);
    EXPECT_EQ(shown, changed);
    device_.reset();
    options_.failed = false; /* another attach */
    device_ = std::make_unique<Device>(open_served(options_, none));
    EXPECT_FALSE(device_->has_failed());
}

TEST_F(ServeOrders, ALaterServerTakesTheImageThatItHad) {
    const std::string image = dir_ / "image";
    const int kept = open(image.c_str(), O_RDONLY | O_CLOEXEC);
    options_.image_at = "/proc/self/fd/" + std::to_string(kept);
    device_.reset();
    const timespec never[2] = {{1, 0}, {1, 0}};
    ASSERT_EQ(futimens(kept, never), 0); /* a COW refuses an image of another time */
    dir_.write("new", random_bytes(kSize, 9));
    ASSERT_EQ(rename((dir_ / "new").c_str(), image.c_str()), 0);
    NewCow none;
    EXPECT_THROW(open_served(options_, none), Error);
    device_ = std::make_unique<Device>(open_served(options_, none, Opening::kAgain));
    Bytes shown(kSize);
    device_->read(shown.data(), kSize, 0);
    EXPECT_EQ(shown, text_bytes(kSize));
    EXPECT_EQ(tell(R"({"do": "status"})").value("image", ""), image + " (deleted)");
    device_.reset();
    close(kept);
}

TEST_F(ServeOrders, SetsTheLimitsOfCowAndCache) {
    EXPECT_TRUE(
        tell(R"({"do": "set", "cow_limit": "64M", "cache_limit": "8M"})").value("ok", false));
    const Json status = tell(R"({"do": "status"})");
    EXPECT_EQ(status.at("cow_limit"), std::to_string(64 << 20));
    EXPECT_EQ(status.at("cache_limit"), std::to_string(8 << 20));
    EXPECT_EQ(memory_.cache, u64{8} << 20);
}

TEST_F(ServeOrders, ASnapshotKeepsWhatWasWritten) {
    const std::vector<u8> page(CW_PAGE_SIZE, 'x');
    device_->write(page.data(), CW_PAGE_SIZE, 0);
    const std::string top = dir_ / "top";
    EXPECT_TRUE(tell(R"({"do": "snapshot", "path": ")" + top + "\"}").value("ok", false));
    EXPECT_EQ(memory_.tops, std::vector<std::string>{top});
    EXPECT_EQ(device_->info().nr_layers, 2u);
    std::vector<u8> read(CW_PAGE_SIZE);
    device_->read(read.data(), CW_PAGE_SIZE, 0);
    EXPECT_EQ(read, page);
    device_->close();
    EXPECT_TRUE(identify_cow(dir_ / "cow").frozen);
    EXPECT_FALSE(identify_cow(top).frozen);
}

TEST_F(ServeOrders, TheTopOfASnapshotIsLocked) {
    const std::string top = dir_ / "top";
    EXPECT_TRUE(tell(R"({"do": "snapshot", "path": ")" + top + "\"}").value("ok", false));
    ServedOptions other = options_;
    other.cows = {top};
    NewCow none;
    EXPECT_THROW(open_served(other, none), Error);
}

TEST_F(ServeOrders, AServerThatGoesOnMakesNoTop) {
    device_.reset();
    std::filesystem::remove(dir_ / "cow");
    NewCow none;
    EXPECT_THROW(open_served(options_, none, Opening::kAgain), Error);
    EXPECT_FALSE(std::filesystem::exists(dir_ / "cow"));
}

TEST_F(ServeOrders, OthersAreRefused) {
    EXPECT_EQ(Json::parse(refuse_order()).at("error"),
              "only root and the user of the server may give orders");
}

TEST_F(ServeOrders, ASnapshotThatCannotBeLeavesNothing) {
    const std::string there = dir_.write("there", text_bytes(kSize));
    EXPECT_NE(refusal(R"({"do": "snapshot", "path": ")" + there + "\"}"), "");
    EXPECT_NE(refusal(R"({"do": "snapshot", "path": ")" + (dir_ / "no/dir") + "\"}"), "");
    EXPECT_EQ(refusal(R"({"do": "snapshot", "path": "top"})"),
              "snapshot: wants the whole path of the new COW file");
    EXPECT_NE(refusal(R"({"do": "snapshot", "path": ")" + (dir_ / "x") + R"(", "codec": "none?"})")
                  .find("there is no such codec"),
              std::string::npos);
    EXPECT_EQ(device_->info().nr_layers, 1u);
    EXPECT_EQ(dir_.names(), (std::vector<std::string>{"cow", "image", "there"}));
}

TEST_F(ServeOrders, AReadOnlyDeviceHasNoSnapshot) {
    device_.reset();
    set("readonly", "true");
    check_options(options_);
    NewCow none;
    device_ = std::make_unique<Device>(open_served(options_, none));
    EXPECT_EQ(refusal(R"({"do": "snapshot", "path": ")" + (dir_ / "top") + "\"}"),
              "the device: has no COW file that could be kept as it is; attach the image with -c");
}

/* The code crosses the socket beside the text; a refusal of the server's own has none. */
TEST_F(ServeOrders, ARefusalOfTheEngineHasItsCode) {
    device_.reset();
    std::filesystem::remove(dir_ / "cow");
    set("cow-format", "uml");
    check_options(options_);
    NewCow top;
    device_ = std::make_unique<Device>(open_served(options_, top));
    top.keep();
    const Json answer = tell(R"({"do": "snapshot", "path": ")" + (dir_ / "top") + "\"}");
    EXPECT_EQ(answer.at("code"), "NOT_FREEZABLE");
    EXPECT_EQ(answer.at("errno"), EOPNOTSUPP);
    EXPECT_FALSE(tell(R"({"do": "dance"})").contains("code"));
}

TEST_F(ServeOrders, WhatIsNoOrder) {
    EXPECT_EQ(refusal("hello"), "is not an order in JSON");
    EXPECT_EQ(refusal("[1]"), "there is no order ''");
    EXPECT_EQ(refusal("{}"), "there is no order ''");
    EXPECT_EQ(refusal(R"({"do": "dance"})"), "there is no order 'dance'");
    EXPECT_EQ(refusal(R"({"do": 4})"), "do: is not text");
    EXPECT_EQ(refusal(R"({"do": "set", "cow_limit": 4})"), "cow_limit: is not text");
    EXPECT_EQ(refusal(R"({"do": "snapshot", "path": "/x", "level": "high"})"),
              "is not an order in JSON");
    EXPECT_NE(refusal(R"({"do": "set", "cow_limit": "1K"})").find("cannot be set"),
              std::string::npos);
}

TEST_F(ServeOrders, ARawImageHasNoBlocksToRecord) {
    EXPECT_EQ(refusal(R"({"do": "recorded"})"),
              "a raw image has no blocks whose reads could be recorded");
}

TEST(ServeRecord, TellsTheFirstReadsInTheirOrder) {
    constexpr u32 kBlock = 4096;
    const Bytes plain = text_bytes(20 * kBlock);
    const MadeImage made = make_image(image_writer_cloopw, writer_options("zstd", kBlock), plain);
    Device::Config config;
    config.record = true;
    Device device(Io::memory("image", made.file), {}, config);
    Bytes out(kBlock);
    for (u64 block : {7u, 3u, 7u, 12u, 3u}) {
        device.read(out.data(), 100, block * kBlock);
    }
    Memory memory;
    SpaceWatch watch;
    auto tell = [&](const std::string &line) {
        return Json::parse(carry_out(device, line, memory, watch));
    };
    const Json all = tell(R"({"do": "recorded"})");
    EXPECT_EQ(all.at("block_size"), kBlock);
    std::vector<u64> blocks;
    for (const Json &read : all.at("reads")) {
        blocks.push_back(read.at(0));
    }
    EXPECT_EQ(blocks, (std::vector<u64>{7, 3, 12}));
    EXPECT_EQ(tell(R"({"do": "recorded", "from": 2})").at("reads").size(), 1u);
    EXPECT_EQ(tell(R"({"do": "recorded", "from": 3})").at("reads").size(), 0u);
    EXPECT_EQ(tell(R"({"do": "recorded", "from": 99})").at("reads").size(), 0u);
}

}  // namespace
}  // namespace cloopw::test

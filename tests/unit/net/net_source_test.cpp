// SPDX-License-Identifier: GPL-2.0
/* An image at a URL: what is read, what is asked for, and what a server in trouble does. */
#include "lib/net/source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "support/data.h"
#include "support/hooks.h"
#include "support/http_server.h"
#include "support/make_image.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

using namespace std::chrono_literals;

constexpr size_t kChunk = 64 << 10;
constexpr size_t kSize = 40 * kChunk + 1000;

std::string text_of(const CaptureLog &log) {
    std::string text;
    for (const std::string &line : log.lines()) {
        text += line + "\n";
    }
    return text;
}

class NetSource : public testing::Test {
protected:
    NetSource() : content_(random_bytes(kSize)), server_(content_) {
        net_settings() = {};
        net_settings().chunk = kChunk;
        net_settings().timeout = 1;
        net_settings().stall = 1;
    }
    ~NetSource() override { net_settings() = {}; }

    Bytes read(const Io &io, u64 off, size_t len) const {
        Bytes bytes(len);
        io.read(bytes.data(), len, off);
        return bytes;
    }
    Bytes expected(u64 off, size_t len) const {
        const auto at = content_.begin() + static_cast<std::ptrdiff_t>(off);
        return {at, at + static_cast<std::ptrdiff_t>(len)};
    }
    void expect_right(const Io &io, u64 off, size_t len) const {
        EXPECT_EQ(read(io, off, len), expected(off, len)) << off << " " << len;
    }
    /* The errno of a read; 0: it succeeded. */
    int error_of_read(const Io &io, u64 off = 0, size_t len = 4096) const {
        try {
            (void)read(io, off, len);
        } catch (const Error &e) {
            return e.err();
        }
        return 0;
    }
    std::string refusal(const std::string &url) const {
        try {
            (void)open_source(url);
        } catch (const Error &e) {
            return e.what();
        }
        return "";
    }
    /* The probe of a file's version is a request for one byte. */
    static bool is_probe(const HttpRequest &request) { return request.last == 0; }
    size_t data_requests() const {
        const auto requests = server_.requests();
        return static_cast<size_t>(std::count_if(requests.begin(), requests.end(),
                                                 [](const auto &r) { return !is_probe(r); }));
    }

    ScratchDir dir_;
    const Bytes content_;
    HttpServer server_;
};

TEST_F(NetSource, ReadsAnyRange) {
    const Io io = open_source(server_.url());
    EXPECT_EQ(io.size(), kSize);
    expect_right(io, 0, 1);
    expect_right(io, kChunk - 1, 2);
    expect_right(io, 3 * kChunk + 5, 2 * kChunk);
    expect_right(io, kSize - 1, 1);
    expect_right(io, 0, kSize);
    EXPECT_EQ(error_of_read(io, kSize - 1, 2), EIO);
    EXPECT_EQ(error_of_read(io, ~u64{0}, 2), EIO);
}

TEST_F(NetSource, OpensAWindow) {
    const Io io = open_source(server_.url(), 1000, 5000);
    EXPECT_EQ(io.size(), 5000u);
    EXPECT_EQ(read(io, 0, 5000), expected(1000, 5000));
    EXPECT_EQ(error_of_read(io, 4999, 2), EIO);
    EXPECT_EQ(open_source(server_.url(), kSize - 5).size(), 5u);
    EXPECT_EQ(open_source(server_.url(), kSize + 5).size(), 0u);
}

TEST_F(NetSource, AsksForAlignedChunksOnce) {
    const Io io = open_source(server_.url());
    server_.forget_requests();
    expect_right(io, 10 * kChunk + 7, 10);
    expect_right(io, 10 * kChunk + 70, 4096);
    const auto requests = server_.requests();
    ASSERT_EQ(requests.size(), 1u);
    EXPECT_EQ(requests[0].first, 10 * kChunk);
    EXPECT_EQ(requests[0].last, 11 * kChunk - 1);
    EXPECT_EQ(requests[0].headers.at("if-range"), "\"1\"");
}

TEST_F(NetSource, FetchesNeighboursByOneRequest) {
    const Io io = open_source(server_.url());
    server_.forget_requests();
    expect_right(io, 20 * kChunk, 8 * kChunk);
    ASSERT_EQ(server_.requests().size(), 1u);
    EXPECT_EQ(server_.requests()[0].last, 28 * kChunk - 1);
}

TEST_F(NetSource, ReadersShareAFetch) {
    const Io io = open_source(server_.url());
    server_.forget_requests();
    server_.on_request([](const auto &, auto &) { std::this_thread::sleep_for(100ms); });
    std::vector<std::thread> readers;
    for (int i = 0; i < 8; i++) {
        readers.emplace_back([&, i] { expect_right(io, static_cast<u64>(i) * 100, 100); });
    }
    for (auto &reader : readers) {
        reader.join();
    }
    EXPECT_EQ(data_requests(), 1u);
}

TEST_F(NetSource, IsOpenOnceInAProcess) {
    const Io first = open_source(server_.url());
    expect_right(first, 0, 4096);
    server_.forget_requests();
    const Io second = open_source(server_.url());
    expect_right(second, 0, 4096);
    EXPECT_EQ(server_.requests().size(), 0u);
}

TEST_F(NetSource, ReadsAStreamAhead) {
    const Io io = open_source(server_.url());
    for (size_t off = 0; off < 8 * kChunk; off += 4096) {
        expect_right(io, off, 4096);
    }
    for (int i = 0; i < 1000 && net_stats(io.get())->fetched_bytes < 9 * kChunk; i++) {
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_GE(net_stats(io.get())->fetched_bytes, 9 * kChunk);
    const Io random = open_source(server_.url("/image?again"));
    for (u64 chunk : {30u, 2u, 17u, 9u}) {
        expect_right(random, chunk * kChunk, 4096);
    }
    EXPECT_EQ(net_stats(random.get())->fetched_bytes, 4 * kChunk);
}

TEST_F(NetSource, AReaderIsNeverBehindWhatIsReadAhead) {
    const Io io = open_source(server_.url());
    std::promise<void> was_read;
    const std::shared_future<void> may_answer = was_read.get_future().share();
    /* Answers that did not wait in vain. The server's threads may outlive this test. */
    const auto in_time = std::make_shared<std::atomic<int>>(0);
    server_.on_request([may_answer, in_time](const HttpRequest &request, HttpAnswer &) {
        if (request.first >= 20 * kChunk) {
            *in_time += may_answer.wait_for(60s) == std::future_status::ready ? 1 : 0;
        }
    });
    cw_will_read(&io.get(), 20 * kChunk, 16 * kChunk);
    expect_right(io, 0, 4096); /* while no answer to what is read ahead can come */
    was_read.set_value();
    expect_right(io, 35 * kChunk, 4096);
    EXPECT_GT(*in_time, 0);
}

/* ---- the server ---- */

TEST_F(NetSource, RefusesWhatIsNoFile) {
    server_.on_request([](const auto &, HttpAnswer &answer) { answer.status = 404; });
    EXPECT_EQ(refusal(server_.url()),
              server_.url() + ": cannot be read: the server answered with status 404");
    server_.on_request([](const auto &, HttpAnswer &answer) { answer.status = 416; });
    EXPECT_NE(refusal(server_.url()).find("is empty"), std::string::npos);
    server_.on_request([](const auto &, HttpAnswer &answer) { answer.status = 200; });
    EXPECT_NE(refusal(server_.url()).find("no range requests"), std::string::npos);
    server_.stop();
    EXPECT_NE(refusal(server_.url() + "?secret").find("cannot be read"), std::string::npos);
    EXPECT_EQ(refusal(server_.url() + "?secret").find("secret"), std::string::npos);
}

TEST_F(NetSource, AFileThatChangedGivesNoMixedData) {
    const Io io = open_source(server_.url());
    expect_right(io, 0, 4096);
    Bytes other = random_bytes(kSize, 7);
    server_.set_content(other, "\"2\"");
    const CaptureLog lines;
    EXPECT_EQ(error_of_read(io, 5 * kChunk), EIO);
    EXPECT_NE(text_of(lines).find("has changed on the server"), std::string::npos);
    expect_right(io, 0, 4096); /* memory still has it */
    server_.set_content(content_, "\"1\"");
    expect_right(io, 5 * kChunk, 4096);
}

TEST_F(NetSource, ATagThatWasWeakAtFirstIsTheSame) {
    server_.set_content(content_, "W/\"1\"");
    const Io io = open_source(server_.url());
    server_.set_content(content_, "\"1\"");
    server_.on_request([](const HttpRequest &request, const HttpAnswer &) {
        EXPECT_EQ(request.headers.count("if-range"), 0u);
    });
    expect_right(io, 5 * kChunk, 4096);
}

TEST_F(NetSource, AnotherLengthIsAnotherFile) {
    const Io io = open_source(server_.url());
    Bytes longer = content_;
    longer.push_back(1);
    server_.set_content(longer, "\"1\"");
    EXPECT_EQ(error_of_read(io, 5 * kChunk), EIO);
}

struct Trouble {
    const char *name;
    std::function<void(const HttpRequest &, HttpAnswer &)> what;
};

class NetTrouble : public NetSource, public testing::WithParamInterface<size_t> {};

const std::vector<Trouble> &troubles() {
    static const std::vector<Trouble> all = {
        {"status503", [](const auto &, HttpAnswer &a) { a.status = 503; }},
        {"status404", [](const auto &, HttpAnswer &a) { a.status = 404; }},
        {"whole_file", [](const auto &, HttpAnswer &a) { a.status = 200; }},
        {"cut_off", [](const auto &, HttpAnswer &a) { a.cut = 1000; }},
        {"cut_at_once", [](const auto &, HttpAnswer &a) { a.cut = 0; }},
        {"silent", [](const auto &, HttpAnswer &a) { a.silent = true; }},
        {"other_range",
         [](const HttpRequest &r, HttpAnswer &a) {
             a.headers["Content-Range"] = "bytes " + std::to_string(r.first + 1) + "-" +
                                          std::to_string(r.last + 1) + "/" + std::to_string(kSize);
         }},
        {"no_range", [](const auto &, HttpAnswer &a) { a.headers.erase("Content-Range"); }},
        {"nonsense_range",
         [](const auto &, HttpAnswer &a) { a.headers["Content-Range"] = "bytes 9-1/*"; }},
        {"short_range",
         [](const HttpRequest &r, HttpAnswer &a) {
             a.body.resize(a.body.size() / 2);
             a.headers["Content-Range"] = "bytes " + std::to_string(r.first) + "-" +
                                          std::to_string(r.first + a.body.size() - 1) + "/" +
                                          std::to_string(kSize);
         }},
        {"longer_body", [](const auto &, HttpAnswer &a) { a.body += "more"; }},
        {"shorter_body", [](const auto &, HttpAnswer &a) { a.body.resize(a.body.size() / 2); }},
        {"redirect_loop",
         [](const auto &, HttpAnswer &a) {
             a.status = 302;
             a.headers["Location"] = "/image";
         }},
    };
    return all;
}

/* Every second answer is bad: all that is read is right. */
TEST_P(NetTrouble, IsTriedAgain) {
    const Io io = open_source(server_.url());
    std::atomic<int> count = 0;
    const Trouble &trouble = troubles()[GetParam()];
    server_.on_request([&](const HttpRequest &request, HttpAnswer &answer) {
        if (count++ % 2 == 0) {
            trouble.what(request, answer);
        }
    });
    net_settings().timeout = 20;
    expect_right(io, 3 * kChunk + 9, 4096);
    expect_right(io, 12 * kChunk, 3 * kChunk);
}

/* Every answer is bad: an error after the time that was set, and then it works again. */
TEST_P(NetTrouble, IsAnErrorInTheEnd) {
    const Io io = open_source(server_.url());
    const Trouble &trouble = troubles()[GetParam()];
    server_.on_request(trouble.what);
    const CaptureLog lines;
    EXPECT_EQ(error_of_read(io, 3 * kChunk), EIO);
    EXPECT_NE(text_of(lines).find("a read failed after 1 s"), std::string::npos) << text_of(lines);
    server_.on_request(nullptr);
    expect_right(io, 3 * kChunk, 4096);
}

INSTANTIATE_TEST_SUITE_P(All, NetTrouble, testing::Range(size_t{0}, troubles().size()),
                         [](const auto &info) { return troubles()[info.param].name; });

TEST_F(NetSource, AServerThatIsGoneAWhileCostsTimeOnly) {
    net_settings().timeout = 30;
    const Io io = open_source(server_.url());
    server_.stop();
    std::thread back([&] {
        std::this_thread::sleep_for(1500ms);
        server_.start();
    });
    expect_right(io, 3 * kChunk, 4096);
    back.join();
}

TEST_F(NetSource, AFailedReadAheadCostsNobodyAnError) {
    const Io io = open_source(server_.url());
    server_.stop();
    cw_will_read(&io.get(), 4 * kChunk, 4 * kChunk);
    std::this_thread::sleep_for(300ms);
    server_.start();
    expect_right(io, 4 * kChunk, 4 * kChunk);
}

/* Its server is gone for ever, and so is the patience of who waits. */
TEST_F(NetSource, ReadsThatWaitFailWhenItIsAbandoned) {
    net_settings().timeout = 0;
    const Io io = open_source(server_.url());
    server_.stop();
    std::thread end([&] {
        std::this_thread::sleep_for(500ms);
        abandon_source(io.get());
    });
    EXPECT_EQ(error_of_read(io, 3 * kChunk), EIO);
    end.join();
    EXPECT_EQ(error_of_read(io, 5 * kChunk), EIO);
}

TEST_F(NetSource, GoesOnAfterARest) {
    const Io io = open_source(server_.url());
    expect_right(io, 0, 4096);
    rest_source(io.get());
    rest_source(io.get());
    expect_right(io, 7 * kChunk, 4096);
}

/* ---- wrong bytes ---- */

TEST_F(NetSource, AWrongCopyIsFetchedAgainPastCaches) {
    const Bytes plain = text_bytes(kSize);
    const MadeImage made = make_image(image_writer_cloopw, writer_options("zstd"), plain);
    server_.set_content(made.file, "\"3\"");
    std::atomic<bool> lying = true;
    std::atomic<int> past = 0;
    server_.on_request([&](const HttpRequest &request, HttpAnswer &answer) {
        past += request.headers.count("cache-control") != 0 ? 1 : 0;
        if (lying && request.headers.count("cache-control") == 0 && !is_probe(request) &&
            answer.body.size() > 9000) {
            answer.body[8000] = static_cast<char>(~answer.body[8000]);
        }
    });
    const CaptureLog lines;
    const Image image(open_source(server_.url()));
    Bytes all(image.size());
    image.read(all.data(), static_cast<u32>(all.size()), 0);
    EXPECT_EQ(all, plain);
    EXPECT_GT(past, 0);
    EXPECT_EQ(text_of(lines), "");
}

/* ---- the cache ---- */

class NetCache : public NetSource {
protected:
    NetCache() { net_settings().cache = dir_ / "cache"; }

    void fill() const {
        const Io io = open_source(server_.url());
        expect_right(io, 0, kSize);
    }
};

TEST_F(NetCache, AllIsThereTheSecondTime) {
    fill();
    server_.forget_requests();
    const Io io = open_source(server_.url());
    expect_right(io, 0, kSize);
    EXPECT_EQ(data_requests(), 0u);
    EXPECT_EQ(net_stats(io.get())->fetched_bytes, 0u);
    EXPECT_EQ(net_stats(io.get())->saved_bytes, kSize);
}

TEST_F(NetCache, WorksWithoutTheNetworkWhenItIsFull) {
    net_settings().offline = true;
    EXPECT_NE(refusal(server_.url()), "");
    net_settings().offline = false;
    {
        const Io io = open_source(server_.url());
        expect_right(io, 0, 4096);
    }
    server_.stop();
    net_settings().offline = true;
    EXPECT_NE(refusal(server_.url()).find("holds 1 of the 41 pieces of 64K"), std::string::npos)
        << refusal(server_.url());
    server_.start();
    net_settings().offline = false;
    fill();
    server_.stop();
    net_settings().offline = true;
    const Io io = open_source(server_.url());
    expect_right(io, 0, kSize);
}

TEST_F(NetCache, WithoutTheNetworkNothingOfItIsLost) {
    fill();
    server_.stop();
    const Bytes sound = read_bytes(dir_ / "cache");
    net_settings().offline = true;
    net_settings().chunk = 2 * kChunk;
    EXPECT_NE(refusal(server_.url()).find("has pieces of another size"), std::string::npos);
    EXPECT_EQ(read_bytes(dir_ / "cache"), sound);
    net_settings().chunk = kChunk;
    const Io io = open_source(server_.url());
    EXPECT_FALSE(cw_distrust(&io.get(), 3 * kChunk, 100));
    expect_right(io, 3 * kChunk, 100);
    EXPECT_EQ(read_bytes(dir_ / "cache"), sound);
}

TEST_F(NetCache, ManyBeginItAtOnce) {
    std::vector<std::thread> programs;
    std::atomic<int> right = 0;
    for (int i = 0; i < 6; i++) {
        programs.emplace_back([&, i] { /* each with a store of its own */
                                       const Io io =
                                           open_source(server_.url("/image?" + std::to_string(i)));
                                       right += read(io, 0, kSize) == content_ ? 1 : 0;
        });
    }
    for (std::thread &program : programs) {
        program.join();
    }
    EXPECT_EQ(right, 6);
    server_.forget_requests();
    fill();
    EXPECT_EQ(data_requests(), 0u);
}

TEST_F(NetCache, ACutWhileItBeginsLeavesACacheOrNothing) {
    fill();
    const Bytes sound = read_bytes(dir_ / "cache");
    for (size_t len : {size_t{0}, size_t{3200}, size_t{4096}}) {
        dir_.write("cache", Bytes(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(len)));
        EXPECT_EQ(refusal(server_.url()), "") << len;
    }
}

TEST_F(NetSource, VersionsHaveSums) {
    u64 first = 0;
    {
        const Io io = open_source(server_.url());
        first = version_sum(io.get());
        EXPECT_NE(first, 0u);
    }
    server_.set_content(content_, "W/\"1\"");
    EXPECT_EQ(version_sum(open_source(server_.url()).get()), first);
    server_.set_content(content_, "\"2\"");
    EXPECT_NE(version_sum(open_source(server_.url()).get()), first);
    EXPECT_EQ(version_sum(Io::memory("x").get()), 0u);
}

TEST_F(NetCache, AnotherVersionBeginsItAnew) {
    fill();
    const Bytes other = random_bytes(kSize, 9);
    server_.set_content(other, "\"9\"");
    const Io io = open_source(server_.url());
    EXPECT_EQ(read(io, 0, kSize), other);
}

TEST_F(NetCache, ServesSeveralAtOnceButNotTwoVersions) {
    const Io first = open_source(server_.url());
    expect_right(first, 0, kSize);
    server_.forget_requests();
    const Io second = open_source(server_.url("/image?again"));
    expect_right(second, 0, kSize);
    EXPECT_EQ(data_requests(), 0u);
    server_.set_content(random_bytes(kSize, 9), "\"9\"");
    EXPECT_NE(refusal(server_.url("/image?third")).find("in use as the cache of another"),
              std::string::npos);
}

TEST_F(NetCache, ASmallOneKeepsWhatWasUsedLast) {
    net_settings().cache_bytes = 16 * kChunk;
    fill();
    EXPECT_LE(std::filesystem::file_size(dir_ / "cache"), 17 * kChunk);
    server_.forget_requests();
    const Io io = open_source(server_.url());
    expect_right(io, 0, kSize);
    EXPECT_GT(net_stats(io.get())->fetched_bytes, 20 * kChunk);
}

TEST_F(NetCache, SaysThatItsRoomIsWhatItWasMadeWith) {
    net_settings().cache_bytes = 16 * kChunk;
    fill();
    const CaptureLog lines;
    open_source(server_.url("/image?same"));
    EXPECT_EQ(text_of(lines), "");
    net_settings().cache_bytes = 24 * kChunk;
    open_source(server_.url("/image?more"));
    EXPECT_NE(text_of(lines).find("cache: keeps room for " + std::to_string(16 * kChunk) +
                                  " bytes, as it was made; remove it to change that"),
              std::string::npos)
        << text_of(lines);
}

TEST_F(NetCache, AllKindsOfDamageAreFetchedAgain) {
    fill();
    const Bytes sound = read_bytes(dir_ / "cache");
    for (size_t at = 0; at < sound.size(); at += at < 8192 ? 509 : 130003) {
        Bytes damaged = sound;
        for (size_t i = at; i < std::min(at + 64, sound.size()); i++) {
            damaged[i] = static_cast<u8>(~damaged[i]);
        }
        dir_.write("cache", damaged);
        if (at < 16) { /* it is no cache any more */
            EXPECT_NE(refusal(server_.url()).find("is no cache of a URL"), std::string::npos);
            continue;
        }
        const Io io = open_source(server_.url());
        EXPECT_EQ(read(io, 0, kSize), content_) << at;
    }
    for (size_t len : {size_t{4096}, size_t{5000}, sound.size() / 2, sound.size() - 1}) {
        dir_.write("cache", Bytes(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(len)));
        const Io io = open_source(server_.url());
        EXPECT_EQ(read(io, 0, kSize), content_) << len;
    }
}

TEST_F(NetCache, IsNoOtherFile) {
    dir_.write("cache", text_bytes(100));
    EXPECT_NE(refusal(server_.url()).find("is no cache of a URL"), std::string::npos);
    EXPECT_EQ(read_bytes(dir_ / "cache"), text_bytes(100));
    net_settings().cache = dir_ / "none/cache";
    const CaptureLog lines;
    EXPECT_EQ(refusal(server_.url()), "");
    EXPECT_NE(text_of(lines).find("what is fetched is not kept"), std::string::npos);
}

/* Whoever can write to the directory can make a cache of the URL there, or a link. */
TEST_F(NetCache, AnotherUsersFileIsNotBelieved) {
    const std::string cache = dir_ / "cache";
    fill();
    if (geteuid() == 0) {
        ASSERT_EQ(chown(cache.c_str(), 12, 34), 0);
        server_.forget_requests();
        const CaptureLog lines;
        fill();
        EXPECT_GT(data_requests(), 0u);
        EXPECT_NE(text_of(lines).find("cache: is another user's, and is not believed"),
                  std::string::npos);
        net_settings().offline = true;
        EXPECT_NE(refusal(server_.url()).find("is another user's cache, and is not believed"),
                  std::string::npos);
        net_settings().offline = false;
    }
    const std::string secret = dir_.write("secret", Bytes());
    std::filesystem::remove(cache);
    std::filesystem::create_symlink(secret, cache);
    fill();
    EXPECT_EQ(read_bytes(secret), Bytes());
    std::filesystem::remove(cache);
    ASSERT_EQ(mkfifo(cache.c_str(), 0600), 0);
    net_settings().offline = true;
    EXPECT_NE(refusal(server_.url()).find("is no cache of a URL"), std::string::npos);
}

TEST_F(NetCache, ADirectoryHasAFileForEachUrl) {
    net_settings().cache = dir_ / "";
    fill();
    server_.forget_requests();
    fill();
    EXPECT_EQ(data_requests(), 0u);
    const Io other = open_source(server_.url("/other"));
    expect_right(other, 0, 4096);
    EXPECT_EQ(data_requests(), 1u);
}

TEST_F(NetCache, AServerThatNamesNoVersionIsNotTrustedLater) {
    server_.on_request([](const auto &, HttpAnswer &answer) {
        answer.headers.erase("ETag");
        answer.headers.erase("Last-Modified");
    });
    fill();
    server_.forget_requests();
    fill();
    EXPECT_GT(data_requests(), 0u);
}

}  // namespace
}  // namespace cloopw::test

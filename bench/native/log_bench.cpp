// SPDX-License-Identifier: GPL-2.0
/*
 * log-bench: how fast COW logs take data, against the compressor alone on as
 * many threads, and how soon one that was killed is attached again. With
 * --values as lines NAME VALUE UNIT, for bench/table.awk.
 */
#include <fcntl.h>
#include <fmt/format.h>
#include <lz4.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "lib/cloopw.h"
#include "lib/cow/log_writer.h"

namespace {

using cloopw::Device;
using cloopw::Io;
using Clock = std::chrono::steady_clock;

constexpr u32 kExtent = 64 << 10;
constexpr u64 kMiB = u64{1} << 20;
constexpr u64 kSource = 64 * kMiB;

bool only_values = false;

/* A figure: for a reader, or for a table. */
void value(const std::string &name, double number, const char *unit) {
    if (only_values) {
        fmt::print("{} {:.1f} {}\n", name, number, unit);
    } else {
        fmt::print("{:24} {:10.1f} {}\n", name, number, unit);
    }
}

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/* Words of a small language with numbers in between: shrinks like text. */
std::vector<char> make_source() {
    std::mt19937 random(1);
    std::vector<std::string> words(3000);
    for (std::string &word : words) {
        for (u32 n = 2 + random() % 8; n != 0; n--) {
            word += static_cast<char>('a' + random() % 26);
        }
        word += ' ';
    }
    std::vector<char> source;
    source.reserve(kSource + 64);
    while (source.size() < kSource) {
        const std::string &word = words[std::min(random() % 3000, random() % 3000)];
        source.insert(source.end(), word.begin(), word.end());
        if (random() % 16 == 0) {
            const std::string number = std::to_string(random());
            source.insert(source.end(), number.begin(), number.end());
        }
    }
    source.resize(kSource);
    return source;
}

/* Returns the bytes of extents that all threads together do in a second. */
template <typename Work>
double measure(u32 threads, u64 extents, const Work &work) {
    const auto start = Clock::now();
    std::vector<std::thread> pool;
    for (u32 i = 0; i < threads; i++) {
        pool.emplace_back([&, i] {
            for (u64 n = i; n < extents; n += threads) {
                work(n);
            }
        });
    }
    for (std::thread &thread : pool) {
        thread.join();
    }
    return static_cast<double>(extents) * kExtent / seconds_since(start);
}

double compress_alone(u32 threads, u64 extents, const std::vector<char> &source) {
    return measure(threads, extents, [&](u64 n) {
        thread_local std::vector<char> state(static_cast<size_t>(LZ4_sizeofState()));
        thread_local std::vector<char> out(LZ4_COMPRESSBOUND(kExtent));
        LZ4_compress_fast_extState(state.data(), &source[n * kExtent % kSource], out.data(),
                                   kExtent, static_cast<int>(out.size()), 1);
    });
}

int make_file(const std::string &path) {
    const int fd = path.empty() ? memfd_create("log-bench", MFD_CLOEXEC)
                                : open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        throw cloopw::io_error(path, "cannot be made", errno);
    }
    /* A disk keeps the superblocks of the log before. */
    const std::vector<char> none(CW_LOG_START);
    if (pwrite(fd, none.data(), none.size(), 0) < 0) {
        throw cloopw::io_error(path, "cannot be written", errno);
    }
    return fd;
}

Io make_base(u64 size) {
    const int fd = make_file("");
    if (ftruncate(fd, static_cast<off_t>(size)) != 0) {
        throw cloopw::io_error("base", "cannot be made", errno);
    }
    return Io::adopt(fd, "base");
}

Device attach(int cow, u64 size) {
    std::vector<Io> layers;
    layers.push_back(Io::adopt(dup(cow), "cow"));
    return Device(make_base(size), std::move(layers), {});
}

double append(Device *device, u32 threads, u64 extents, const std::vector<char> &source) {
    return measure(threads, extents, [&](u64 n) {
        device->write(&source[n * kExtent % kSource], kExtent, n * kExtent);
    });
}

void bench_append(const std::string &path, u32 threads, u64 bytes, const std::string &codec,
                  const std::vector<char> &source) {
    const int fd = make_file(path);
    cloopw::LogCowConfig config;
    config.size = bytes;
    config.codec = codec;
    cloopw::write_log_cow(fd, "cow", config);
    Device device = attach(fd, bytes);
    const double alone = compress_alone(threads, bytes / kExtent, source);
    const double log = append(&device, threads, bytes / kExtent, source);
    value(fmt::format("append_{}_{}", codec, threads), log / 1e6, "MB/s");
    value(fmt::format("liblz4_{}_{}", codec, threads), alone / 1e6, "MB/s");
    device.close();
    close(fd);
}

/* Pages of 4 KiB, each made durable, by so many writers at once. */
void bench_fsync(const std::string &path, u32 writers, const std::vector<char> &source) {
    constexpr u32 kPage = 4096;
    constexpr u64 kCommits = 8000;
    const int fd = make_file(path);
    cloopw::LogCowConfig config;
    config.size = kCommits * kPage;
    cloopw::write_log_cow(fd, "cow", config);
    Device device = attach(fd, config.size);
    const auto start = Clock::now();
    measure(writers, kCommits, [&](u64 n) {
        /* Shrinks to a little more than half, like most pages. */
        std::array<char, kPage> page{};
        memcpy(page.data(), &source[n * kPage % kSource], kPage / 2);
        memcpy(page.data() + kPage / 2, page.data(), kPage / 2);
        device.write(page.data(), kPage, n * kPage);
        device.flush();
    });
    value(fmt::format("fsync_{}", writers), kCommits / seconds_since(start), "/s");
    const cw_cow_stat stored = device.stats().cow;
    value(fmt::format("fsync_{}_stored", writers),
          static_cast<double>(stored.live_bytes + stored.dead_bytes) / kCommits, "bytes");
    device.close();
    close(fd);
}

/* The first device is never closed: its file is as a kill would leave it. */
void bench_recovery(const std::string &path, u64 bytes, const std::vector<char> &source) {
    const int fd = make_file(path);
    cloopw::LogCowConfig config;
    config.size = bytes;
    cloopw::write_log_cow(fd, "cow", config);
    auto *killed = new Device(attach(fd, bytes));
    append(killed, std::thread::hardware_concurrency(), bytes / kExtent, source);
    const auto stored = killed->stats().cow.live_bytes;

    malloc_trim(0);
    const struct mallinfo2 before = mallinfo2();
    const auto start = Clock::now();
    Device device = attach(fd, bytes);
    const double seconds = seconds_since(start);
    const struct mallinfo2 after = mallinfo2();
    const double memory = static_cast<double>(after.uordblks + after.hblkhd) -
                          static_cast<double>(before.uordblks + before.hblkhd);
    char page[4096];
    for (u64 off = 0; off < bytes; off += 2 * kMiB) {
        device.read(page, sizeof(page), off);
        if (memcmp(page, &source[off % kSource], sizeof(page)) != 0) {
            throw cloopw::Error("recovery lost data");
        }
    }
    const struct mallinfo2 used = mallinfo2();
    const double all = static_cast<double>(used.uordblks + used.hblkhd) -
                       static_cast<double>(before.uordblks + before.hblkhd);
    value("stored", static_cast<double>(stored) / kMiB, "MiB");
    value("recovery", seconds * 1e3, "ms");
    value("recovery_limit", 1000, "ms");
    value("memory_attached", memory / kMiB, "MiB");
    value("memory_read_all_over", all / kMiB, "MiB");
    value("memory_limit", 16, "MiB");
}

}  // namespace

int main(int argc, char **argv) {
    try {
        std::string path;
        u64 mib = 4096;
        CLI::App app("Measures the engine's COW log.");
        app.add_option("--file", path, "The log's file; else one in memory");
        app.add_option("--mib", mib, "Bytes written, in MiB");
        app.add_flag("--values", only_values, "Lines NAME VALUE UNIT");
        CLI11_PARSE(app, argc, argv);
        const std::vector<char> source = make_source();
        for (u32 threads : {1u, 2u}) {
            bench_append(path, threads, mib / 4 * kMiB, "lz4", source);
        }
        bench_append(path, 2, mib / 4 * kMiB, "none", source);
        for (u32 writers : {1u, 8u}) {
            bench_fsync(path, writers, source);
        }
        bench_recovery(path, mib * kMiB, source);
    } catch (const std::exception &e) {
        fputs("log-bench: ", stderr);
        fputs(e.what(), stderr);
        fputc('\n', stderr);
        return 1;
    }
    fflush(stdout);
    _exit(0); /* the killed device is not to be closed */
}

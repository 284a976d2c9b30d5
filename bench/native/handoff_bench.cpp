// SPDX-License-Identifier: GPL-2.0
/*
 * Compares two callers of fdatasync: each writer for all that wait, and a thread
 * that commits for all. Writes 4 KiB and makes it durable, again and again.
 *
 *   handoff-bench FILE [WRITERS [SECONDS]]
 */
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr size_t kPage = 4096;

/* One fdatasync at a time, for all callers that asked before it began. */
class GroupCommit {
public:
    explicit GroupCommit(int fd) : fd_(fd) {}

    void by_caller() {
        std::unique_lock<std::mutex> hold(lock_);
        const unsigned long wanted = begun_ + 1;
        while (done_ < wanted) {
            if (busy_) {
                changed_.wait(hold);
            } else {
                sync(hold);
            }
        }
    }

    void by_thread() {
        std::unique_lock<std::mutex> hold(lock_);
        const unsigned long wanted = begun_ + 1;
        asked_ = wanted;
        wake_.notify_one();
        changed_.wait(hold, [&] { return done_ >= wanted; });
    }

    void serve(const std::atomic<bool> &end) {
        std::unique_lock<std::mutex> hold(lock_);
        while (!end) {
            if (asked_ > done_) {
                sync(hold);
            } else {
                wake_.wait_for(hold, std::chrono::milliseconds(10));
            }
        }
    }

private:
    void sync(std::unique_lock<std::mutex> &hold) {
        const unsigned long mine = ++begun_;
        busy_ = true;
        hold.unlock();
        if (fdatasync(fd_) != 0) {
            std::abort();
        }
        hold.lock();
        busy_ = false;
        done_ = mine;
        changed_.notify_all();
    }

    int fd_;
    std::mutex lock_;
    std::condition_variable changed_, wake_;
    bool busy_ = false;
    unsigned long begun_ = 0, done_ = 0, asked_ = 0;
};

double rate(int fd, unsigned int writers, double seconds, const std::function<void()> &commit) {
    std::atomic<bool> end = false;
    std::atomic<unsigned long> count = 0;
    std::vector<std::thread> threads;
    for (unsigned int i = 0; i < writers; i++) {
        threads.emplace_back([&, i] {
            const std::array<char, kPage> page{static_cast<char>(i)};
            for (unsigned int n = 0; !end; n++) {
                const off_t at = static_cast<off_t>((i * 256 + n % 256) * kPage);
                if (pwrite(fd, page.data(), kPage, at) != static_cast<ssize_t>(kPage)) {
                    std::abort();
                }
                commit();
                count++;
            }
        });
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    end = true;
    for (std::thread &thread : threads) {
        thread.join();
    }
    return static_cast<double>(count) / seconds;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: handoff-bench FILE [WRITERS [SECONDS]]\n");
        return 2;
    }
    const int fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        fmt::print(stderr, "handoff-bench: {}: cannot be opened\n", argv[1]);
        return 1;
    }
    const unsigned int writers = argc > 2 ? static_cast<unsigned int>(std::atoi(argv[2])) : 1;
    const double seconds = argc > 3 ? std::atof(argv[3]) : 3;
    GroupCommit group(fd);
    const double caller = rate(fd, writers, seconds, [&] { group.by_caller(); });
    std::atomic<bool> end = false;
    std::thread server([&] { group.serve(end); });
    const double thread = rate(fd, writers, seconds, [&] { group.by_thread(); });
    end = true;
    server.join();
    fmt::print("{} writers: by the caller {:.0f}/s, by a thread {:.0f}/s, {:.2f} of it\n", writers,
               caller, thread, thread / caller);
    close(fd);
    return 0;
}

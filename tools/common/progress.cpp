// SPDX-License-Identifier: GPL-2.0
#include "progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/size.h"

namespace cloopw {

namespace {

bool progress_lines = false;

std::string format_time(double seconds) {
    auto s = static_cast<uint64_t>(std::min(seconds, 359999.0));
    if (s >= 3600) {
        return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    }
    return fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

void set_progress_lines(bool on) { progress_lines = on; }

Progress::Progress(Streams &streams, bool wanted, uint64_t total)
    : streams_(streams),
      shown_(wanted && (streams.err_terminal || progress_lines)),
      total_(total) {}

Progress::~Progress() { done(); }

std::string Progress::line(uint64_t bytes, uint64_t total, double seconds, int columns) {
    double rate = seconds > 0 ? static_cast<double>(bytes) / seconds : 0;
    std::string tail =
        fmt::format("{} {}/s", format_size(bytes), format_size(static_cast<uint64_t>(rate)));
    if (total == 0) {
        return tail;
    }

    double part = std::min(1.0, static_cast<double>(bytes) / static_cast<double>(total));
    if (rate > 0) {
        tail +=
            " " + format_time(static_cast<double>(total - std::min(bytes, total)) / rate) + " left";
    }
    std::string head = fmt::format("{:3.0f}% ", part * 100);
    int room = columns - 1 - static_cast<int>(head.size() + tail.size()) - 3;
    if (room < 10) {
        return head + tail;
    }
    auto width = static_cast<size_t>(std::min(room, 40));
    auto filled = static_cast<size_t>(part * static_cast<double>(width));
    return head + "[" + std::string(filled, '#') + std::string(width - filled, ' ') + "] " + tail;
}

void Progress::update(uint64_t bytes) {
    if (!shown_) {
        return;
    }
    auto now = Clock::now();
    if (now < next_) {
        return;
    }
    double seconds = std::chrono::duration<double>(now - start_).count();
    if (progress_lines) {
        next_ = now + std::chrono::seconds(5);
        streams_.err << line(bytes, total_, seconds, 0) << std::endl;
        return;
    }
    next_ = now + std::chrono::milliseconds(100);
    streams_.err << "\r" << line(bytes, total_, seconds, streams_.columns) << "\x1b[K"
                 << std::flush;
    drawn_ = true;
}

void Progress::done() {
    if (drawn_) {
        streams_.err << "\r\x1b[K" << std::flush;
    }
    drawn_ = false;
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "process.h"

#include <fstream>
#include <sstream>
#include <string>

namespace cloopw {
namespace {

/* /proc/PID/stat: "12 (name (x)) S 1 ...", the 20th are the threads, the 22nd the start. */
struct Stat {
    char state = '\0'; /* '\0': there is no such process */
    unsigned int threads = 0;
    uint64_t start = 0;
};

Stat stat_of(pid_t pid) {
    constexpr int kFieldsBetween = 16; /* after the state, before the threads */
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    Stat stat;
    if (!std::getline(file, line) || line.rfind(") ") == std::string::npos) {
        return stat;
    }
    std::istringstream fields(line.substr(line.rfind(") ") + 2));
    fields >> stat.state;
    std::string skipped;
    for (int i = 0; i < kFieldsBetween; i++) {
        fields >> skipped;
    }
    fields >> stat.threads >> skipped >> stat.start;
    return stat;
}

}  // namespace

Process process_of(pid_t pid) { return {pid, stat_of(pid).start}; }

bool is_alive(const Process &process) {
    if (process.pid <= 0) {
        return false;
    }
    /* While other threads of it have not ended, neither have its files been closed. */
    const Stat stat = stat_of(process.pid);
    const bool ended = stat.state == '\0' || (stat.state == 'Z' && stat.threads <= 1);
    return !ended && stat.start == process.start;
}

bool is_stopped(const Process &process) {
    const char state = is_alive(process) ? stat_of(process.pid).state : '\0';
    return state == 'T' || state == 't';
}

}  // namespace cloopw

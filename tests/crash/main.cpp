// SPDX-License-Identifier: GPL-2.0
/*
 * crash-sim: cuts the power of COW logs, many thousand times, and looks whether
 * what was flushed is still there. See docs/explain/cow-log.md.
 */
#include <fmt/format.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <thread>

#include "simulator.h"

namespace {

using cloopw::crash::Case;
using cloopw::crash::Violation;

struct Options {
    u64 cuts = 10000;
    u64 seed = 1;
    u32 per_case = 60;
    s64 cut = -1; /* one alone */
    u32 jobs = std::max(1u, std::thread::hardware_concurrency());
    std::string codec;
    std::string history;
    bool expect_violation = false;
    bool is_quiet = false;
};

/* Shared by all jobs. */
struct Progress {
    std::atomic<u64> next_seed = 0;
    std::atomic<u64> cuts = 0;
    std::atomic<u64> cases = 0;
    std::atomic<u64> mended = 0;
    std::atomic<u64> violations = 0;
};

std::string command(const Options &options, u64 seed, const std::string &history, s64 cut) {
    std::string text = fmt::format("crash-sim --per-case {}", options.per_case);
    text += history.empty() ? fmt::format(" --seed {}", seed) : " --history " + history;
    if (!options.codec.empty()) {
        text += " --codec " + options.codec;
    }
    return cut < 0 ? text + " --cuts 1" : text + fmt::format(" --cut {}", cut);
}

void report(const Options &options, u64 seed, const std::string &history, s64 cut,
            const Violation &violation) {
    fmt::print(stderr, "violation: seed {}, cut {}: {}\n  again: {}\n", seed, cut, violation.what(),
               command(options, seed, history, cut));
}

/* Cuts a case everywhere; stops at the first violation. */
bool cut_case(const Options &options, Case *one, Progress *progress) {
    const std::vector<u32> places = one->places(options.per_case);
    for (u32 i = 0; i < places.size(); i++) {
        if (options.cut >= 0 && i != options.cut) {
            continue;
        }
        try {
            progress->cuts += one->cut(i, places[i]);
        } catch (const Violation &violation) {
            std::string history = options.history;
            if (!one->is_repeatable() && history.empty() && !options.expect_violation) {
                history = fmt::format("crash-sim-{}.history", one->seed());
                one->save(history);
            }
            if (!options.is_quiet) {
                report(options, one->seed(), history, i, violation);
            }
            return false;
        }
    }
    return true;
}

bool run_case(const Options &options, u64 seed, Progress *progress) {
    try {
        Case one(seed, options.codec);
        progress->cases++;
        const bool survived = cut_case(options, &one, progress);
        progress->mended += one.mended();
        return survived;
    } catch (const Violation &violation) {
        if (!options.is_quiet) {
            report(options, seed, "", -1, violation);
        }
        return false;
    }
}

void work(const Options &options, Progress *progress) {
    while (progress->cuts < options.cuts && progress->violations == 0) {
        if (!run_case(options, options.seed + progress->next_seed++, progress)) {
            progress->violations++;
        }
    }
}

u64 run(const Options &options, Progress *progress) {
    if (!options.history.empty()) {
        Case one(options.history);
        return cut_case(options, &one, progress) ? 0 : 1;
    }
    if (options.cut >= 0) {
        return run_case(options, options.seed, progress) ? 0 : 1;
    }
    std::vector<std::thread> threads;
    for (u32 i = 0; i < options.jobs; i++) {
        threads.emplace_back([&] { work(options, progress); });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    return progress->violations;
}

}  // namespace

int main(int argc, char **argv) {
    Options options;
    CLI::App app("Crashes COW logs and checks what recovery makes of them.");
    app.add_option("--cuts", options.cuts, "Crashes, in all");
    app.add_option("--seed", options.seed, "Of the first case; each next has one more");
    app.add_option("--cut", options.cut, "Only this one of the case");
    app.add_option("--per-case", options.per_case, "Places a case is cut at");
    app.add_option("--jobs", options.jobs, "Threads");
    app.add_option("--codec", options.codec, "Of all logs; else each has another");
    app.add_option("--history", options.history, "A case that was kept when it failed");
    app.add_flag("--expect-violation", options.expect_violation,
                 "Fail when none is found: for engines that are broken on purpose");
    app.add_flag("--quiet", options.is_quiet, "Do not say what was violated");
    CLI11_PARSE(app, argc, argv);

    /* Each attach takes megabytes: giving them back each time costs more than all else. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);

    cw_log_bad_quiet(true);
    Progress progress;
    const auto start = std::chrono::steady_clock::now();
    u64 violations;
    try {
        violations = run(options, &progress);
    } catch (const std::exception &e) {
        fmt::print(stderr, "crash-sim: {}\n", e.what());
        return 2;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{} cuts in {} cases, {:.1f} s, {:.0f} cuts/s, {} first superblocks lost: {}\n",
               progress.cuts.load(), progress.cases.load(), seconds,
               static_cast<double>(progress.cuts) / seconds, progress.mended.load(),
               violations != 0 ? "VIOLATED" : "all survived");
    return (violations != 0) != options.expect_violation;
}

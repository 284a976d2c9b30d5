/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A case is a recorded workload. A cut is a crash somewhere in it, the recovery from that,
 * more work, and perhaps a second crash.
 */
#ifndef CLOOPW_TESTS_CRASH_SIMULATOR_H
#define CLOOPW_TESTS_CRASH_SIMULATOR_H

#include <memory>

#include "workload.h"

namespace cloopw::crash {

class Case {
public:
    /* Runs the workload. Throws Violation. */
    Case(u64 seed, const std::string &codec);
    /* The case that save() kept. */
    explicit Case(const std::string &file);
    ~Case();

    u64 seed() const { return seed_; }
    /* Several threads make the case different each time. */
    bool is_repeatable() const { return shape_.threads == 1; }
    void save(const std::string &file) const;

    /* The places of all cuts, ascending. */
    std::vector<u32> places(u32 cuts) const;
    /* Crashes there. Returns the number of crashes. Throws Violation. */
    u32 cut(u32 number, u32 place);
    /* Files whose beginning a crash took. */
    u64 mended() const { return mended_; }

private:
    struct Base;

    void open_base();
    void record();
    void use(RecordedFiles *files, std::vector<Worker> *workers, u32 attach);
    void crash(const Replay &replay, Random *random, Files *out);
    u32 crash_again(u64 seed, const Files &files, const Bytes &survived);
    u32 crash_once_more(const Events &events, const Files &files, const Model &model,
                        Random *random);

    u64 seed_;
    std::string codec_;
    Shape shape_;
    std::unique_ptr<Base> base_;
    Files start_; /* the empty logs */
    Events events_;
    std::unique_ptr<Model> model_;
    std::unique_ptr<Replay> replay_;
    u64 mended_ = 0;
};

}  // namespace cloopw::crash

#endif

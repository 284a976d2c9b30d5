/* SPDX-License-Identifier: GPL-2.0 */
/* Makes a COW log of what two images have different. */
#ifndef CLOOPW_MKCLOOPW_DIFF_H
#define CLOOPW_MKCLOOPW_DIFF_H

#include <atomic>
#include <optional>
#include <string>

#include "input.h"
#include "lib/uuid.h"
#include "tools/common/table.h"
#include "tools/common/tool.h"

namespace cloopw {

struct DiffJob {
    std::string base; /* path or URL of the image below the new log */
    bool raw = false; /* take a base as raw that looks like something else */
    std::string output;
    const cw_codec *codec = nullptr;
    int level = 0;
    bool frozen = false; /* the log is never written again */
    unsigned threads = 1;
    bool force = false;
    bool quiet = false;
    const std::atomic<bool> *cancelled = nullptr;
};

struct DiffResult {
    Uuid uuid = {};
    u64 base_bytes = 0;  /* content of the base */
    u64 input_bytes = 0; /* content of the device with the log */
    u64 plain_bytes = 0; /* bytes of the device that the log holds */
    u64 output_bytes = 0;
};

/*
 * Writes a log over the base that shows the input, with the pages that differ. The log is
 * bound to the base like one that an attach makes. The file appears only when it is
 * complete. Throws Error, also for an input that is shorter than the base.
 */
DiffResult diff(const DiffJob &job, const Input &input, Streams &streams);

/* The result, as JSON or for people. seconds: duration of the job. */
Json diff_json(const DiffJob &job, const Input &input, const DiffResult &result, double seconds);
std::string diff_text(const DiffJob &job, const DiffResult &result, double seconds);

}  // namespace cloopw

#endif

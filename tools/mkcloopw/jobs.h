/* SPDX-License-Identifier: GPL-2.0 */
/* What mkcloopw does, apart from its command line. */
#ifndef CLOOPW_MKCLOOPW_JOBS_H
#define CLOOPW_MKCLOOPW_JOBS_H

#include <atomic>
#include <string>
#include <vector>

#include "input.h"
#include "lib/image/image_writer.h"
#include "tools/common/tool.h"

namespace cloopw {

struct Job {
    std::string input;  /* "-": streams.in_fd */
    std::string output; /* "-": streams.out_fd */
    unsigned threads = 1;
    bool force = false;
    bool quiet = false;
    const std::atomic<bool> *cancelled = nullptr;

    /* For compressing only. */
    const ImageWriterFormat *format = nullptr;
    ImageWriterOptions options;
    bool one_codec = false; /* to estimate: only that of the options */
    std::string order;      /* file with a list of blocks that are stored first; or empty */
};

struct CompressResult {
    ImageWriterStats stats;
    Uuid uuid = {};
};

CompressResult compress(const Job &job, const Input &input, Streams &streams);

struct ExtractResult {
    u64 bytes = 0;
    std::string format; /* of the image */
    u64 image_bytes = 0;
};

ExtractResult extract(const Job &job, const Input &input, Streams &streams);

struct EstimateResult {
    struct Line {
        std::string codec;
        int level;
        u64 output_bytes;
    };
    u64 input_bytes = 0;
    u64 blocks = 0;
    u64 sampled_blocks = 0;
    std::vector<Line> lines;
};

/* What each codec that the format can use would make of the input. */
EstimateResult estimate(const Job &job, const Input &input, Streams &streams);

}  // namespace cloopw

#endif

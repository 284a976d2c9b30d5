/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The jobs of mkcloopw, apart from its command line. All throw Error, also when cancelled.
 */
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

    /* Only for compressing. */
    const ImageWriterFormat *format = nullptr;
    ImageWriterOptions options;
    bool one_codec = false; /* to estimate: only the options' codec */
    /* Files with lists of blocks, which are stored first. */
    std::vector<std::string> orders;
};

struct CompressResult {
    ImageWriterStats stats;
    Uuid uuid = {};
};

/* Writes an image of the input. The file appears only when it is complete. */
CompressResult compress(const Job &job, const Input &input, Streams &streams);

struct ExtractResult {
    u64 bytes = 0;
    std::string format; /* the image's format */
    u64 image_bytes = 0;
};

/*
 * Writes the content of the input to a file, a device or standard output. In a file, long
 * runs of zeros become holes, and it appears when it is complete. Throws Error.
 */
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

/* Compresses a sample of the input with each codec of the format. Writes no file. */
EstimateResult estimate(const Job &job, const Input &input, Streams &streams);

}  // namespace cloopw

#endif

// SPDX-License-Identifier: GPL-2.0
#include "mkcloopw.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>

#include "jobs.h"
#include "tools/common/error.h"
#include "tools/common/size.h"
#include "tools/common/table.h"

namespace cloopw {

namespace {

constexpr int kMaxThreads = 1024;

/* The command line as it was written. */
struct CommandLine {
    std::string input;
    std::string output;
    std::string format = "cloopw";
    std::string codec;
    std::optional<int> level;
    std::string block_size = "64K";
    std::optional<int> threads;
    std::string input_format;
    std::string uuid;
    std::string label;
    bool no_dedupe = false;
    bool extract = false;
    bool force = false;
    bool json = false;
    bool quiet = false;
};

void declare(CLI::App &app, CommandLine &line) {
    setup_app(app);
    app.add_option("INPUT", line.input, "Raw or compressed image, block device, or - (stdin)")
        ->required()
        ->option_text(" ");
    app.add_option("OUTPUT", line.output, "File or block device; - (stdout) with --extract")
        ->required()
        ->option_text(" ");
    auto option = [&app](const char *names, auto &value, const char *text, const char *type) {
        app.add_option(names, value, text)->option_text(type);
    };
    option("-F,--format", line.format, "Format to write: cloopw (default) or cloop2", "NAME");
    option("-c,--codec", line.codec, "none, zlib, lz4, lz4hc or zstd (default)", "NAME");
    option("-l,--level", line.level, "Compression level, higher is smaller", "N");
    option("-b,--block-size", line.block_size, "Bytes compressed at once (64K)", "SIZE");
    option("-j,--threads", line.threads, "Threads (all processors)", "N");
    option("-I,--input-format", line.input_format, "raw, cloopw, cloop2 (look at INPUT)", "NAME");
    option("--uuid", line.uuid, "UUID of the image (derived from it)", "UUID");
    option("--label", line.label, "Label of the image", "TEXT");
    app.add_flag("--no-dedupe", line.no_dedupe, "Store equal blocks each time");
    app.add_flag("-x,--extract", line.extract, "Write the raw image that is in INPUT");
    app.add_flag("-f,--force", line.force, "Overwrite OUTPUT");
    app.add_flag("--json", line.json, "Print the summary as JSON");
    app.add_flag("-q,--quiet", line.quiet, "No progress, no summary");
}

std::string known_codecs() {
    std::string names;
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        names += std::string(i != 0 ? ", " : "") + cw_codecs[i]->name;
    }
    return names;
}

std::string known_writers() {
    std::string names;
    for (const ImageWriterFormat *format : image_writer_formats()) {
        names += std::string(names.empty() ? "" : ", ") + format->name;
    }
    return names;
}

std::string known_readers() {
    std::string names;
    for (unsigned int i = 0; i < cw_image_formats_count; i++) {
        names += std::string(i != 0 ? ", " : "") + cw_image_formats[i]->name;
    }
    return names;
}

const ImageWriterFormat *parse_format(const std::string &name) {
    const ImageWriterFormat *format = image_writer_format(name);
    if (format == nullptr) {
        throw UsageError(
            fmt::format("--format {}: there is no such format; know {}", name, known_writers()));
    }
    return format;
}

const cw_codec *parse_codec(const std::string &name) {
    const cw_codec *codec = cw_codec_by_name(name.c_str());
    if (codec == nullptr) {
        throw UsageError(
            fmt::format("--codec {}: there is no such codec; know {}", name, known_codecs()));
    }
    return codec;
}

u32 parse_block_size(const std::string &text) {
    uint64_t size = parse_size(text, "--block-size");
    return static_cast<u32>(std::min<uint64_t>(size, UINT32_MAX)); /* the format's own check */
}

unsigned parse_threads(const std::optional<int> &threads) {
    if (!threads) {
        return std::clamp(std::thread::hardware_concurrency(), 1u, unsigned{kMaxThreads});
    }
    if (*threads < 1 || *threads > kMaxThreads) {
        throw UsageError(fmt::format("--threads {}: must be within 1..{}", *threads, kMaxThreads));
    }
    return static_cast<unsigned>(*threads);
}

/* For reproducible builds: https://reproducible-builds.org/specs/source-date-epoch/ */
u64 parse_source_date() {
    const char *text = std::getenv("SOURCE_DATE_EPOCH");
    if (text == nullptr) {
        return 0;
    }
    std::string_view view(text);
    u64 date = 0;
    auto [end, ec] = std::from_chars(view.data(), view.data() + view.size(), date);
    if (ec != std::errc() || end != view.data() + view.size()) {
        throw UsageError(fmt::format("SOURCE_DATE_EPOCH={}: is no number of seconds", view));
    }
    return date;
}

void parse_writer_options(const CommandLine &line, Job &job) {
    job.format = parse_format(line.format);
    ImageWriterOptions &options = job.options;
    options.codec =
        parse_codec(line.codec.empty() ? std::string(job.format->default_codec) : line.codec);
    options.level = line.level.value_or(options.codec->default_level);
    options.block_size = parse_block_size(line.block_size);
    options.dedupe = !line.no_dedupe;
    options.label = line.label;
    options.created = parse_source_date();
    if (!line.uuid.empty() && !parse_uuid(line.uuid, options.uuid.data())) {
        throw UsageError(fmt::format(
            "--uuid {}: is no UUID; write 01234567-89ab-cdef-0123-456789abcdef", line.uuid));
    }
    std::string wrong = check_options(*job.format, options);
    if (!wrong.empty()) {
        throw UsageError("--" + wrong);
    }
}

Job parse_job(const CommandLine &line) {
    Job job;
    job.input = line.input;
    job.output = line.output;
    job.input_format = line.input_format;
    job.threads = parse_threads(line.threads);
    job.force = line.force;
    job.quiet = line.quiet;
    if (!line.input_format.empty() &&
        cw_image_format_by_name(line.input_format.c_str()) == nullptr) {
        throw UsageError(fmt::format("--input-format {}: there is no such format; know {}",
                                     line.input_format, known_readers()));
    }
    if (line.extract && line.input == "-") {
        throw UsageError("--extract cannot read standard input: an image is read in any order");
    }
    if (line.extract) {
        return job;
    }
    if (line.output == "-") {
        throw UsageError(
            "an image cannot be written to standard output: its head is written last; name a file");
    }
    parse_writer_options(line, job);
    return job;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double rate(u64 bytes, double seconds) {
    return seconds > 0 ? static_cast<double>(bytes) / seconds / 1e6 : 0;
}

Json compress_json(const Job &job, const CompressResult &result, double seconds) {
    const ImageWriterStats &stats = result.stats;
    Json json;
    json["input"] = job.input;
    json["output"] = job.output;
    json["format"] = job.format->name;
    json["codec"] = job.options.codec->name;
    json["level"] = job.options.level;
    json["block_size"] = job.options.block_size;
    json["threads"] = job.threads;
    json["input_bytes"] = stats.input_bytes;
    json["output_bytes"] = stats.output_bytes;
    json["ratio"] =
        static_cast<double>(stats.input_bytes) / static_cast<double>(stats.output_bytes);
    json["blocks"] = stats.blocks;
    json["zero_blocks"] = stats.zero_blocks;
    json["duplicate_blocks"] = stats.duplicate_blocks;
    json["raw_blocks"] = stats.raw_blocks;
    json["seconds"] = seconds;
    json["megabytes_per_second"] = rate(stats.input_bytes, seconds);
    json["uuid"] = format_uuid(result.uuid.data());
    json["label"] = job.options.label;
    return json;
}

std::string compress_text(const Job &job, const CompressResult &result, double seconds) {
    const ImageWriterStats &stats = result.stats;
    return fmt::format(
        "{}: {} -> {} ({:.1f} %), {} level {}\n"
        "{} blocks of {}: {} zero, {} duplicate, {} not shrunk; {:.1f} s, {:.0f} MB/s\n",
        job.output, format_size(stats.input_bytes), format_size(stats.output_bytes),
        100.0 * static_cast<double>(stats.output_bytes) / static_cast<double>(stats.input_bytes),
        job.options.codec->name, job.options.level, stats.blocks,
        exact_size(job.options.block_size), stats.zero_blocks, stats.duplicate_blocks,
        stats.raw_blocks, seconds, rate(stats.input_bytes, seconds));
}

void run_compress(const CommandLine &line, const Job &job, Streams &streams) {
    auto start = std::chrono::steady_clock::now();
    CompressResult result = compress(job, streams);
    double seconds = seconds_since(start);
    if (line.json) {
        print_json(streams.out, compress_json(job, result, seconds));
    } else if (!line.quiet) {
        streams.out << compress_text(job, result, seconds);
    }
}

void run_extract(const CommandLine &line, const Job &job, Streams &streams) {
    auto start = std::chrono::steady_clock::now();
    ExtractResult result = extract(job, streams);
    double seconds = seconds_since(start);
    /* Where the data goes, the summary cannot. */
    std::ostream &out = job.output == "-" ? streams.err : streams.out;
    if (line.json) {
        Json json;
        json["input"] = job.input;
        json["output"] = job.output;
        json["format"] = result.format;
        json["threads"] = job.threads;
        json["input_bytes"] = result.image_bytes;
        json["output_bytes"] = result.bytes;
        json["seconds"] = seconds;
        json["megabytes_per_second"] = rate(result.bytes, seconds);
        print_json(out, json);
    } else if (!line.quiet) {
        out << fmt::format("{}: {} from {} ({}); {:.1f} s, {:.0f} MB/s\n", job.output,
                           format_size(result.bytes), job.input, result.format, seconds,
                           rate(result.bytes, seconds));
    }
}

/* Adds what can be done about it to errors that come from deep below. */
void run_job(const CommandLine &line, const Job &job, Streams &streams) {
    try {
        if (line.extract) {
            run_extract(line, job, streams);
        } else {
            run_compress(line, job, streams);
        }
    } catch (const UsageError &) {
        throw;
    } catch (const Error &e) {
        if (e.err() == EINTR) {
            throw Error(job.output + ": interrupted; nothing was left behind", EINTR);
        }
        if (e.err() == ENOSPC || e.err() == EDQUOT || e.err() == EFBIG) {
            throw Error(std::string(e.what()) + "; make room or name an output elsewhere", e.err());
        }
        throw;
    }
}

}  // namespace

int mkcloopw(const Args &args, Streams &streams, const std::atomic<bool> &cancelled) {
    return run_tool("mkcloopw", streams, [&] {
        CommandLine line;
        CLI::App app("Make compressed disk images for cloopw, or extract them.", "mkcloopw");
        declare(app, line);
        if (!parse_args(app, args, streams)) {
            return kExitOk;
        }
        Job job = parse_job(line);
        job.cancelled = &cancelled;
        run_job(line, job, streams);
        return kExitOk;
    });
}

}  // namespace cloopw

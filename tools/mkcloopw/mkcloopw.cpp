// SPDX-License-Identifier: GPL-2.0
#include "mkcloopw.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "diff.h"
#include "from_dir.h"
#include "jobs.h"
#include "lib/escape.h"
#include "lib/size.h"
#include "lib/uuid.h"
#include "merge.h"
#include "summary.h"
#include "tools/common/error.h"
#include "tools/common/option_values.h"
#include "tools/common/output_file.h"
#include "tools/common/progress.h"

namespace cloopw {

namespace {

constexpr int kMaxThreads = 1024;

constexpr const char *kUsage =
    R"(Usage: mkcloopw [OPTIONS] INPUT OUTPUT              compress, or convert
       mkcloopw [OPTIONS] --from-dir DIR OUTPUT     of a directory
       mkcloopw -x [OPTIONS] INPUT OUTPUT           extract
       mkcloopw --dry-run [OPTIONS] INPUT           estimate
       mkcloopw --merge UPPER [LOWER...] OUTPUT     make one COW file of several
       mkcloopw --diff BASE [OPTIONS] INPUT OUTPUT  make a COW file of changes
Make compressed disk images for cloopw, convert and extract them.
INPUT is a raw or compressed image, a block device or - (standard input),
OUTPUT a file, a block device or - (standard output).

)";

constexpr const char *kNotes =
    R"(A SIZE is in bytes, or with K, M, G, T of 1024.
Exit code: 0 success, 1 failed, 2 wrong usage.

Examples:
  mkcloopw rootfs.img rootfs.cloopw
  mkcloopw --cow changes.cow rootfs.cloopw rootfs2.cloopw
)";

constexpr const char *kSameUuid = "same";

/* The command line as it was written. */
struct CommandLine {
    std::string input;
    std::string output;
    std::string format = "cloopw";
    std::optional<std::string> codec;
    std::optional<int> level;
    std::optional<std::string> block_size;
    std::optional<int> threads;
    std::string input_format;
    std::string uuid;
    std::optional<std::string> label;
    std::vector<std::string> cows;
    std::vector<std::string> merge;
    std::string diff;
    bool frozen = false;
    std::string from_dir;
    std::optional<std::string> size;
    std::optional<std::string> free;
    std::vector<std::string> exclude;
    bool one_file_system = false;
    std::vector<std::string> orders;
    bool rescue = false;
    bool no_dedupe = false;
    bool extract = false;
    bool dry_run = false;
    bool force = false;
    bool json = false;
    bool progress = false;
    bool quiet = false;
};

OptionTable::Group input_options(CommandLine &line) {
    return {"Input",
            {{"--cow", "TOP", "read INPUT with this COW file over it; again: below",
              value(line.cows), any_file(), true},
             {"-I,--input-format", "NAME", "of INPUT: {}", value(line.input_format),
              one_of("format", image_format_names())},
             {"--rescue", "", "read past errors of a bad medium, list what is lost",
              flag(line.rescue)}}};
}

OptionTable::Group directory_options(CommandLine &line) {
    return {"Input from a directory",
            {{"--from-dir", "DIR", "make an ext4 image of what is in DIR", value(line.from_dir),
              any_directory()},
             {"--size", "SIZE", "of the file system; as large as it must be", value(line.size)},
             {"--free", "SIZE", "room in it beyond what is in DIR", value(line.free)},
             {"--exclude",
              "GLOB",
              "leave out what matches; again: this, too",
              value(line.exclude),
              {},
              true},
             {"--one-file-system", "", "leave out what is mounted in DIR",
              flag(line.one_file_system)}}};
}

OptionTable::Group output_options(CommandLine &line) {
    return {
        "Output",
        {{"-F,--format", "NAME", "{}", value(line.format), one_of("format", image_writer_names())},
         {"-c,--codec", "NAME", "{}", value(line.codec), one_of("codec", codec_names())},
         {"-l,--level", "N", "compression level, higher is smaller", value(line.level)},
         {"-b,--block-size", "SIZE", "bytes compressed at once (64K)", value(line.block_size),
          suggest({"4K", "8K", "16K", "32K", "64K", "128K", "256K", "512K", "1M"})},
         {"--uuid", "UUID", "of the image (derived from it); same: of INPUT", value(line.uuid)},
         {"--label", "TEXT", "of the image", value(line.label)},
         {"--order", "FILE", "store first the blocks of FILE; again: this, too", value(line.orders),
          any_file(), true},
         {"--frozen", "", "with --diff: OUTPUT is never written again", flag(line.frozen)},
         {"--no-dedupe", "", "store equal blocks each time", flag(line.no_dedupe)},
         {"-f,--force", "", "overwrite OUTPUT", flag(line.force)}}};
}

OptionTable options_of(CommandLine &line) {
    return {
        "mkcloopw",
        kUsage,
        {{"What to do",
          {{"-x,--extract", "", "write the raw image that is in INPUT", flag(line.extract)},
           {"--dry-run", "", "estimate what codecs would make of INPUT", flag(line.dry_run)},
           {"--merge", "UPPER", "make a COW file of UPPER and the one below it", value(line.merge),
            any_file()},
           {"--diff", "BASE", "make a COW file over BASE that shows INPUT", value(line.diff),
            any_file()}}},
         input_options(line),
         directory_options(line),
         output_options(line),
         {"Other",
          {{"-j,--threads", "N", "threads (all processors)", value(line.threads)},
           {"--json", "", "print the summary as JSON", flag(line.json)},
           {"--progress", "", "progress as lines, without a terminal, too", flag(line.progress)},
           {"-q,--quiet", "", "no progress, no summary", flag(line.quiet)},
           {"-V,--version", "", "print the version"},
           {"-h,--help", "", "print this help"}}}},
        kNotes};
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

/* Without options, codec and level stay those of the input image, if it names them. */
void choose_codec(const CommandLine &line, const cw_image *image, const ImageWriterFormat &format,
                  ImageWriterOptions &options) {
    const cw_codec *made = image != nullptr ? image->made_codec : nullptr;
    if (line.codec || made == nullptr) {
        options.codec = cw_codec_by_name(line.codec.value_or(format.default_codec).c_str());
    } else {
        options.codec = made;
    }
    const bool as_made = made != nullptr && options.codec == made;
    const int level = as_made ? image->made_level : options.codec->default_level;
    options.level = line.level.value_or(level);
}

/* image: nullptr: not known yet. */
void keep_uuid(const cw_image *image, ImageWriterOptions &options) {
    if (image != nullptr) {
        std::copy_n(image->uuid, options.uuid.size(), options.uuid.begin());
    }
}

/* image: the input; nullptr: not known (yet), or of another format. */
ImageWriterOptions writer_options(const CommandLine &line, const ImageWriterFormat &format,
                                  const cw_image *image) {
    ImageWriterOptions options;
    choose_codec(line, image, format, options);
    if (line.block_size) {
        options.block_size = parse_block_size(*line.block_size);
    } else if (image != nullptr) {
        options.block_size = image->block_size;
    }
    options.dedupe = !line.no_dedupe;
    options.label = line.label.value_or(image != nullptr ? image->label : "");
    options.created = parse_source_date();
    if (line.uuid == kSameUuid) {
        keep_uuid(image, options);
    } else if (!line.uuid.empty() && !parse_uuid(line.uuid, options.uuid.data())) {
        throw UsageError(fmt::format(
            "--uuid {}: is no UUID; write 01234567-89ab-cdef-0123-456789abcdef, or same",
            line.uuid));
    }
    std::string wrong = check_options(format, options);
    if (!wrong.empty()) {
        throw UsageError("--" + wrong);
    }
    return options;
}

void check_compress(const CommandLine &line, const Job &job) {
    if (job.orders.empty()) {
        return;
    }
    if (!job.format->any_order) {
        throw UsageError(fmt::format("--order: {} images have their blocks in the image's order",
                                     job.format->name));
    }
    if (line.input == "-") {
        throw UsageError("--order: standard input can only be read from the front to the back");
    }
}

/* The job decides which of INPUT and OUTPUT are required. */
void settle_names(CommandLine &line) {
    if (!line.from_dir.empty()) {
        if (!line.output.empty()) {
            throw UsageError("--from-dir: the directory is named twice, " + line.from_dir +
                             " and " + line.input);
        }
        line.output = line.input;
        line.input = line.from_dir;
    }
    if (!line.merge.empty() && line.output.empty()) {
        std::swap(line.input, line.output); /* the image is only needed below UML's */
    }
    if (line.input.empty() && line.merge.empty()) {
        throw UsageError("INPUT is required");
    }
    if (line.output.empty() && !line.dry_run) {
        throw UsageError("OUTPUT is required");
    }
    if (!line.output.empty() && line.dry_run) {
        throw UsageError("--dry-run writes nothing; leave " + line.output + " out");
    }
}

/* Options that describe images do not go together with one that makes a COW file. */
void check_makes_cow(const CommandLine &line, bool makes, const char *name) {
    const std::pair<bool, const char *> others[] = {
        {!line.from_dir.empty(), "--from-dir"},
        {line.extract, "--extract"},
        {line.dry_run, "--dry-run"},
        {line.format != "cloopw", "--format"},
        {line.block_size.has_value(), "--block-size"},
        {!line.uuid.empty(), "--uuid"},
        {line.label.has_value(), "--label"},
        {!line.orders.empty(), "--order"},
        {line.no_dedupe, "--no-dedupe"},
    };
    if (makes && line.output == "-") {
        throw UsageError(std::string(name) +
                         ": a COW file cannot go to standard output; name a file");
    }
    for (auto [given, other] : others) {
        refuse_both(makes, name, given, other);
    }
}

void check_cow_output(const CommandLine &line) {
    const bool merges = !line.merge.empty();
    const bool diffs = !line.diff.empty();
    refuse_both(merges, "--merge", !line.cows.empty(), "--cow");
    refuse_both(merges, "--merge", diffs, "--diff");
    check_makes_cow(line, merges, "--merge");
    check_makes_cow(line, diffs, "--diff");
    refuse_both(diffs, "--diff", line.rescue, "--rescue");
    if (diffs && line.input == "-") {
        throw UsageError(
            "--diff: standard input can only be read from the front to the back; name a file");
    }
    if (line.frozen && !diffs) {
        throw UsageError("--frozen: is said of the COW file that --diff makes");
    }
}

void check_from_dir(const CommandLine &line) {
    const std::pair<bool, const char *> only[] = {{line.size.has_value(), "--size"},
                                                  {line.free.has_value(), "--free"},
                                                  {!line.exclude.empty(), "--exclude"},
                                                  {line.one_file_system, "--one-file-system"}};
    for (auto [given, name] : only) {
        if (given && line.from_dir.empty()) {
            throw UsageError(std::string(name) +
                             ": is said of a directory; name it with --from-dir");
        }
    }
    refuse_both(line.size.has_value(), "--size", line.free.has_value(), "--free");
}

/* --rescue needs a raw medium, and puts its data into an image. */
void check_rescue(const CommandLine &line) {
    const std::pair<bool, const char *> others[] = {
        {!line.cows.empty(), "--cow"},
        {!line.from_dir.empty(), "--from-dir"},
        {!line.merge.empty(), "--merge"},
        {line.extract, "--extract"},
        {line.dry_run, "--dry-run"},
        {!line.input_format.empty() && line.input_format != "raw", "an --input-format but raw"}};
    for (auto [given, name] : others) {
        refuse_both(line.rescue, "--rescue", given, name);
    }
    if (line.rescue && line.input == "-") {
        throw UsageError("--rescue: standard input cannot be read again; name a file");
    }
}

/* Refuses two options that name different jobs. */
void check_combinations(const CommandLine &line) {
    bool from_dir = !line.from_dir.empty();
    refuse_both(from_dir, "--from-dir", !line.cows.empty(), "--cow");
    refuse_both(from_dir, "--from-dir", line.extract, "--extract");
    refuse_both(from_dir, "--from-dir", !line.input_format.empty(), "--input-format");
    refuse_both(line.dry_run, "--dry-run", line.extract, "--extract");
    check_from_dir(line);
    check_rescue(line);
    check_cow_output(line);
    if (line.dry_run && line.input == "-") {
        throw UsageError("--dry-run: standard input can only be read once; name a file");
    }
}

Job parse_job(CommandLine &line) {
    settle_names(line);
    check_combinations(line);
    Job job;
    job.input = line.input;
    job.output = line.output;
    job.threads = parse_threads(line.threads);
    job.force = line.force;
    job.quiet = line.quiet;
    job.orders = line.orders;
    if (!line.cows.empty() && line.input == "-") {
        throw UsageError("--cow: the image below must be a file, not standard input");
    }
    if (line.extract && line.input == "-") {
        throw UsageError("--extract cannot read standard input: an image is read in any order");
    }
    if (!line.extract && line.merge.empty() && line.diff.empty()) {
        job.format = image_writer_format(line.format);
        job.options = writer_options(line, *job.format, nullptr);
        job.one_codec = line.codec.has_value();
        check_compress(line, job);
    }
    return job;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/* The input image may decide what the command line leaves open. */
void adopt_input(const CommandLine &line, Job &job, const Input &input) {
    if (line.uuid == kSameUuid &&
        (input.is_stream() || format_uuid(input.device().image().uuid).empty())) {
        throw Error(input.name() + ": has no UUID that --uuid same could keep; name one", EINVAL);
    }
    if (!input.is_stream() && input.device().image().format == job.format->copies_from) {
        job.options = writer_options(line, *job.format, &input.device().image());
    }
}

/* Refuses what can only be read from the front to the back. */
void refuse_stream(const Input &input) {
    if (input.is_stream()) {
        throw Error(input.name() + ": is neither a file nor a block device", EINVAL);
    }
}

void run_estimate(const CommandLine &line, const Job &job, const Input &input, Streams &streams) {
    refuse_stream(input);
    EstimateResult result = estimate(job, input, streams);
    if (line.json) {
        print_json(streams.out, estimate_json(job, result));
    } else {
        streams.out << estimate_text(job, result);
    }
}

/* The image is there, but the user must not take it for whole. */
void tell_lost(const Job &job, const std::vector<Rescue::Range> &lost, Streams &streams) {
    u64 bytes = 0;
    for (const Rescue::Range &range : lost) {
        streams.err << fmt::format("{}: lost {} bytes at {}\n", escaped(job.input), range.len,
                                   range.off);
        bytes += range.len;
    }
    if (bytes != 0) {
        throw Error(
            fmt::format("{} bytes of {} could not be read; {} is complete, with zeros there", bytes,
                        job.input, job.output));
    }
}

void run_compress(const CommandLine &line, Job &job, const Input &input, Streams &streams) {
    if (input.is_stream() && !job.orders.empty()) {
        throw Error(
            input.name() + ": can only be read from the front to the back, not with --order",
            EINVAL);
    }
    auto start = std::chrono::steady_clock::now();
    CompressResult result = compress(job, input, streams);
    double seconds = seconds_since(start);
    /* The summary must not go where the data goes. */
    std::ostream &out = job.output == "-" ? streams.err : streams.out;
    if (line.json) {
        Json json = compress_json(job, result, seconds);
        if (input.rescue() != nullptr) {
            add_lost(json, input.rescue()->lost());
        }
        print_json(out, json);
    } else if (!line.quiet) {
        out << compress_text(job, result, seconds);
    }
    if (input.rescue() != nullptr) {
        tell_lost(job, input.rescue()->lost(), streams);
    }
}

void run_extract(const CommandLine &line, const Job &job, const Input &input, Streams &streams) {
    refuse_stream(input);
    auto start = std::chrono::steady_clock::now();
    ExtractResult result = extract(job, input, streams);
    double seconds = seconds_since(start);
    std::ostream &out = job.output == "-" ? streams.err : streams.out;
    if (line.json) {
        print_json(out, extract_json(job, result, seconds));
    } else if (!line.quiet) {
        out << extract_text(job, result, seconds);
    }
}

void run_merge(const CommandLine &line, const Job &job, Streams &streams) {
    MergeJob merge = {line.merge, line.input, line.input_format, job.output,   line.codec,
                      line.level, line.force, line.quiet,        job.cancelled};
    auto start = std::chrono::steady_clock::now();
    MergeResult result = merge_layers(merge, streams);
    double seconds = seconds_since(start);
    if (line.json) {
        print_json(streams.out, merge_json(merge, result, seconds));
    } else if (!line.quiet) {
        streams.out << merge_text(merge, result, seconds);
    }
}

DiffJob diff_job(const CommandLine &line, const Job &job) {
    DiffJob diff;
    diff.base = line.diff;
    diff.raw = line.input_format == cw_image_raw.name;
    diff.output = job.output;
    diff.codec = cw_codec_by_name(line.codec.value_or(cw_codec_zstd.name).c_str());
    diff.level = line.level.value_or(diff.codec->default_level);
    diff.frozen = line.frozen;
    diff.threads = job.threads;
    diff.force = job.force;
    diff.quiet = job.quiet;
    diff.cancelled = job.cancelled;
    return diff;
}

void run_diff(const CommandLine &line, const Job &job, const Input &input, Streams &streams) {
    refuse_stream(input);
    const DiffJob how = diff_job(line, job);
    auto start = std::chrono::steady_clock::now();
    DiffResult result = diff(how, input, streams);
    double seconds = seconds_since(start);
    if (line.json) {
        print_json(streams.out, diff_json(how, input, result, seconds));
    } else if (!line.quiet) {
        streams.out << diff_text(how, result, seconds);
    }
}

/* The minimum is mke2fs's need for an empty directory. */
u64 parse_file_system_size(const std::string &text) {
    constexpr u64 kLeast = 1 << 20;
    constexpr u64 kUnit = 4096;
    const u64 size = parse_size(text, "--size");
    if (size < kLeast || size % kUnit != 0) {
        throw UsageError("--size " + text + ": must be a multiple of 4096, and 1M at least");
    }
    return size;
}

FromDirOptions from_dir_options(const CommandLine &line, const Job &job) {
    FromDirOptions options;
    options.path = line.from_dir;
    options.label = job.options.label;
    if (job.options.created != 0) {
        options.date = job.options.created;
    }
    options.size = line.size ? parse_file_system_size(*line.size) : 0;
    options.free = line.free ? parse_size(*line.free, "--free") : 0;
    options.tree = {line.exclude, line.one_file_system, job.cancelled};
    return options;
}

std::unique_ptr<Input> open_input(const CommandLine &line, const Job &job, Streams &streams) {
    if (line.from_dir.empty()) {
        return std::make_unique<Input>(InputOptions{line.input, line.input_format, line.cows,
                                                    line.extract, streams.in_fd, line.rescue});
    }
    DirImage image = make_ext4(from_dir_options(line, job));
    return std::make_unique<Input>(std::move(image.io), line.from_dir, image.secret);
}

/* Adds the remedy to errors that come from deep below. */
void run_job(const CommandLine &line, Job &job, Streams &streams) {
    try {
        if (!line.merge.empty()) {
            run_merge(line, job, streams);
            return;
        }
        std::unique_ptr<Input> input = open_input(line, job, streams);
        if (line.extract) {
            run_extract(line, job, *input, streams);
            return;
        }
        if (!line.diff.empty()) {
            run_diff(line, job, *input, streams);
            return;
        }
        adopt_input(line, job, *input);
        if (!line.uuid.empty() && line.uuid != kSameUuid && !line.quiet && !line.dry_run) {
            streams.err << "mkcloopw: warning: --uuid: if another image has this UUID, its COW "
                           "files do not fit this one and are refused\n";
        }
        if (line.dry_run) {
            run_estimate(line, job, *input, streams);
        } else {
            run_compress(line, job, *input, streams);
        }
    } catch (const UsageError &) {
        throw;
    } catch (const OverwrittenError &) {
        throw;
    } catch (const Error &e) {
        if (e.err() == EINTR) {
            throw Error(job.output + ": interrupted; nothing was left behind", EINTR);
        }
        if (e.err() == ENOSPC || e.err() == EDQUOT) {
            throw Error(std::string(e.what()) + "; make room or name an output elsewhere", e.err());
        }
        if (e.err() == EFBIG) {
            throw Error(std::string(e.what()) +
                            "; the file system, or 'ulimit -f', has no files that long: name an "
                            "output elsewhere",
                        EFBIG);
        }
        throw;
    }
}

}  // namespace

OptionTable mkcloopw_options() {
    static CommandLine line;
    return options_of(line);
}

int mkcloopw(const Args &args, Streams &streams, const std::atomic<bool> &cancelled) {
    return run_tool("mkcloopw", streams, [&] {
        CommandLine line;
        CLI::App app("", "mkcloopw");
        app.add_option("INPUT", line.input);
        app.add_option("OUTPUT", line.output);
        const OptionTable table = options_of(line);
        declare(app, table);
        if (!parse_args(app, args, streams)) {
            return kExitOk;
        }
        check_choices(app, table);
        refuse_both(line.progress, "--progress", line.quiet, "--quiet");
        set_progress_lines(line.progress);
        Job job = parse_job(line);
        job.cancelled = &cancelled;
        run_job(line, job, streams);
        return kExitOk;
    });
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "cloopwck.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "dump.h"
#include "file_check.h"
#include "lib/cow/chain.h"
#include "lib/escape.h"
#include "lib/file_kind.h"
#include "lib/net/source.h"
#include "lib/size.h"
#include "repair.h"
#include "report.h"
#include "salvage.h"
#include "tools/common/option_values.h"
#include "tools/common/progress.h"

namespace cloopw {

namespace {

/* The command line as it was written. */
struct CommandLine {
    std::vector<std::string> files;
    std::vector<std::string> layers;
    std::string input_format;
    std::string salvage;
    std::string above;
    bool no_change = false;
    bool yes = false;
    bool quick = false;
    bool dump = false;
    bool force = false;
    bool past_gaps = false;
    bool json = false;
    bool progress = false;
    bool quiet = false;
    bool verbose = false;
};

constexpr const char *kUsage =
    "Usage: cloopwck [OPTIONS] FILE...\n"
    "       cloopwck [OPTIONS] -c COW... IMAGE\n"
    "Check, repair and salvage compressed images and COW files.\n"
    "FILE is an image, or a COW file and all that it lies over.\n"
    "\n";

constexpr const char *kNotes =
    "Exit code: 0 clean, 1 errors corrected, 4 errors left, 8 could not check,\n"
    "16 wrong usage, 32 interrupted; of several the sum.\n"
    "\n"
    "Examples:\n"
    "  cloopwck -c changes.cow disk.cloopw\n"
    "  cloopwck --salvage rescued.cow changes.cow\n";

OptionTable::Group salvage_options(CommandLine &line) {
    return {"Salvage",
            {{"-s,--salvage", "OUT", "write what is readable to a new file OUT",
              value(line.salvage), any_file()},
             {"-f,--force", "", "overwrite OUT", flag(line.force)},
             {"--above", "LAYER", "layer over the COW file, which knows its UUID",
              value(line.above), any_file()},
             {"--past-gaps", "", "use what a log has behind a gap, too", flag(line.past_gaps)}}};
}

OptionTable options_of(CommandLine &line) {
    return {
        "cloopwck",
        kUsage,
        {{"Check",
          {{"-c,--cow", "COW", "COW file over IMAGE; again for one below it", value(line.layers),
            any_file(), true},
           {"-n,--no-change", "", "only report, change nothing (default)", flag(line.no_change)},
           {"-y,--yes", "", "repair what can be without a loss", flag(line.yes)},
           {"--quick", "", "check what leads to the data, do not read the data", flag(line.quick)},
           {"--dump", "", "print superblock, index, map and records", flag(line.dump)},
           {"-I,--input-format", "NAME", "{}", value(line.input_format),
            one_of("format", image_format_names())}}},
         salvage_options(line),
         {"Other",
          {{"--json", "", "print the result as JSON", flag(line.json)},
           {"--progress", "", "progress as lines, without a terminal, too", flag(line.progress)},
           {"-q,--quiet", "", "print only errors", flag(line.quiet)},
           {"-v,--verbose", "", "print all facts of each file", flag(line.verbose)},
           {"-V,--version", "", "print the version"},
           {"-h,--help", "", "print this help"}}}},
        kNotes};
}

void check_line(const CommandLine &line) {
    if (line.files.empty()) {
        throw UsageError("FILE is required");
    }
    if (!line.layers.empty() && line.files.size() != 1) {
        throw UsageError("--cow: name one IMAGE that lies under all of them");
    }
    if (!line.salvage.empty() && line.files.size() != 1) {
        throw UsageError("--salvage: name one FILE; each needs an OUT of its own");
    }
    if (line.force && line.salvage.empty()) {
        throw UsageError("--force: only OUT of --salvage can be overwritten");
    }
    if (!line.above.empty() && line.salvage.empty()) {
        throw UsageError("--above: goes with --salvage only");
    }
    if (line.past_gaps && line.salvage.empty()) {
        throw UsageError("--past-gaps: goes with --salvage only");
    }
    refuse_both(line.yes, "--yes", line.no_change, "--no-change");
    refuse_both(line.yes, "--yes", !line.salvage.empty(), "--salvage");
    refuse_both(line.yes, "--yes", line.dump, "--dump");
    refuse_both(!line.salvage.empty(), "--salvage", line.dump, "--dump");
    refuse_both(!line.salvage.empty(), "--salvage", line.quick, "--quick");
    refuse_both(line.json, "--json", line.dump, "--dump");
    refuse_both(line.quiet, "--quiet", line.verbose, "--verbose");
    refuse_both(line.progress, "--progress", line.quiet, "--quiet");
}

/* One run over all named files. */
class Session {
public:
    Session(const CommandLine &line, Streams &streams, const std::atomic<bool> &cancelled)
        : line_(line),
          streams_(streams),
          progress_(streams, !line.quiet && !line.dump, total_bytes(line)) {
        options_.quick = line.quick;
        options_.progress = [this, &cancelled](u64 bytes) {
            done_ += bytes;
            progress_.update(done_);
            if (cancelled) {
                throw Error("interrupted", EINTR);
            }
        };
    }

    int run() {
        options_.advance(0);
        if (line_.dump) {
            return dump();
        }
        return line_.salvage.empty() ? check() : salvage();
    }

private:
    static u64 total_bytes(const CommandLine &line) {
        u64 total = 0;
        for (const auto *paths : {&line.files, &line.layers}) {
            for (const std::string &path : *paths) {
                total += open_source(path).size();
            }
        }
        return total;
    }

    bool is_cow(const std::string &path) const {
        return line_.input_format.empty() && looks_like_cow(open_source(path));
    }

    /* An unknown file must not be called clean. */
    void refuse_raw(const std::string &path,
                    void (*refuse)(const Io &io, const std::string &insist)) const {
        const Io io = open_source(path);
        if (line_.input_format.empty() && image_kind(io).empty()) {
            refuse(io, "-I raw");
        }
    }

    /* ---- checking ---- */

    int check() {
        if (!line_.layers.empty()) {
            check_image_and_layers(line_.layers, line_.files[0]);
        } else {
            for (const std::string &path : line_.files) {
                if (is_cow(path)) {
                    check_image_and_layers({path}, "");
                } else {
                    refuse_raw(path, refuse_unknown_raw);
                    add(check_image_file(path, line_.input_format, options_));
                }
            }
        }
        progress_.done();
        if (line_.json) {
            result_["exit_code"] = code_;
            print_json(streams_.out, result_);
        }
        return code_;
    }

    /* The given layers and the layers below them, as far as they are found. */
    static std::vector<std::string> whole_chain(const std::vector<std::string> &layers) {
        std::vector<std::string> paths;
        try {
            for (const CowLayer &layer : find_cow_chain(layers)) {
                paths.push_back(layer.path);
            }
        } catch (const Error &) {
            paths = layers; /* check_chain() says why */
        }
        return paths;
    }

    void check_image_and_layers(const std::vector<std::string> &layers, const std::string &image) {
        bool refused = false;
        for (const std::string &path : whole_chain(layers)) {
            FileReport report = check_cow_file(path, options_);
            if (line_.yes) {
                repair_file(&report);
            }
            refused = refused || report.summary.empty();
            add(report);
        }
        if (!image.empty()) {
            refuse_raw(image, refuse_unlikely_raw);
            FileReport report = check_image_file(image, line_.input_format, options_);
            refused = refused || report.summary.empty();
            add(report);
        }
        if (refused) {
            return; /* nothing that could be compared */
        }
        Findings chain;
        check_chain(layers, image, line_.input_format, chain);
        code_ |= exit_code_of(chain);
        if (line_.json) {
            for (const Json &finding : findings_json(chain)) {
                result_["chain"].push_back(finding);
            }
        } else {
            progress_.done();
            print_findings(streams_.out, layers[0], chain, verbosity());
        }
    }

    Verbosity verbosity() const { return {line_.quiet, line_.verbose}; }

    void add(const FileReport &report) {
        code_ |= exit_code_of(report.findings);
        if (line_.json) {
            result_["files"].push_back(file_json(report));
            return;
        }
        progress_.done();
        print_file(streams_.out, report, verbosity());
    }

    /* ---- the rest ---- */

    int dump() {
        for (const std::string &path : line_.layers) {
            dump_cow(streams_.out, path, options_);
        }
        for (const std::string &path : line_.files) {
            if (line_.layers.empty() && is_cow(path)) {
                dump_cow(streams_.out, path, options_);
            } else {
                dump_image(streams_.out, path, line_.input_format, options_);
            }
        }
        return kCheckClean;
    }

    SalvageJob salvage_job() const {
        SalvageJob job;
        job.path = line_.files[0];
        job.is_cow = is_cow(job.path);
        job.format = line_.input_format;
        job.output = line_.salvage;
        job.force = line_.force;
        job.past_gaps = line_.past_gaps;
        job.above = line_.above;
        if (!line_.layers.empty()) {
            job.is_cow = true;
            job.path = line_.layers[0];
            job.below_is_cow = line_.layers.size() > 1;
            job.below = job.below_is_cow ? line_.layers[1] : line_.files[0];
        }
        return job;
    }

    int salvage() {
        SalvageJob job = salvage_job();
        SalvageResult result = cloopw::salvage(job, options_);
        progress_.done();
        const Findings &findings = result.findings;
        const bool doubtful =
            std::any_of(findings.all().begin(), findings.all().end(),
                        [](const Finding &finding) { return finding.range.has_value(); });
        const int code = findings.errors() != 0 || doubtful ? kCheckUncorrected : kCheckClean;
        if (line_.json) {
            Json json = {{"file", job.path},
                         {"output", job.output},
                         {"copied_bytes", result.copied_bytes},
                         {"lost_bytes", result.lost_bytes},
                         {"lost", findings_json(findings)},
                         {"exit_code", code}};
            json["lost_left_out"] = findings.left_out();
            print_json(streams_.out, json);
            return code;
        }
        print_findings(streams_.out, job.path, findings, verbosity());
        if (!line_.quiet) {
            streams_.out << fmt::format("{}: {} of {} were read, {} are lost\n",
                                        escaped(job.output), format_size(result.copied_bytes),
                                        format_size(result.copied_bytes + result.lost_bytes),
                                        format_size(result.lost_bytes));
        }
        return code;
    }

    const CommandLine &line_;
    Streams &streams_;
    Progress progress_;
    CheckOptions options_;
    u64 done_ = 0;
    int code_ = kCheckClean;
    Json result_ = Json::object();
};

}  // namespace

OptionTable cloopwck_options() {
    static CommandLine line;
    return options_of(line);
}

int cloopwck(const Args &args, Streams &streams, const std::atomic<bool> &cancelled) {
    ExitCodes codes = {kCheckFailed, kCheckUsage, kCheckCancelled};
    return run_tool(
        "cloopwck", streams,
        [&] {
            CommandLine line;
            CLI::App app("", "cloopwck");
            app.add_option("FILE", line.files);
            const OptionTable table = options_of(line);
            declare(app, table);
            if (!parse_args(app, args, streams)) {
                return static_cast<int>(kCheckClean);
            }
            check_line(line);
            check_choices(app, table);
            set_progress_lines(line.progress);
            return Session(line, streams, cancelled).run();
        },
        codes);
}

}  // namespace cloopw

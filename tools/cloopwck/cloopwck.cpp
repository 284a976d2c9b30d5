// SPDX-License-Identifier: GPL-2.0
#include "cloopwck.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <memory>

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
    bool quiet = false;
    bool verbose = false;
};

/* The formatter of CLI11 adds empty lines. */
class DenseFormatter : public CLI::Formatter {
public:
    std::string make_help(const CLI::App *app, std::string /*name*/,
                          CLI::AppFormatMode /*mode*/) const override {
        std::string text =
            "Usage: cloopwck [OPTIONS] FILE...\n"
            "       cloopwck [OPTIONS] -c COW... IMAGE\n" +
            app->get_description() + "\n";
        for (const CLI::Option *option : app->get_options()) {
            text += make_option(option, option->get_positional());
        }
        return text +
               "Exit code: 0 clean, 1 errors corrected, 4 errors left, 8 could not check,\n"
               "16 wrong usage, 32 interrupted; of several the sum.\n\n"
               "Examples:\n"
               "  cloopwck -c changes.cow disk.cloopw\n"
               "  cloopwck --salvage rescued.cow changes.cow\n";
    }
};

void declare(CLI::App &app, CommandLine &line) {
    app.formatter(std::make_shared<DenseFormatter>());
    setup_app(app);
    app.add_option("FILE", line.files, "Image, or COW file and all that it lies over")
        ->option_text(" ");
    auto option = [&app](const char *names, auto &value, const char *text, const char *type) {
        app.add_option(names, value, text)->option_text(type)->allow_extra_args(false);
    };
    option("-c,--cow", line.layers, "COW file over IMAGE; again for one below it", "COW");
    app.add_flag("-n,--no-change", line.no_change, "Only report, change nothing (default)");
    app.add_flag("-y,--yes", line.yes, "Repair what can be without a loss");
    option("-s,--salvage", line.salvage, "Write what is readable to a new file OUT", "OUT");
    app.add_flag("-f,--force", line.force, "Overwrite OUT");
    option("--above", line.above, "-s: layer over the COW file, which knows its UUID", "LAYER");
    app.add_flag("--past-gaps", line.past_gaps, "-s: use what a log has behind a gap, too");
    app.add_flag("--quick", line.quick, "Check what leads to the data, do not read the data");
    app.add_flag("--dump", line.dump, "Print superblock, index, map and records");
    option("-I,--input-format", line.input_format,
           "raw, cloopw, cloop068, cloop2, cloop4 (look at IMAGE)", "NAME");
    app.add_flag("--json", line.json, "Print the result as JSON");
    app.add_flag("-q,--quiet", line.quiet, "Print only errors");
    app.add_flag("-v,--verbose", line.verbose, "Print all facts of each file");
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
    if (!line.input_format.empty() &&
        cw_image_format_by_name(line.input_format.c_str()) == nullptr) {
        throw UsageError(
            fmt::format("--input-format {}: there is no such format; know cloopw, cloop2, cloop4, "
                        "cloop068, raw",
                        line.input_format));
    }
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

int cloopwck(const Args &args, Streams &streams, const std::atomic<bool> &cancelled) {
    ExitCodes codes = {kCheckFailed, kCheckUsage, kCheckCancelled};
    return run_tool(
        "cloopwck", streams,
        [&] {
            CommandLine line;
            CLI::App app("Check images and COW files of cloopw, repair and salvage them.",
                         "cloopwck");
            declare(app, line);
            if (!parse_args(app, args, streams)) {
                return static_cast<int>(kCheckClean);
            }
            check_line(line);
            return Session(line, streams, cancelled).run();
        },
        codes);
}

}  // namespace cloopw

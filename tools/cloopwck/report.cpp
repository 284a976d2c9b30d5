// SPDX-License-Identifier: GPL-2.0
#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cloopwck.h"
#include "lib/escape.h"

namespace cloopw {

namespace {

const char *state_name(int code) {
    switch (code) {
        case kCheckClean:
            return "clean";
        case kCheckCorrected:
            return "corrected";
        default:
            return "damaged";
    }
}

std::string range_text(const ByteRange &range) {
    return fmt::format("bytes {}..{}: ", range.off, range.off + range.len - 1);
}

const char *kind_of(const Finding &finding) {
    if (finding.severity == Finding::Severity::kNote) {
        return "note";
    }
    return finding.repaired ? "corrected" : "error";
}

std::string remedy_of(const Finding &finding) {
    if (finding.repaired) {
        return "; rewritten from the other";
    }
    return finding.repairable ? "; -y rewrites it from the other" : "";
}

}  // namespace

int exit_code_of(const Findings &findings) {
    if (findings.errors() == 0) {
        return kCheckClean;
    }
    auto repaired = static_cast<u64>(std::count_if(findings.all().begin(), findings.all().end(),
                                                   [](const Finding &f) { return f.repaired; }));
    return repaired == findings.errors() ? kCheckCorrected : kCheckUncorrected;
}

void print_findings(std::ostream &out, const std::string &name, const Findings &findings,
                    const Verbosity &verbosity) {
    for (const Finding &finding : findings.all()) {
        if (finding.severity == Finding::Severity::kNote && verbosity.quiet) {
            continue;
        }
        out << fmt::format("{}: {}: {}: {}{}{}\n", escaped(name), kind_of(finding), finding.what,
                           finding.range ? range_text(*finding.range) : "", escaped(finding.text),
                           remedy_of(finding));
    }
    if (findings.left_out() != 0) {
        out << fmt::format("{}: and {} more\n", escaped(name), findings.left_out());
    }
}

void print_file(std::ostream &out, const FileReport &report, const Verbosity &verbosity) {
    print_findings(out, report.path, report.findings, verbosity);
    if (verbosity.quiet) {
        return;
    }
    out << escaped(report.path) << ": " << state_name(exit_code_of(report.findings))
        << (report.summary.empty() ? "" : ": ") << escaped(report.summary) << "\n";
    if (verbosity.verbose) {
        for (const auto &[key, value] : report.facts.items()) {
            out << fmt::format("  {:<16}{}\n", key,
                               value.is_string()
                                   ? escaped(value.get<std::string>())
                                   : value.dump(-1, ' ', false, Json::error_handler_t::replace));
        }
    }
}

Json findings_json(const Findings &findings) {
    Json all = Json::array();
    for (const Finding &finding : findings.all()) {
        Json json = {{"kind", kind_of(finding)}, {"what", finding.what}, {"text", finding.text}};
        if (finding.range) {
            json["offset"] = finding.range->off;
            json["length"] = finding.range->len;
        }
        if (finding.repairable) {
            json["repairable"] = true;
        }
        all.push_back(json);
    }
    return all;
}

Json file_json(const FileReport &report) {
    Json json = {{"file", report.path},
                 {"kind", report.is_cow ? "cow" : "image"},
                 {"format", report.format},
                 {"state", state_name(exit_code_of(report.findings))},
                 {"errors", report.findings.errors()}};
    json.update(report.facts);
    json["findings"] = findings_json(report.findings);
    if (report.findings.left_out() != 0) {
        json["findings_left_out"] = report.findings.left_out();
    }
    return json;
}

}  // namespace cloopw

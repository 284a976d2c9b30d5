/* SPDX-License-Identifier: GPL-2.0 */
/* The output of cloopwck, for people or as JSON. */
#ifndef CLOOPW_CLOOPWCK_REPORT_H
#define CLOOPW_CLOOPWCK_REPORT_H

#include <ostream>
#include <string>

#include "file_check.h"
#include "tools/common/table.h"

namespace cloopw {

struct Verbosity {
    bool quiet = false;   /* only faults */
    bool verbose = false; /* all facts */
};

/* kCheckClean, kCheckCorrected or kCheckUncorrected. */
int exit_code_of(const Findings &findings);

/* Print to out. name is the file's name, for people. */
void print_findings(std::ostream &out, const std::string &name, const Findings &findings,
                    const Verbosity &verbosity);
void print_file(std::ostream &out, const FileReport &report, const Verbosity &verbosity);

/* Sizes and offsets are in bytes. */
Json findings_json(const Findings &findings);
Json file_json(const FileReport &report);

}  // namespace cloopw

#endif

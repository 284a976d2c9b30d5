/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The frame of a command line tool. main() is a stub that calls run_tool() with
 * system_streams(); tests call it with their own strings and no process.
 */
#ifndef CLOOPW_TOOLS_TOOL_H
#define CLOOPW_TOOLS_TOOL_H

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "error.h"

namespace CLI {
class App;
}

namespace cloopw {

/* All that a tool's body may know of the outside, besides the files it names. */
struct Streams {
    std::ostream &out;
    std::ostream &err;
    int in_fd;         /* where "-" reads from */
    int out_fd;        /* where "-" writes to; what `out` prints to in the end */
    bool err_terminal; /* err is a terminal: progress bars are welcome */
    int columns;       /* of that terminal */
};

/*
 * The process's own, for main(): a standard descriptor that is closed is /dev/null
 * from then on, and a file that is too large is an error, not the end.
 */
Streams system_streams();

using Args = std::vector<std::string>; /* without the program's name */

/*
 * Parses args with the app. Returns true to go on; false when --help or
 * --version was printed. Throws UsageError.
 */
bool parse_args(CLI::App &app, const Args &args, Streams &streams);

/*
 * Settings that all tools share: -h, --version, help that fits 80 columns. more: what
 * --version says besides, asked when all options are known.
 */
void setup_app(CLI::App &app, const std::function<std::string()> &more = nullptr);

/* Runs the body and turns what it throws into one line on err and an exit code. */
int run_tool(const std::string &name, Streams &streams, const std::function<int()> &body,
             const ExitCodes &codes = {});

/* main()'s arguments without the first. */
Args args_of(int argc, char **argv);

}  // namespace cloopw

#endif

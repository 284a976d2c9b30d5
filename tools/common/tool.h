/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The frame of a command line tool. main() is a stub that calls run_tool() with
 * system_streams(). Tests call it with their own strings and no process.
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

/* A tool's view of the outside, besides the files that it names. */
struct Streams {
    std::ostream &out;
    std::ostream &err;
    int in_fd;         /* descriptor that "-" reads from */
    int out_fd;        /* descriptor that "-" writes to; `out` prints to it in the end */
    bool err_terminal; /* err is a terminal: progress bars are welcome */
    int columns;       /* width of that terminal */
};

/*
 * The process's own streams, for main(). A closed standard descriptor becomes /dev/null. A
 * file that is too large is an error, not the end of the process.
 */
Streams system_streams();

using Args = std::vector<std::string>; /* without the program's name */

/*
 * Parses args with the app. True: go on. False: --help or --version was printed. Throws
 * UsageError.
 */
bool parse_args(CLI::App &app, const Args &args, Streams &streams);

/*
 * Settings of all tools: -h, --version, help that fits 80 columns. more: further text of
 * --version; called when all options are known.
 */
void setup_app(CLI::App &app, const std::function<std::string()> &more = nullptr);

/* Throws UsageError when both options are given. */
void refuse_both(bool a, const char *a_name, bool b, const char *b_name);

/* Runs the body. Turns its exceptions into one line on err and an exit code. */
int run_tool(const std::string &name, Streams &streams, const std::function<int()> &body,
             const ExitCodes &codes = {});

/* main()'s arguments without the first. */
Args args_of(int argc, char **argv);

}  // namespace cloopw

#endif

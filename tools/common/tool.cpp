// SPDX-License-Identifier: GPL-2.0
#include "tool.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <new>
#include <numeric>
#include <string_view>
#include <utility>

#include "lib/escape.h"

#ifndef CLOOPW_VERSION
#define CLOOPW_VERSION "unknown"
#endif

namespace cloopw {

/*
 * A file that is opened later would get the number of a descriptor that the caller closed,
 * and messages would go into that file. So reads and prints on these descriptors fail.
 */
void hold_standard_descriptors() {
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY) != fd) {
            _exit(kExitFailure); /* there is nobody to tell, and nowhere */
        }
    }
}

Streams system_streams() {
    hold_standard_descriptors();
    (void)std::signal(SIGXFSZ, SIG_IGN); /* a limit of files is an error like others */
    struct winsize size = {};
    int columns = 80;
    bool terminal = isatty(STDERR_FILENO) != 0;
    if (terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        columns = size.ws_col;
    }
    return {std::cout, std::cerr, STDIN_FILENO, STDOUT_FILENO, terminal, columns};
}

void setup_app(CLI::App &app, const std::function<std::string()> &more) {
    app.set_help_flag("-h,--help", "Print this help and exit");
    auto version = [&app, more] {
        return app.get_name() + " " CLOOPW_VERSION + (more ? more() : "");
    };
    app.set_version_flag("-V,--version", version, "Print the version and exit");
    app.get_formatter()->column_width(26);
}

namespace {

/* How many letters have to be changed, added or left out (Levenshtein). */
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); i++) {
        size_t diagonal = std::exchange(row[0], i);
        for (size_t j = 1; j <= b.size(); j++) {
            const size_t same = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({same, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

/* "; did you mean '--read-only'?", or nothing where no option is near. */
std::string did_you_mean(const CLI::App &app, const Args &args) {
    const auto wrong = std::find_if(args.begin(), args.end(), [&app](const std::string &arg) {
        return arg.starts_with("--") && arg.size() > 2 &&
               app.get_option_no_throw(arg.substr(0, arg.find('='))) == nullptr;
    });
    if (wrong == args.end()) {
        return "";
    }
    const std::string name = wrong->substr(2, wrong->find('=') - 2);
    std::string nearest;
    size_t least = name.size() / 3 + 1;
    for (const CLI::Option *option : app.get_options()) {
        for (const std::string &known : option->get_lnames()) {
            const size_t far = distance(name, known);
            if (far < least || (far == least && nearest.empty())) {
                least = far;
                nearest = known;
            }
        }
    }
    return nearest.empty() ? "" : "; did you mean '--" + nearest + "'?";
}

}  // namespace

bool parse_args(CLI::App &app, const Args &args, Streams &streams) {
    /* CLI11 takes its vector from the back. */
    Args reversed(args.rbegin(), args.rend());
    try {
        app.parse(std::move(reversed));
    } catch (const CLI::ParseError &e) {
        if (e.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
            app.exit(e, streams.out, streams.err); /* --help, --version */
            return false;
        }
        const bool unknown = e.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
        throw UsageError(e.what() + (unknown ? did_you_mean(app, args) : ""));
    }
    return true;
}

void refuse_both(bool a, const char *a_name, bool b, const char *b_name) {
    if (a && b) {
        throw UsageError(std::string(a_name) + " and " + b_name + " do not go together");
    }
}

int run_tool(const std::string &name, Streams &streams, const std::function<int()> &body,
             const ExitCodes &codes) {
    int code = codes.failure;
    try {
        code = body();
        errno = 0;
        streams.out.flush();
        if (!streams.out) {
            const int err = errno; /* 0: it failed before, and nobody asked why */
            throw err != 0 ? io_error("standard output", "cannot write", err)
                           : Error("standard output: cannot write");
        }
    } catch (const UsageError &e) {
        streams.err << name << ": " << escaped(e.what()) << "\nTry '" << name << " --help'.\n";
        code = codes.usage;
    } catch (const Error &e) {
        streams.err << name << ": " << escaped(e.what()) << "\n";
        code = e.err() == EINTR ? codes.cancelled : codes.failure;
    } catch (const std::bad_alloc &) {
        streams.err << name << ": not enough memory\n";
        code = codes.failure;
    } catch (const std::exception &e) {
        streams.err << name << ": " << escaped(e.what()) << "\n";
        code = codes.failure;
    }
    streams.err.flush();
    return code;
}

Args args_of(int argc, char **argv) { return Args(argv + std::min(argc, 1), argv + argc); }

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
/*
 * cloopw-ublkd: serves an image with COW layers as /dev/ublkbN, by the kernel's own
 * driver ublk. It is a program of its own, because it goes on after cloopwsetup has ended,
 * and its memory must not be swapped out. So the tool needs no liburing.
 */
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "hold.h"
#include "lib/error.h"
#include "lib/escape.h"
#include "lib/net/curl_library.h"
#include "lib/net/url.h"
#include "parameters.h"
#include "server.h"
#include "successor.h"
#include "supervise.h"

namespace {

using namespace cloopw;

constexpr int kExitUsage = 2;

void say(const std::string &text) {
    (void)fprintf(stderr, "cloopw-ublkd: error: %s\n", escaped(text).c_str());
}

int run_server(const UblkOptions &options, ServerState &state) {
    try {
        if (options.served.stay) {
            hold_memory();
        }
        serve(options, state);
        return EXIT_SUCCESS;
    } catch (const std::exception &e) {
        say(e.what());
        return exit_code_of(e);
    }
}

int print(const std::string &text) {
    return fputs(text.c_str(), stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Can it serve with these options? Throws Error. */
void check(UblkOptions &options) {
    check_options(options.served);
    if (is_remote(options.served.image)) {
        (void)curl_library(); /* a later server may not find it any more */
    }
}

/* state: of the server that this program replaces; -1: none. */
int run_supervised(char **argv, UblkOptions &options, int state) {
    Supervision how;
    how.argv = argv;
    how.stay = options.served.stay;
    how.idfile = options.idfile;
    how.image = is_remote(options.served.image) ? "" : without_file_scheme(options.served.image);
    how.state = state;
    how.prepare = [&] {
        check(options);
        if (!options.served.stay) {
            return;
        }
        argv[0][0] = '@'; /* systemd's mark of what serves storage: it is not killed at the end */
        hold_memory();
        if (state < 0) {
            hold_mounts();
        }
    };
    return supervise([&](ServerState &own) { return run_server(options, own); }, how);
}

int run(int argc, char **argv) {
    UblkArguments arguments;
    const Parameters parameters = all_parameters(arguments);
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        if (word == "--help" || word == "-h") {
            return print(ublkd_help());
        }
        if (word == "--version" || word == "-V") {
            return print("cloopw-ublkd " CLOOPW_VERSION "\n");
        }
        if (word == "--state") { /* can it take over with these arguments? */
            if (!arguments.options.served.image.empty()) {
                check(arguments.options);
            }
            return print(state_version() + "\n");
        }
        if (word == "--check") {
            check_machine();
            return EXIT_SUCCESS;
        }
        set_parameter(parameters, word);
    }
    if (arguments.remove || arguments.orphan) {
        const auto &device = arguments.remove ? arguments.remove : arguments.orphan;
        remove_device(*device, !arguments.remove);
        return EXIT_SUCCESS;
    }
    return run_supervised(argv, arguments.options,
                          arguments.state ? static_cast<int>(*arguments.state) : -1);
}

}  // namespace

int main(int argc, char **argv) {
    try {
        return run(argc, argv);
    } catch (const UsageError &e) {
        say(std::string(e.what()) + "; try 'cloopw-ublkd --help'");
        return kExitUsage;
    } catch (const std::exception &e) {
        say(e.what());
        return EXIT_FAILURE;
    }
}

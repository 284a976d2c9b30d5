// SPDX-License-Identifier: GPL-2.0
#include <csignal>

#include "cloopwck.h"
#include "lib/core.h"

namespace {

static_assert(std::atomic<bool>::is_always_lock_free); /* a signal handler sets one */
std::atomic<bool> cancelled = false;

void on_signal(int /*signal*/) { cancelled = true; }

/* The first signal ends the work in good order, a second one at once. */
void catch_signal(int signal) {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
}

}  // namespace

int main(int argc, char **argv) {
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
    (void)std::signal(SIGXFSZ, SIG_IGN); /* the write fails instead */
    cw_log_bad_quiet(true);

    cloopw::Streams streams = cloopw::system_streams();
    return cloopw::cloopwck(cloopw::args_of(argc, argv), streams, cancelled);
}

// SPDX-License-Identifier: GPL-2.0
#include "cancel.h"

#include <csignal>

namespace cloopw {
namespace {

static_assert(std::atomic<bool>::is_always_lock_free); /* a signal handler sets one */
std::atomic<bool> cancelled = false;
volatile std::sig_atomic_t caught = 0;

void on_signal(int signal) {
    caught = signal;
    cancelled = true;
}

bool is_ignored(int signal) {
    struct sigaction action = {};
    return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* The first signal ends the work in good order, a second one at once. */
void catch_signal(int signal) {
    if (is_ignored(signal)) {
        return; /* by nohup, or a shell's trap: so it stays */
    }
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
}

}  // namespace

const std::atomic<bool> &cancel_on_signals() {
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
    (void)std::signal(SIGXFSZ, SIG_IGN);
    return cancelled;
}

int caught_signal() { return caught; }

}  // namespace cloopw

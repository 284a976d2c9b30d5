// SPDX-License-Identifier: GPL-2.0
#include <csignal>

#include "mkcloopw.h"
#include "tools/common/cancel.h"

int main(int argc, char **argv) {
    const std::atomic<bool> &cancelled = cloopw::cancel_on_signals();
    cloopw::Streams streams = cloopw::system_streams();
    int code = cloopw::mkcloopw(cloopw::args_of(argc, argv), streams, cancelled);
    if (int caught = cloopw::caught_signal(); caught != 0 && code != cloopw::kExitOk) {
        /* A shell sees the signal that ended us. */
        (void)std::signal(caught, SIG_DFL);
        (void)std::raise(caught);
    }
    return code;
}

// SPDX-License-Identifier: GPL-2.0
#include "cloopwck.h"
#include "lib/core.h"
#include "tools/common/cancel.h"

int main(int argc, char **argv) {
    const std::atomic<bool> &cancelled = cloopw::cancel_on_signals();
    cw_log_bad_quiet(true);

    cloopw::Streams streams = cloopw::system_streams();
    return cloopw::cloopwck(cloopw::args_of(argc, argv), streams, cancelled);
}

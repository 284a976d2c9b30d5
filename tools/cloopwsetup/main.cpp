// SPDX-License-Identifier: GPL-2.0
#include "cloopwsetup.h"

int main(int argc, char **argv) {
    cloopw::Streams streams = cloopw::system_streams();
    cloopw::SystemKernel kernel;
    return cloopw::cloopwsetup(cloopw::args_of(argc, argv), streams, kernel);
}

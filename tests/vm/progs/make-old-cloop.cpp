// SPDX-License-Identifier: GPL-2.0
/*
 * Makes cloop images that no tool at hand makes:
 *   make-old-cloop V0.68|V4.0|V4.0-last BLOCKSIZE CODEC[,CODEC...] PLAIN IMAGE
 * The codecs are used in turn.
 */
#include <cstdio>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <string>

#include "support/images.h"
#include "support/scratch_dir.h"

namespace {

using cloopw::test::Bytes;
using cloopw::test::CloopSpec;

CloopSpec parse(const std::string &version, const std::string &block_size,
                const std::string &codecs) {
    CloopSpec spec;
    spec.version = version == "V0.68" ? 0 : 4;
    spec.trailing = version == "V4.0-last";
    spec.block_size = static_cast<u32>(std::stoul(block_size));
    spec.codecs.clear();
    std::istringstream in(codecs);
    for (std::string name; std::getline(in, name, ',');) {
        spec.codecs.push_back(cw_codec_by_name(name.c_str()));
        if (spec.codecs.back() == nullptr) {
            throw std::runtime_error("no codec " + name);
        }
    }
    return spec;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 6) {
        std::fputs("usage: make-old-cloop VERSION BLOCKSIZE CODECS PLAIN IMAGE\n", stderr);
        return 2;
    }
    try {
        const Bytes image = cloopw::test::cloop_image(parse(argv[1], argv[2], argv[3]),
                                                      cloopw::test::read_bytes(argv[4]));
        std::ofstream out(argv[5], std::ios::binary);
        out.write(reinterpret_cast<const char *>(image.data()),
                  static_cast<std::streamsize>(image.size()));
        return out.flush() ? 0 : 1;
    } catch (const std::exception &e) {
        std::fprintf(stderr, "make-old-cloop: %s\n", e.what());
        return 1;
    }
}

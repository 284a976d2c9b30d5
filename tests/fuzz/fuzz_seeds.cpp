// SPDX-License-Identifier: GPL-2.0
/* Writes seeds, made as the unit tests make their files: fuzz-seeds DIRECTORY */
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "support/data.h"
#include "support/images.h"

namespace {

using namespace cloopw;
using namespace cloopw::test;

void put(const std::filesystem::path &path, const Bytes &bytes) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char *>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: fuzz-seeds DIRECTORY\n");
        return 2;
    }
    const std::filesystem::path dir = argv[1];
    const Bytes plain = text_bytes(9000);
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        const cw_codec &codec = *cw_codecs[i];
        put(dir / "image" / (std::string("cloopw-") + codec.name),
            native_image(plain, 4096, codec));
        if (is_in_cloop4(codec)) {
            put(dir / "image" / (std::string("cloop4-") + codec.name),
                cloop_image({4, i % 2 == 0, 4096, {&codec}}, plain));
        }
    }
    put(dir / "image" / "cloop2", cloop2_image(plain, 4096));
    put(dir / "image" / "cloop068", cloop_image({0, false, 4096, {&cw_codec_zlib}}, plain));
    put(dir / "image" / "raw", plain);
    for (int version : {1, 2, 3}) {
        UmlSpec spec;
        spec.size = 16384;
        spec.version = version;
        Bytes uml = uml_cow(spec);
        uml[uml_bitmap_offset(spec)] = 0x15;
        put(dir / "uml" / std::to_string(version), uml);
        spec.padded = true;
        put(dir / "uml" / (std::to_string(version) + "-padded"), uml_cow(spec));
    }
    /* The first byte chooses the codec and the use of the log. */
    for (u8 how = 0; how < 32; how++) {
        put(dir / "log" / std::to_string(how), {how});
    }
    for (unsigned int i = 0; i < 24; i++) {
        put(dir / "ops" / std::to_string(i), random_bytes(60 + i * 35, i));
    }
    return 0;
}

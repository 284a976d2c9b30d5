// SPDX-License-Identifier: GPL-2.0
/* Layers over layers, and how a device is attached. */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

TEST_F(Cloopwsetup, ASnapshotPutsANewFileOnTop) {
    runs({"-c", path("a"), device(0), image()});
    runs({"--snapshot", path("b"), device(0)});
    const std::vector<std::string> layers = {path("b"), path("a")};
    EXPECT_EQ(attached(0).layers, layers);
    EXPECT_EQ(json::parse(out_of({"-lJ", "-O", "cow,cow_format"}))
                  .at("cloopwdevices")
                  .at(0)
                  .at("cow_format"),
              json({"log", "log"}));
    runs({"-d", device(0)});
    runs({"-c", path("b"), device(0), image()});
    EXPECT_EQ(attached(0).layers, layers);
    EXPECT_EQ(attached(0).layer_flags, (std::vector<int>{O_RDWR, O_RDONLY}));
}

TEST_F(Cloopwsetup, AFrozenLayerIsReadOrGetsANewTop) {
    runs({"-c", path("a"), device(0), image()});
    runs({"--snapshot", path("b"), device(0)});
    runs({"-d", device(0)});
    refuses({"-c", path("a"), device(0), image()},
            "DIR/a: is frozen: layers may lie over it, and it must not change; attach the layer "
            "over it, put a new one over it with '-c NEW -c THIS', or look at it with -r");
    runs({"-r", "-c", path("a"), device(0), image()});
    runs({"-c", path("c"), "-c", path("a"), device(1), image()});
    EXPECT_EQ(attached(1).layer_flags, (std::vector<int>{O_RDWR, O_RDONLY}));
}

TEST_F(Cloopwsetup, ALayerCanLieOverAUmlFile) {
    runs({"--cow-format", "uml", "-c", path("a"), device(0), image()});
    refuses({"--snapshot", path("b"), device(0)},
            "DIR/a: a COW file of format uml cannot be frozen; detach it, then 'cloopwsetup -c NEW "
            "-c THIS DEVICE IMAGE' puts a layer over it");
    EXPECT_FALSE(fs::exists(path("b")));
    runs({"-d", device(0)});
    runs({"-c", path("b"), "-c", path("a"), device(0), image()});
    EXPECT_EQ(attached(0).layers, (std::vector<std::string>{path("b"), path("a")}));
}

TEST_F(Cloopwsetup, ASnapshotThatFailsLeavesNoFile) {
    runs({"-c", path("a"), device(0), image()});
    kernel_->snapshot_error = -EIO;
    refuses({"--snapshot", path("b"), device(0)}, "DEV/cloopw0: no snapshot: Input/output error");
    kernel_->snapshot_error = -ENOTTY;
    refuses({"--snapshot", path("b"), device(0)},
            "DEV/cloopw0: no snapshot: Inappropriate ioctl for device; this program and the module "
            "are of different versions");
    EXPECT_FALSE(fs::exists(path("b")));
    EXPECT_EQ(attached(0).layers, std::vector<std::string>{path("a")});
    runs({"-d", device(0)});
    refuses({"-c", path("b"), "-c", path("a"), device(0), image()},
            "DEV/cloopw0: no snapshot: Inappropriate ioctl for device; this program and the module "
            "are of different versions");
    EXPECT_FALSE(fs::exists(path("b")));
    EXPECT_EQ(kernel_->disks.at(0), nullptr);
}

TEST_F(Cloopwsetup, ASnapshotMakesTheFileItself) {
    runs({"-c", path("a"), device(0), image()});
    refuses({"--snapshot", path("a"), device(0)},
            "DIR/a: is there already; a snapshot makes a new COW file, name another");
    refuses({"--snapshot", path("none/b"), device(0)},
            "DIR/none/b: its directory: No such file or directory; make the directory first");
}

TEST_F(Cloopwsetup, ASnapshotNeedsADeviceThatIsWritten) {
    refuses({"--snapshot", path("b"), device(0)}, "DEV/cloopw0: has no image");
    runs({device(0), image()});
    refuses({"--snapshot", path("b"), device(0)},
            "DEV/cloopw0: has no COW file that could be kept as it is; attach the image with -c");
    runs({"-c", path("a"), device(1), image()});
    runs({"-d", device(1)});
    runs({"-r", "-c", path("a"), device(1), image()});
    refuses({"--snapshot", path("b"), device(1)},
            "DEV/cloopw1: no snapshot: the device is read-only, so it has nothing to be frozen; "
            "attach the image with -c and without -r");
    EXPECT_FALSE(fs::exists(path("b")));
}

TEST_F(Cloopwsetup, AMissingParentIsAnError) {
    runs({"-c", path("a"), device(0), image()});
    runs({"--snapshot", path("b"), device(0)});
    runs({"-d", device(0)});
    fs::rename(path("a"), path("renamed"));
    runs({"-c", path("b"), device(0), image()});
    runs({"-d", device(0)});
    fs::remove(path("renamed"));
    EXPECT_EQ(run({"-c", path("b"), device(0), image()}), 1);
    EXPECT_TRUE(contains(err_, "lies over the COW file a (UUID ")) << err_;
    EXPECT_TRUE(contains(
        err_, "which is not there beside it; if it is elsewhere, name it as the next layer"))
        << err_;
}

TEST_F(Cloopwsetup, ReadOnlyOpensNothingForWriting) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-r", "-c", path("cow"), device(0), image()});
    EXPECT_EQ(attached(0).layer_flags, std::vector<int>{O_RDONLY});
    EXPECT_EQ(attached(0).config.flags, CLOOPW_F_READ_ONLY);
}

TEST_F(Cloopwsetup, PassesFlagsAndCache) {
    runs({"-P", "--cache", "16M", device(0), image()});
    EXPECT_EQ(attached(0).config.flags, CLOOPW_F_READ_ONLY | CLOOPW_F_PARTSCAN);
    EXPECT_EQ(attached(0).config.cache_bytes, 16U << 20);
}

TEST_F(Cloopwsetup, ForcesTheFormat) {
    write("x.cloopw", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("lz4")));
    runs({"--format", "raw", device(0), path("x.cloopw")});
    EXPECT_EQ(attached(0).format, "raw");
    EXPECT_EQ(kernel_->attribute(0, "image_format"), "raw");
}

TEST_F(Cloopwsetup, KnowsCompressedImages) {
    write("x.cloop", cloop2_image(text_bytes(kImageSize), 65536));
    runs({device(0), path("x.cloop")});
    EXPECT_EQ(kernel_->attribute(0, "image_format"), "cloop2");
    EXPECT_EQ(attached(0).engine->size(), kImageSize);
}

TEST_F(Cloopwsetup, VerboseTellsWhatItDoes) {
    runs({"-v", "-c", path("cow"), device(0), image()});
    EXPECT_EQ(placeholders(err_),
              "cloopwsetup: made DIR/cow\n"
              "cloopwsetup: DEV/cloopw0: attached DIR/disk.img, raw, 1048576 bytes\n");
}

TEST_F(Cloopwsetup, TakesARelativePath) {
    fs::path before = fs::current_path();
    fs::current_path(dir_);
    int code = run({"--cow-format", "uml", "-c", "cow", device(0), "disk.img"});
    fs::current_path(before);
    EXPECT_EQ(code, 0) << err_;
    EXPECT_TRUE(contains(read("cow").substr(0, 4128), image()));
}

}  // namespace
}  // namespace cloopw::test

// SPDX-License-Identifier: GPL-2.0
/* Images that are none. */
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

TEST_F(Cloopwsetup, ImageThatIsMissing) {
    refuses({"-c", path("cow"), device(0), path("no.img")},
            "DIR/no.img: cannot open the image: No such file or directory");
    EXPECT_FALSE(fs::exists(path("cow")));
}

TEST_F(Cloopwsetup, ImageThatIsADirectory) {
    refuses({device(0), dir_}, "DIR: is a directory, not an image; name a file or a block device");
}

TEST_F(Cloopwsetup, ImageThatIsEmpty) {
    write("empty", {});
    refuses({device(0), path("empty")}, "DIR/empty: is empty, not an image");
}

TEST_F(Cloopwsetup, ImageThatIsAPipe) {
    ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
    refuses({device(0), path("pipe")}, "DIR/pipe: is neither a file nor a block device");
}

TEST_F(Cloopwsetup, ImageThatIsNoBlockDevice) {
    refuses({device(0), "/dev/null"}, "/dev/null: is neither a file nor a block device");
}

TEST_F(Cloopwsetup, ImageBehindItsEnd) {
    refuses({"-o", "1M", device(0), image()},
            "DIR/disk.img: --offset 1M is behind its end, it has 1M");
}

TEST_F(Cloopwsetup, CompressedByNameOnly) {
    write("x.cloop", text_bytes(4096));
    refuses({device(0), path("x.cloop")},
            "DIR/x.cloop: is named as a compressed image, but has no header of one: it is "
            "damaged, or does not begin there; '--format raw' takes its bytes as they are");
    write("x.CLOOPW", text_bytes(4096));
    int code = run({device(0), path("x.CLOOPW")});
    EXPECT_EQ(code, 1);
    EXPECT_TRUE(contains(err_, "no header of one")) << err_;
    runs({"--format", "raw", device(0), path("x.cloop")});
    EXPECT_EQ(kernel_->attribute(0, "image_format"), "raw");
}

TEST_F(Cloopwsetup, CowInPlaceOfTheImage) {
    runs({"-c", path("cow"), device(0), image()});
    refuses({device(1), path("cow")},
            "DIR/cow: is a COW file, not an image: name it with the image that lies "
            "below it; '--format raw' takes its bytes as they are");
    runs({"--format", "raw", device(1), path("cow")});
    EXPECT_EQ(attached(1).image, path("cow"));
}

TEST_F(Cloopwsetup, TruncatedImage) {
    Bytes whole = native_image(random_bytes(kImageSize), 65536, *cw_codec_by_name("lz4"));
    whole.resize(whole.size() / 2);
    write("cut.cloopw", whole);
    EXPECT_EQ(run({device(0), path("cut.cloopw")}), 1);
    EXPECT_TRUE(std::regex_match(
        placeholders(err_), std::regex("cloopwsetup: DIR/cut.cloopw: .*truncated.*; it was copied "
                                       "or downloaded only in part, get it again\n")))
        << err_;
}

TEST_F(Cloopwsetup, WrongFormatIsRefused) {
    refuses({"--format", "cloop2", device(0), image()}, "DIR/disk.img: is no cloop2 image");
}

}  // namespace
}  // namespace cloopw::test

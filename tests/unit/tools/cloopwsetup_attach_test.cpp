// SPDX-License-Identifier: GPL-2.0
/* Attaching an image, with a new COW or an old one. */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <regex>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

TEST_F(Cloopwsetup, AttachesARawImageReadOnly) {
    runs({device(0), image()});
    EXPECT_EQ(attached(0).image, image());
    EXPECT_EQ(attached(0).config.flags, CLOOPW_F_READ_ONLY);
    EXPECT_EQ(out_ + err_, "");
}

TEST_F(Cloopwsetup, AttachesWithANewCow) {
    runs({"-c", path("cow"), device(1), image()});
    EXPECT_EQ(attached(1).layers, std::vector<std::string>{path("cow")});
    EXPECT_EQ(attached(1).layer_flags, std::vector<int>{O_RDWR});
    EXPECT_EQ(attached(1).config.flags, 0U);
    EXPECT_TRUE(attached(1).engine->info().writable);
}

TEST_F(Cloopwsetup, NewCowIsForTheDecompressedSize) {
    write("x.cloopw", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("lz4")));
    runs({"--cow-format", "uml", "-c", path("cow"), device(0), path("x.cloopw")});
    struct cw_disk_uml3 head = {};
    memcpy(&head, read("cow").data(), sizeof(head));
    EXPECT_EQ(cw_from_be64(head.size), kImageSize);
    EXPECT_STREQ(head.base, path("x.cloopw").c_str());
    struct stat st = {};
    stat(path("x.cloopw").c_str(), &st);
    EXPECT_EQ(cw_from_be32(head.mtime), static_cast<u32>(st.st_mtime));
}

TEST_F(Cloopwsetup, NewCowIsForTheWindowOfTheImage) {
    runs({"--cow-format", "uml", "-c", path("cow"), "-o", "4096", "--sizelimit", "8K", device(0),
          image()});
    struct cw_disk_uml3 head = {};
    memcpy(&head, read("cow").data(), sizeof(head));
    EXPECT_EQ(cw_from_be64(head.size), 8192U);
    EXPECT_EQ(attached(0).config.offset, 4096U);
    EXPECT_EQ(attached(0).config.sizelimit, 8192U);
    EXPECT_EQ(attached(0).engine->size(), 8192U);
}

TEST_F(Cloopwsetup, NewCowIsRoundedUpToSectors) {
    write("odd.img", text_bytes(1000));
    runs({"-c", path("cow"), device(0), path("odd.img")});
    EXPECT_EQ(attached(0).engine->size(), 1024U);
}

TEST_F(Cloopwsetup, NewCowIsOfTheDefaultFormat) {
    runs({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(kernel_->attribute(0, "layers/0/format"), "log");
}

TEST_F(Cloopwsetup, NewCowLogKeepsWhatIsWritten) {
    write("odd.img", text_bytes(100001));
    runs({"-c", path("cow"), device(0), path("odd.img")});
    kernel_->disks[0]->engine->write(Bytes(4096, 'w').data(), 4096, 8192);
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(1), path("odd.img")});
    Bytes got(4096);
    attached(1).engine->read(got.data(), 4096, 8192);
    EXPECT_EQ(got, Bytes(4096, 'w'));
}

TEST_F(Cloopwsetup, CowLogKnowsItsImage) {
    for (unsigned int seed : {1U, 2U}) {
        write("x" + std::to_string(seed) + ".cloopw",
              native_image(text_bytes(kImageSize, seed), 65536, *cw_codec_by_name("lz4")));
        change_uuid("x" + std::to_string(seed) + ".cloopw", static_cast<u8>(seed));
    }
    runs({"--cow-format", "log", "-c", path("cow"), device(0), path("x1.cloopw")});
    runs({"-d", device(0)});
    EXPECT_EQ(run({"-c", path("cow"), device(0), path("x2.cloopw")}), 1);
    EXPECT_TRUE(std::regex_search(placeholders(err_),
                                  std::regex("cloopwsetup: DIR/cow: was made for .*x1.cloopw.*"
                                             "DIR/x2.cloopw.*; give the image it was made for")))
        << err_;
    runs({"-c", path("cow"), device(0), path("x1.cloopw")});
}

TEST_F(Cloopwsetup, NewCowIsForItsOwnerOnly) {
    runs({"-c", path("cow"), device(0), image()});
    struct stat st = {};
    stat(path("cow").c_str(), &st);
    EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST_F(Cloopwsetup, CowSurvivesDetachAndReattach) {
    runs({"-c", path("cow"), device(0), image()});
    std::string text = "written";
    kernel_->disks[0]->engine->write(Bytes(512, 'w').data(), 512, 512);
    kernel_->disks[0]->engine->flush();
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(1), image()});
    Bytes got(512);
    attached(1).engine->read(got.data(), 512, 512);
    EXPECT_EQ(got, Bytes(512, 'w'));
}

TEST_F(Cloopwsetup, OptionsMayFollow) {
    runs({device(0), image(), "-c", path("cow"), "--cow-format", "uml"});
    EXPECT_EQ(attached(0).layers.size(), 1U);
}

TEST_F(Cloopwsetup, TopLayerIsFirst) {
    runs({"-c", path("lower"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-c", path("top"), "-c", path("lower"), device(0), image()});
    const std::vector<std::string> layers = {path("top"), path("lower")};
    EXPECT_EQ(attached(0).layers, layers);
    runs({"-d", device(0)});
    runs({"-c", path("top"), "-c", path("lower"), device(0), image()});
    EXPECT_EQ(attached(0).layers, layers);
    EXPECT_EQ(attached(0).layer_flags, (std::vector<int>{O_RDWR, O_RDONLY}));
}

}  // namespace
}  // namespace cloopw::test

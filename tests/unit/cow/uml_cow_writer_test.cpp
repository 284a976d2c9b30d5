// SPDX-License-Identifier: GPL-2.0
#include "lib/cow/uml_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "lib/cloopw.h"
#include "support/process.h"

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

/* The file closes and goes with the test. */
class UmlCowWriter : public testing::Test {
protected:
    UmlCowWriter() {
        char name[] = "/tmp/uml_cow_writer.XXXXXX";
        dir_ = mkdtemp(name);
        path_ = dir_ + "/cow";
        fd_ = open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    }
    ~UmlCowWriter() override {
        close(fd_);
        fs::remove_all(dir_);
    }

    std::vector<u8> bytes(u64 off, size_t len) const {
        std::vector<u8> got(len);
        got.resize(static_cast<size_t>(
            std::max<ssize_t>(pread(fd_, got.data(), len, static_cast<off_t>(off)), 0)));
        return got;
    }
    struct stat stat_file() const {
        struct stat st = {};
        fstat(fd_, &st);
        return st;
    }

    std::string dir_;
    std::string path_;
    int fd_;
};

std::string refusal_of(const std::function<void()> &call) {
    try {
        call();
    } catch (const Error &e) {
        return e.what();
    }
    return "not refused";
}

/* The first bytes of uml_mkcow's file for a base of 128 MiB, /dev/loop0. */
constexpr u8 kHead[] = {
    0x4f, 0x4f, 0x4f, 0x4d, 0x00, 0x00, 0x00, 0x03, 0x6a, 0xff, 0x4f, 0x8f, 0x00, 0x00,
    0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x10, 0x00,
    0x00, 0x00, 0x00, 0x00, '/',  'd',  'e',  'v',  '/',  'l',  'o',  'o',  'p',  '0',
};

TEST_F(UmlCowWriter, WritesTheBytesOfUmlMkcow) {
    constexpr size_t kUpToBitmap = 8192;
    write_uml_cow(fd_, path_, {"/dev/loop0", 0x6aff4f8f, 134217728});
    std::vector<u8> expected(kHead, kHead + sizeof(kHead));
    expected.resize(kUpToBitmap);
    EXPECT_EQ(bytes(0, kUpToBitmap), expected);
    EXPECT_EQ(stat_file().st_size, 134258688);
}

TEST_F(UmlCowWriter, WritesTheFileOfUmlMkcow) {
    for (size_t size : {size_t{512}, size_t{1} << 20, (size_t{16} << 20) + 512}) {
        const std::string base = dir_ + "/base";
        write_file(base, Bytes(size));
        ASSERT_EQ(run({"uml_mkcow", "-f", dir_ + "/theirs", base}), 0);
        ASSERT_EQ(ftruncate(fd_, 0), 0);
        write_uml_cow(fd_, path_, {uml_base_path(base), mtime_of(base), size});
        EXPECT_TRUE(read_file(path_) == read_file(dir_ + "/theirs")) << size;
    }
}

TEST_F(UmlCowWriter, IsSparse) {
    constexpr u64 kTebibyte = u64{1} << 40;
    write_uml_cow(fd_, path_, {"/base", 1, kTebibyte});
    EXPECT_GT(stat_file().st_size, static_cast<off_t>(kTebibyte));
    EXPECT_LT(stat_file().st_blocks * 512, 64 * 1024);
}

TEST_F(UmlCowWriter, RoundsTheSizeUpToSectors) {
    write_uml_cow(fd_, path_, {"/base", 1, 1000});
    struct cw_disk_uml3 head = {};
    memcpy(&head, bytes(0, sizeof(head)).data(), sizeof(head));
    EXPECT_EQ(cw_from_be64(head.size), 1024U);
    EXPECT_EQ(stat_file().st_size, 12288 + 1024);
}

TEST_F(UmlCowWriter, KeepsTheLow32BitsOfTheTime) {
    write_uml_cow(fd_, path_, {"/base", 0x1'8000'0001, 512});
    EXPECT_EQ(bytes(8, 4), (std::vector<u8>{0x80, 0, 0, 1}));
}

TEST_F(UmlCowWriter, EngineReadsAndWritesIt) {
    constexpr u64 kSize = 1 << 20;
    write_uml_cow(fd_, path_, {"/base", 0, kSize});
    Io base = Io::memory("base", std::vector<u8>(kSize, 'b'));
    std::vector<Io> layers;
    layers.push_back(Io::open(path_, Io::Mode::kReadWrite));
    Device device(std::move(base), std::move(layers), {});
    std::vector<u8> sector(512, 'x');
    device.write(sector.data(), 512, 4096);
    std::vector<u8> got(1024);
    device.read(got.data(), 1024, 4096);
    EXPECT_EQ(std::string(got.begin(), got.end()), std::string(512, 'x') + std::string(512, 'b'));
}

TEST_F(UmlCowWriter, LongestPathFits) {
    const std::string longest(CW_UML_PATH_LEN - 1, 'p');
    write_uml_cow(fd_, path_, {longest, 1, 512});
    auto got = bytes(32, CW_UML_PATH_LEN);
    EXPECT_EQ(std::string(got.begin(), got.end()), longest + '\0');
}

TEST_F(UmlCowWriter, RefusesALongerPath) {
    const std::string path(CW_UML_PATH_LEN, 'p');
    EXPECT_EQ(refusal_of([&] {
                  write_uml_cow(fd_, "cow", {path, 1, 512});
              }),
              "cow: the path of its base is longer than the 4095 bytes a COW file can hold");
    EXPECT_EQ(stat_file().st_size, 0);
}

TEST_F(UmlCowWriter, RefusesAnEmptyDevice) {
    EXPECT_EQ(refusal_of([&] {
                  write_uml_cow(fd_, "cow", {"/base", 1, 0});
              }),
              "a COW file for a device of 0 bytes makes no sense");
}

TEST_F(UmlCowWriter, RefusesSizesThatNoFileHas) {
    for (u64 size : {~u64{0}, u64{1} << 63, u64{1} << 62}) {
        EXPECT_NE(refusal_of([&] { uml_cow_layout(size); }).find("too large for a COW file"),
                  std::string::npos)
            << size;
    }
}

TEST_F(UmlCowWriter, SaysThatAFileCannotBeWritten) {
    int read_only = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(refusal_of([&] {
                  write_uml_cow(read_only, "cow", {"/base", 1, 512});
              }),
              "cow: cannot write the COW header: Bad file descriptor");
    close(read_only);
}

TEST_F(UmlCowWriter, SaysThatAFileCannotBeExtended) {
    /* More than the largest file of any file system here. */
    EXPECT_NE(refusal_of([&] {
                  write_uml_cow(fd_, "cow", {"/base", 1, (u64{1} << 62) - 512});
              }).find("cow: cannot extend it to "),
              std::string::npos);
}

/* Lengths that uml_mkcow gave its files. */
TEST(UmlCowLayout, IsThatOfUmlMkcow) {
    const std::pair<u64, u64> kSizes[] = {
        {512, 12800},           {1024, 13312},          {16777216, 16789504},
        {134217728, 134258688}, {134218240, 134263296}, {1073741824, 1074012160},
    };
    for (const auto &[size, file_len] : kSizes) {
        EXPECT_EQ(uml_cow_layout(size).file_len, file_len) << size;
    }
}

TEST(UmlCowLayout, PartsFollowEachOther) {
    UmlCowLayout layout = uml_cow_layout(134218240);
    EXPECT_EQ(layout.bitmap_offset, 8192U);
    EXPECT_EQ(layout.bitmap_len, 32769U);
    EXPECT_EQ(layout.data_offset, 45056U);
}

TEST(UmlBasePath, IsAbsolute) {
    char cwd[4096];
    ASSERT_NE(getcwd(cwd, sizeof(cwd)), nullptr);
    EXPECT_EQ(uml_base_path("base.img"), std::string(cwd) + "/base.img");
    EXPECT_EQ(uml_base_path("/usr/../usr/base.img"), "/usr/base.img");
}

/* uml_mkcow resolves the directory and keeps the last component. */
TEST_F(UmlCowWriter, BasePathKeepsALinkButNotItsDirectory) {
    fs::create_directory(dir_ + "/real");
    fs::create_directory_symlink("real", dir_ + "/dirlink");
    std::ofstream(dir_ + "/real/base") << "x";
    fs::create_symlink("base", dir_ + "/real/link");
    EXPECT_EQ(uml_base_path(dir_ + "/dirlink/link"), dir_ + "/real/link");
}

TEST(UmlBasePath, RefusesADirectoryThatIsNotThere) {
    EXPECT_EQ(refusal_of([] { uml_base_path("/nonexistent/base"); }),
              "/nonexistent/base: cannot tell its absolute path: No such file or directory");
}

}  // namespace
}  // namespace cloopw::test

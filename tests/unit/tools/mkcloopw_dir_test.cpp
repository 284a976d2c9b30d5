// SPDX-License-Identifier: GPL-2.0
/* mkcloopw --from-dir: a directory as an ext4 image. */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "support/mkcloopw_tool.h"
#include "tools/mkcloopw/ext4_times.h"
#include "tools/mkcloopw/tree.h"

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

/* The output of a command. */
std::string output_of(const std::string &command) {
    FILE *pipe = popen((command + " 2>/dev/null").c_str(), "r");
    std::string text;
    std::array<char, 4096> buffer;
    for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
        text.append(buffer.data(), n);
    }
    pclose(pipe);
    return text;
}

class MkcloopwDir : public Mkcloopw {
protected:
    MkcloopwDir() {
        fs::create_directories(tree_ + "/etc/deep/er");
        fs::create_directories(scratch_);
        setenv("TMPDIR", scratch_.c_str(), 1);
    }
    ~MkcloopwDir() override {
        unsetenv("TMPDIR");
        unsetenv("SOURCE_DATE_EPOCH");
        setenv("PATH", path_.c_str(), 1);
    }

    void put(const std::string &name, const Bytes &bytes) const {
        dir_.write("tree/" + name, bytes);
    }

    /* A tree of files, all as old as their number. */
    void fill_tree() const {
        put("etc/text", text_bytes(123456));
        put("etc/deep/er/noise", random_bytes(70000));
        put("empty", {});
        for (int i = 0; i < 300; i++) {
            put("etc/deep/name-that-takes-some-room-" + std::to_string(i), text_bytes(50, 9));
        }
        set_times(tree_);
    }
    static void set_times(const std::string &tree) {
        time_t now = 1'600'000'000;
        const std::array<timespec, 2> times = {timespec{now, 5}, timespec{now, 7}};
        for (const auto &entry : fs::recursive_directory_iterator(tree)) {
            utimensat(AT_FDCWD, entry.path().c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
        }
        utimensat(AT_FDCWD, tree.c_str(), times.data(), 0);
    }

    static void set_time_of(const std::string &path, s64 time) {
        const std::array<timespec, 2> both = {timespec{time, 0}, timespec{time, 0}};
        ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), both.data(), 0), 0);
    }
    void set_time(const std::string &name, s64 time) const { set_time_of(tree_ + name, time); }

    /* Makes an image of the tree, unpacks and checks it. */
    std::string make(const Args &options = {}) {
        Args args = {"-q", "-f", "--from-dir", tree_, out_};
        args.insert(args.begin(), options.begin(), options.end());
        expect_success(args);
        extract(out_);
        std::string raw = dir_ / "extracted";
        EXPECT_EQ(std::system(("e2fsck -fn " + raw + " >/dev/null 2>&1").c_str()), 0);
        EXPECT_EQ(fs::directory_iterator(scratch_), fs::directory_iterator()) << "left behind";
        return raw;
    }

    static std::string debugfs(const std::string &raw, const std::string &request) {
        return output_of("debugfs -R '" + request + "' " + raw);
    }

    /* A program of this name that comes before the real one. */
    void fake_mke2fs(const std::string &script) const {
        fs::create_directories(dir_ / "bin");
        std::string text = "#!/bin/sh\n" + script;
        std::string file = dir_.write("bin/mke2fs", Bytes(text.begin(), text.end()));
        ASSERT_EQ(chmod(file.c_str(), 0755), 0);
        setenv("PATH", ((dir_ / "bin:") + path_).c_str(), 1);
    }

    const std::string path_ = std::getenv("PATH");
    const std::string tree_ = dir_ / "tree";
    const std::string scratch_ = dir_ / "scratch";
};

#define EXPECT_SAYS(text, what) \
    EXPECT_NE((text).find(what), std::string::npos) << "expected: " << (what) << "\n" << (text)

/* A user who may not read a file in the directory may not read the image. */
TEST_F(MkcloopwDir, IsAsPrivateAsTheFilesInIt) {
    fill_tree();
    auto mode_with = [&](const std::string &name, mode_t mode) {
        const std::string file = tree_ + name;
        fs::permissions(file, static_cast<fs::perms>(mode));
        expect_success({"-q", "-f", "--from-dir", tree_, out_});
        struct stat st = {};
        EXPECT_EQ(stat(out_.c_str(), &st), 0);
        fs::remove(out_);
        return st.st_mode & 0777;
    };
    const mode_t before = umask(022);
    EXPECT_EQ(mode_with("/etc/text", 0644), 0644U);
    EXPECT_EQ(mode_with("/etc/text", 0640), 0600U);
    EXPECT_EQ(mode_with("/etc/text", 0644), 0644U);
    EXPECT_EQ(mode_with("/etc/deep", 0750), 0600U);
    EXPECT_EQ(mode_with("/etc/deep", 0755), 0644U);
    EXPECT_EQ(mode_with("", 0711), 0600U);
    umask(before);
}

TEST_F(MkcloopwDir, FilesAreKept) {
    fill_tree();
    ASSERT_EQ(symlink("etc/text", (tree_ + "/short").c_str()), 0);
    ASSERT_EQ(symlink(std::string(200, 'x').c_str(), (tree_ + "/long").c_str()), 0);
    std::string raw = make();
    std::string copy = dir_ / "copy";
    fs::create_directories(copy);
    debugfs(raw, "rdump / " + copy);
    fs::remove_all(copy + "/lost+found");
    EXPECT_EQ(std::system(("diff -r --no-dereference " + tree_ + " " + copy).c_str()), 0);
}

TEST_F(MkcloopwDir, WhatIsNotDataIsKept) {
    put("file", text_bytes(10));
    ASSERT_EQ(link((tree_ + "/file").c_str(), (tree_ + "/etc/same").c_str()), 0);
    ASSERT_EQ(mkfifo((tree_ + "/fifo").c_str(), 0600), 0);
    ASSERT_EQ(chmod((tree_ + "/fifo").c_str(), 0620), 0);
    ASSERT_EQ(chmod((tree_ + "/file").c_str(), 04751), 0);
    ASSERT_EQ(chmod(tree_.c_str(), 01750), 0);
    ASSERT_EQ(setxattr((tree_ + "/file").c_str(), "user.note", "kept", 4, 0), 0);
    ASSERT_EQ(setxattr(tree_.c_str(), "user.root", "too", 3, 0), 0);
    bool root = geteuid() == 0; /* only root can make the following files */
    if (root) {
        ASSERT_EQ(chown((tree_ + "/etc").c_str(), 70000, 70001), 0);
        ASSERT_EQ(chown(tree_.c_str(), 12, 34), 0);
        ASSERT_EQ(mknod((tree_ + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
        ASSERT_EQ(mknod((tree_ + "/disk").c_str(), S_IFBLK | 0660, makedev(259, 70000)), 0);
    }
    set_times(tree_);
    std::string raw = make();

    std::string file = debugfs(raw, "stat /file");
    EXPECT_SAYS(file, "Mode:  04751");
    EXPECT_SAYS(file, "Links: 2");
    EXPECT_SAYS(file, "mtime: 0x5f5e1000");
    EXPECT_EQ(file.substr(0, file.find("Type")), [&] {
        std::string same = debugfs(raw, "stat /etc/same");
        return same.substr(0, same.find("Type"));
    }());
    EXPECT_SAYS(debugfs(raw, "ea_list /file"), "user.note (4) = \"kept\"");
    EXPECT_SAYS(debugfs(raw, "ea_list /"), "user.root (3) = \"too\"");
    EXPECT_SAYS(debugfs(raw, "stat /fifo"), "Type: FIFO    Mode:  0620");
    std::string top = debugfs(raw, "stat /");
    EXPECT_SAYS(top, "Mode:  01750");
    EXPECT_SAYS(top, "mtime: 0x5f5e1000");
    if (root) {
        EXPECT_SAYS(debugfs(raw, "stat /etc"), "User: 70000   Group: 70001");
        EXPECT_SAYS(top, "User:    12   Group:    34");
        EXPECT_SAYS(debugfs(raw, "stat /null"), "Device major/minor number: 01:03");
        EXPECT_SAYS(debugfs(raw, "stat /disk"), "(New-style) Device major/minor number: 259:70000");
    }
}

/* Also when files were read meanwhile, or are others with the same content. */
TEST_F(MkcloopwDir, SameTreeSameBytes) {
    fill_tree();
    make();
    Bytes first = read_bytes(out_);
    read_bytes(tree_ + "/etc/text");
    utimensat(AT_FDCWD, (tree_ + "/empty").c_str(),
              std::array<timespec, 2>{timespec{1'700'000'000, 0}, timespec{0, UTIME_OMIT}}.data(),
              0);
    make({"-j", "5"});
    EXPECT_EQ(read_bytes(out_), first);

    std::string copy = dir_ / "copy";
    ASSERT_EQ(std::system(("cp -a " + tree_ + " " + copy).c_str()), 0);
    expect_success({"-q", "--from-dir", copy, dir_ / "of-copy"});
    EXPECT_EQ(read_bytes(dir_ / "of-copy"), first);

    put("empty", {1});
    set_times(tree_);
    make();
    EXPECT_NE(read_bytes(out_), first);
}

TEST_F(MkcloopwDir, NothingIsNewerThanSourceDateEpoch) {
    fill_tree();
    setenv("SOURCE_DATE_EPOCH", "1500000000", 1);
    std::string raw = make();
    for (const char *name : {"/", "/etc/text", "/lost+found", "/etc/deep/er"}) {
        std::string text = debugfs(raw, std::string("stat ") + name);
        for (const char *time : {"ctime", "atime", "mtime", "crtime"}) {
            EXPECT_SAYS(text, std::string(time) + ": 0x59682f00");
        }
    }
    /* Older files keep their times, even before 1970. */
    time_t times[] = {INT32_MIN, -5, 1'400'000'000};
    setenv("SOURCE_DATE_EPOCH", "6000000000", 1);
    for (time_t time : times) {
        const std::array<timespec, 2> both = {timespec{time, 0}, timespec{time, 0}};
        utimensat(AT_FDCWD, (tree_ + "/empty").c_str(), both.data(), 0);
        raw = make();
        char word[32];
        snprintf(word, sizeof(word), "mtime: 0x%08x:", static_cast<u32>(time));
        EXPECT_SAYS(debugfs(raw, "stat /empty"), word);
    }
}

/* mke2fs keeps 32 bits, which make 2040 1904. */
TEST_F(MkcloopwDir, TimesAfter2038AreKept) {
    fill_tree();
    struct {
        s64 time;
        const char *said; /* by debugfs: the seconds, and the epoch in the lowest bits */
    } cases[] = {{2'208'988'800, "mtime: 0x83aa7e80:00000001"},  /* 2040 */
                 {4'291'747'200, "mtime: 0xffcedd80:00000001"},  /* 2105 */
                 {4'294'967'301, "mtime: 0x00000005:00000001"}}; /* 2106 */
    for (const auto &c : cases) {
        set_time("/etc/text", c.time);
        set_time("", c.time); /* the tree's top */
        const std::string raw = make();
        EXPECT_SAYS(debugfs(raw, "stat /etc/text"), c.said);
        EXPECT_SAYS(debugfs(raw, "stat /"), c.said);
        EXPECT_SAYS(debugfs(raw, "stat /lost+found"), c.said);
        EXPECT_SAYS(debugfs(raw, "stat /etc"), "mtime: 0x5f5e1000:00000000");
    }
    set_times(tree_);
    set_time("/etc/text", -5);
    EXPECT_SAYS(debugfs(make(), "stat /etc/text"), "mtime: 0xfffffffb:00000000");
}

TEST_F(MkcloopwDir, TimesThatCannotBeKeptAreRefused) {
    fill_tree();
    set_time("/etc/text", s64{0x5f5e1000} + (s64{1} << 32));
    expect_refusal(1, "another file 136 years before or after that", {"--from-dir", tree_, out_});
    /* Only a file system that is not ext4 has such. */
    std::string memory = "/dev/shm/mkcloopw-dir.XXXXXX";
    ASSERT_NE(mkdtemp(memory.data()), nullptr);
    set_time_of(memory, kExt4Newest + 1);
    expect_refusal(1, "15032385536 seconds since 1970, and ext4 only keeps times of 1901-12-13 to",
                   {"--from-dir", memory, out_});
    fs::remove(memory);
}

TEST_F(MkcloopwDir, HolesAreNotStored) {
    put("sparse", {1});
    ASSERT_EQ(truncate((tree_ + "/sparse").c_str(), off_t{1} << 33), 0);
    std::string raw = make();
    EXPECT_SAYS(debugfs(raw, "stat /sparse"), "Size: 8589934592");
    EXPECT_LT(fs::file_size(raw), 64u << 20);
    EXPECT_LT(fs::file_size(out_), 100u << 10);
}

TEST_F(MkcloopwDir, ManySmallFilesFit) {
    for (int i = 0; i < 6000; i++) {
        put("etc/" + std::to_string(i), {});
    }
    EXPECT_SAYS(debugfs(make(), "stat /etc/5999"), "Type: regular");
}

TEST_F(MkcloopwDir, TheLabelIsTheFileSystemsToo) {
    std::string raw = make({"--label", "a label of more than 16 bytes"});
    EXPECT_SAYS(output_of("e2label " + raw), "a label of more \n");
}

TEST_F(MkcloopwDir, GrowsUntilItFits) {
    fill_tree();
    fake_mke2fs(
        "for last; do :; done\n"
        "[ $(stat -L -c %s $last) -ge 25000000 ] ||\n"
        "{ echo 'mke2fs: Could not allocate block in ext2 filesystem' >&2; exit 1; }\n"
        "PATH=/usr/sbin:/sbin exec mke2fs \"$@\"\n");
    EXPECT_GE(fs::file_size(make()), 25000000u);
}

/* A count of the file system's blocks, in bytes. */
u64 blocks_of(const std::string &raw, const std::string &which) {
    return std::stoull(output_of("dumpe2fs -h " + raw + " 2>/dev/null | sed -n 's/^" + which +
                                 " blocks: *//p'")) *
           4096;
}

TEST_F(MkcloopwDir, HasTheSizeThatIsWanted) {
    fill_tree();
    EXPECT_EQ(fs::file_size(make({"--size", "50M"})), 50u << 20);
    EXPECT_EQ(fs::file_size(make({"--size", "140M"})), 140u << 20);
    EXPECT_EQ(fs::file_size(make({"--size", "8M"})), 8u << 20);
    put("more", random_bytes(5 << 20));
    EXPECT_EQ(fs::file_size(make({"--size", "12M"})), 12u << 20);
    for (const char *size : {"1M", "4M", "5M"}) {
        expect_refusal(1,
                       tree_ + ": does not fit into a file system of " + size +
                           "; give --size more, or leave it out",
                       {"--from-dir", tree_, "--size", size, out_});
    }
    for (const char *size : {"5000", "512K", "0"}) {
        expect_refusal(2, "--size " + std::string(size) + ": must be a multiple of 4096, and 1M",
                       {"--from-dir", tree_, "--size", size, out_});
    }
}

TEST_F(MkcloopwDir, HasTheRoomThatIsWanted) {
    fill_tree();
    for (u64 mib : {1, 200}) {
        std::string raw = make({"--free", std::to_string(mib) + "M"});
        EXPECT_GE(blocks_of(raw, "Free"), mib << 20);
        EXPECT_LE(blocks_of(raw, "Free"), (mib + mib / 10 + 20) << 20);
    }
}

/* Names of all that is in the image, below its top. */
std::set<std::string> names_in(const std::string &raw, const std::string &into) {
    fs::create_directories(into);
    output_of("debugfs -R 'rdump / " + into + "' " + raw);
    fs::remove_all(into + "/lost+found");
    std::set<std::string> names;
    for (const auto &entry : fs::recursive_directory_iterator(into)) {
        names.insert(fs::relative(entry.path(), into));
    }
    fs::remove_all(into);
    return names;
}

class MkcloopwExclude : public MkcloopwDir {
protected:
    MkcloopwExclude() {
        fs::remove_all(tree_ + "/etc");
        for (const char *name : {"tmp/a", "tmp/b.o", "src/c.o", "src/tmp/d", "src/tmp/e f"}) {
            fs::create_directories(fs::path(tree_ + "/" + name).parent_path());
            put(name, text_bytes(3000));
        }
        set_times(tree_);
    }
    std::set<std::string> left(const Args &options) {
        return names_in(make(options), dir_ / "dumped");
    }
    using Names = std::set<std::string>;
};

TEST_F(MkcloopwExclude, MatchesNamesAndPaths) {
    const Names all = {"src",         "src/c.o", "src/tmp", "src/tmp/d",
                       "src/tmp/e f", "tmp",     "tmp/a",   "tmp/b.o"};
    EXPECT_EQ(left({"--exclude", "nothing"}), all);
    EXPECT_EQ(left({"--exclude", "src/d"}), all);
    EXPECT_EQ(left({"--exclude", "*/d"}), all);
    EXPECT_EQ(left({"--exclude", "tmp"}), (Names{"src", "src/c.o"}));
    EXPECT_EQ(left({"--exclude", "*.o", "--exclude", "e f"}),
              (Names{"src", "src/tmp", "src/tmp/d", "tmp", "tmp/a"}));
    for (const char *top : {"/tmp", "./tmp", "/tmp/"}) {
        EXPECT_EQ(left({"--exclude", top}),
                  (Names{"src", "src/c.o", "src/tmp", "src/tmp/d", "src/tmp/e f"}));
    }
    EXPECT_EQ(left({"--exclude", "tmp/*"}),
              (Names{"src", "src/c.o", "src/tmp", "src/tmp/d", "src/tmp/e f", "tmp"}));
    EXPECT_EQ(left({"--exclude", "s[!x]c/tmp/?"}),
              (Names{"src", "src/c.o", "src/tmp", "src/tmp/e f", "tmp", "tmp/a", "tmp/b.o"}));
    EXPECT_EQ(left({"--exclude", "*"}), Names{});
}

/* An excluded file leaves the image as if it had never been there. */
TEST_F(MkcloopwExclude, LeavesNoTrace) {
    put("big", random_bytes(20 << 20));
    put("src/secret", text_bytes(1000));
    fs::permissions(tree_ + "/src/secret", fs::perms::owner_read);
    set_times(tree_);
    make({"--exclude", "big", "--exclude", "secret"});
    const Bytes with = read_bytes(out_);
    struct stat st = {};
    ASSERT_EQ(stat(out_.c_str(), &st), 0);
    EXPECT_NE(st.st_mode & 0044, 0u) << "as private as what is not in it";
    fs::remove(tree_ + "/big");
    fs::remove(tree_ + "/src/secret");
    set_times(tree_);
    make();
    EXPECT_EQ(read_bytes(out_), with);
}

TEST_F(MkcloopwExclude, AMountPointIsEmpty) {
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", (tree_ + "/tmp").c_str(), "tmpfs", 0, "mode=0755") != 0) {
        /* Nobody but root can mount; /proc is a file system of its own everywhere. */
        EXPECT_NE(measure_tree("/proc/self", {}).inodes, 1u);
        return;
    }
    put("tmp/other", text_bytes(10));
    const Names mounted = left({});
    const Names without = left({"--one-file-system"});
    umount((tree_ + "/tmp").c_str());
    EXPECT_TRUE(mounted.contains("tmp/other"));
    EXPECT_EQ(without, (Names{"src", "src/c.o", "src/tmp", "src/tmp/d", "src/tmp/e f", "tmp"}));
}

/* A program that does not load the library would take everything. */
TEST_F(MkcloopwExclude, AnotherMke2fsIsRefused) {
    fake_mke2fs("exit 0\n");
    expect_refusal(1, "mke2fs: takes files that are to be left out",
                   {"--from-dir", tree_, "--exclude", "tmp", out_});
}

TEST_F(MkcloopwDir, WhatIsSaidOfADirectoryNeedsOne) {
    const std::vector<Args> options = {
        {"--size", "1M"}, {"--free", "1M"}, {"--exclude", "x"}, {"--one-file-system"}};
    for (Args args : options) {
        const std::string name = args[0];
        args.insert(args.end(), {in_, out_});
        expect_refusal(2, name + ": is said of a directory; name it with --from-dir", args);
    }
    expect_refusal(2, "--size and --free do not go together",
                   {"--from-dir", tree_, "--size", "9M", "--free", "1M", out_});
    expect_refusal(2, "--free 1x: not a size", {"--from-dir", tree_, "--free", "1x", out_});
}

TEST_F(MkcloopwDir, Refusals) {
    expect_refusal(1, "missing: cannot be opened: No such file or directory",
                   {"--from-dir", dir_ / "missing", out_});
    expect_refusal(1, in_ + ": is no directory", {"--from-dir", in_, out_});
    expect_refusal(1, tree_ + ": is a directory; make an image of what is in it with --from-dir",
                   {tree_, out_});
    expect_refusal(2, "OUTPUT is required", {"--from-dir", tree_});
    expect_refusal(2, "--from-dir: the directory is named twice", {"--from-dir", tree_, in_, out_});
    expect_refusal(2, "--from-dir and --cow do not go together",
                   {"--from-dir", tree_, "--cow", in_, out_});
    expect_refusal(2, "--from-dir and --extract do not go together",
                   {"--from-dir", tree_, "-x", out_});
    expect_refusal(2, "--from-dir and --input-format do not go together",
                   {"--from-dir", tree_, "-I", "raw", out_});
    setenv("TMPDIR", (dir_ / "missing").c_str(), 1);
    expect_refusal(1, "cannot hold a temporary file for the file system",
                   {"--from-dir", tree_, out_});
    setenv("TMPDIR", scratch_.c_str(), 1);
    fake_mke2fs("echo bad luck >&2; echo very >&2; exit 3\n");
    expect_refusal(1, tree_ + ": mke2fs fails: very", {"--from-dir", tree_, out_});
    fake_mke2fs("exit 3\n");
    expect_refusal(1, tree_ + ": mke2fs fails: it does not say why", {"--from-dir", tree_, out_});
    fake_mke2fs("exit 127\n");
    expect_refusal(1, "mke2fs: cannot be run; install e2fsprogs", {"--from-dir", tree_, out_});
    fake_mke2fs("echo 'Could not allocate block'; exit 1\n");
    expect_refusal(1, "does not fit into a file system of", {"--from-dir", tree_, out_});
    fake_mke2fs("PATH=/usr/sbin:/sbin exec mke2fs \"$@\" -O meta_bg,^resize_inode\n");
    expect_refusal(1, "mke2fs made a file system of an unknown kind", {"--from-dir", tree_, out_});
}

TEST_F(MkcloopwDir, StopsWhileMke2fsWorks) {
    fake_mke2fs("exec sleep infinity\n");
    std::atomic<bool> cancelled = false;
    std::jthread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        cancelled = true;
    });
    ToolResult result = tool({"--from-dir", tree_, out_}, {}, cancelled);
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err, "mkcloopw: " + out_ + ": interrupted; nothing was left behind\n");
    EXPECT_EQ(fs::directory_iterator(scratch_), fs::directory_iterator());
    EXPECT_FALSE(fs::exists(out_));
}

}  // namespace
}  // namespace cloopw::test

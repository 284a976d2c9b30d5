// SPDX-License-Identifier: GPL-2.0
/* cloopwsetup: what can be chosen of a COW. */
#include <fcntl.h>
#include <unistd.h>

#include "lib/cow/cow_device.h"
#include "lib/cow/lock.h"
#include "lib/cow/log_writer.h"
#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;

class CloopwsetupCow : public Cloopwsetup {
protected:
    struct cw_disk_log_super super(const std::string &name) const {
        struct cw_disk_log_super super = {};
        memcpy(&super, read(name).data(), sizeof(super));
        return super;
    }
    cw_cow_space space(int number) const {
        cw_cow_space space;
        cw_device_get_space(&attached(number).engine->get(), &space);
        return space;
    }
};

TEST_F(CloopwsetupCow, CodecAndLevelAreThoseOfTheNewLog) {
    struct Case {
        const char *name;
        const char *level;
        u32 id;
        u32 expected_level;
        u32 hc;
    };
    for (const Case &c :
         {Case{"none", "", CW_CODEC_NONE, 0, 0}, Case{"lz4", "", CW_CODEC_LZ4, 1, 0},
          Case{"lz4hc", "11", CW_CODEC_LZ4, 11, 1}, Case{"zlib", "", CW_CODEC_ZLIB, 6, 0},
          Case{"zstd", "", CW_CODEC_ZSTD, 3, 0}, Case{"zstd", "19", CW_CODEC_ZSTD, 19, 0}}) {
        fs::remove(path("cow"));
        Args args = {"-c", path("cow"), "--cow-codec", c.name, device(0), image()};
        if (*c.level != 0) {
            args.insert(args.end(), {"--cow-level", c.level});
        }
        runs(args);
        EXPECT_EQ(cw_from_le32(super("cow").codec), c.id) << c.name;
        EXPECT_EQ(cw_from_le32(super("cow").codec_level), c.expected_level) << c.name;
        EXPECT_EQ(cw_from_le32(super("cow").codec_hc), c.hc) << c.name;
        runs({"-d", device(0)});
        runs(args); /* the same again is fine */
        runs({"-d", device(0)});
    }
}

TEST_F(CloopwsetupCow, ASnapshotIsMadeAsSettingsSay) {
    runs({"-c", path("a"), device(0), image()});
    runs({"--snapshot", path("b"), "--cow-codec", "zstd", "--cow-level", "7", "--cow-limit", "32M",
          "--low-space", "5%", device(0)});
    EXPECT_EQ(cw_from_le32(super("b").codec), u32{CW_CODEC_ZSTD});
    EXPECT_EQ(cw_from_le32(super("b").codec_level), 7U);
    EXPECT_EQ(space(0).limit, u64{32} << 20);
    EXPECT_EQ(kernel_->attribute(0, "low_space"), "5%");
    EXPECT_EQ(cw_from_le32(super("a").codec), u32{CW_CODEC_LZ4});
}

/* The layer below is attached and frozen for it, and keeps its own. */
TEST_F(CloopwsetupCow, ANewTopOverALayerInUseIsMadeAsSettingsSay) {
    runs({"-c", path("a"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-c", path("b"), "-c", path("a"), "--cow-codec", "zstd", "--cow-limit", "32M", device(0),
          image()});
    EXPECT_EQ(cw_from_le32(super("b").codec), u32{CW_CODEC_ZSTD});
    EXPECT_EQ(space(0).limit, u64{32} << 20);
    EXPECT_EQ(cw_from_le64(super("a").limit), 0U);
}

/* ---- --same-base ---- */

class SameBase : public CloopwsetupCow {
protected:
    /* The COW has the changes, and its image another time than it knows. */
    SameBase() {
        write("base", text_bytes(kMiB, 5));
        age(1000);
        runs({"-c", path("cow"), device(0), path("base")});
        attached(0).engine->write("changed", 8, 4096);
        runs({"-d", device(0)});
        age(2000);
    }
    void age(time_t seconds) {
        const timespec times[] = {{seconds, 0}, {seconds, 0}};
        ASSERT_EQ(utimensat(AT_FDCWD, path("base").c_str(), times, 0), 0);
    }
    void refuses_with(const Args &args, const char *part, int code = 1) {
        EXPECT_EQ(run(args), code);
        EXPECT_NE(err_.find(part), std::string::npos) << err_;
    }
    std::string changes() {
        char text[8] = {};
        attached(0).engine->read(text, sizeof(text), 4096);
        return text;
    }
};

TEST_F(SameBase, TakesACopyOfTheImage) {
    refuses_with({"-c", path("cow"), device(0), path("base")},
                 "'cloopwsetup --same-base' takes this one, if it has the same content");
    runs({"--same-base", "-c", path("cow"), device(0), path("base")});
    EXPECT_EQ(changes(), "changed");
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(0), path("base")}); /* from then on */
    EXPECT_EQ(changes(), "changed");
}

TEST_F(SameBase, IsTheImageOfTheLowestLayer) {
    age(1000);
    runs({"-c", path("top"), "-c", path("cow"), device(0), path("base")});
    runs({"-d", device(0)});
    age(2000);
    runs({"--same-base", "-c", path("top"), device(0), path("base")});
    EXPECT_EQ(changes(), "changed");
}

TEST_F(SameBase, ANewCowIsForItAnyway) {
    runs({"--same-base", "-c", path("new"), device(0), path("base")});
    runs({"-d", device(0)});
    runs({"--resize=8M", "-c", path("new"), device(0), path("base")});
    runs({"-d", device(0)});
    age(3000);
    runs({"--same-base", "-c", path("new"), device(0), path("base")});
    EXPECT_NE(changes(), "changed");
}

TEST_F(SameBase, RefusesWhatCannotBe) {
    write("longer", text_bytes(2 * kMiB));
    refuses_with({"--same-base", "-c", path("cow"), device(0), path("longer")},
                 "that is another one, and --same-base would damage its files");
    runs({"--cow-format", "uml", "-c", path("uml"), device(0), path("base")});
    runs({"-d", device(0)});
    refuses_with({"--same-base", "-c", path("uml"), device(0), path("base")},
                 "--same-base is not for a COW file of format uml; 'touch -d'");
    for (const char *other : {"-r", "--ram"}) {
        refuses_with({"--same-base", "-c", path("cow"), other, device(0), path("base")},
                     other == std::string("-r") ? "goes without -r" : "--ram or -c, not both", 2);
    }
    refuses_with({"--same-base", device(0), path("base")}, "the COW file that -c names", 2);
}

/*
 * The nbdkit plugin or another device has the file: the driver keeps it open, and its lock.
 */
TEST_F(CloopwsetupCow, ACowFileThatIsWrittenIsNotAttached) {
    const std::string refusal =
        "DIR/cow: is in use by another program, such as nbdkit, mkcloopw or cloopwck; 'lsof' "
        "tells which, wait for it or end it";
    runs({"-c", path("cow"), device(0), image()});
    refuses({"-c", path("cow"), device(1), image()}, refusal);
    refuses({"-r", "-c", path("cow"), device(1), image()}, refusal);
    runs({"-d", device(0)});
    {
        Io writer = Io::open(path("cow"), Io::Mode::kReadWrite);
        lock_cow(writer.fd(), path("cow"), true);
        refuses({"-c", path("cow"), device(0), image()}, refusal);
        refuses({"-c", path("new"), "-c", path("cow"), device(0), image()}, refusal);
    }
    runs({"-c", path("cow"), device(0), image()});
    runs({"--snapshot", path("new"), device(0)});
    runs({"-r", "-c", path("cow"), device(1), image()}); /* frozen, though its lock is left */
}

TEST_F(CloopwsetupCow, ACowKeepsItsCodec) {
    runs({"-c", path("cow"), "--cow-codec", "zstd", device(0), image()});
    runs({"-d", device(0)});
    refuses({"-c", path("cow"), "--cow-codec", "lz4", device(0), image()},
            "DIR/cow: was made with codec zstd level 3 and keeps it; leave --cow-codec and "
            "--cow-level away");
    refuses({"-c", path("cow"), "--cow-codec", "zstd", "--cow-level", "5", device(0), image()},
            "DIR/cow: was made with codec zstd level 3 and keeps it; leave --cow-codec and "
            "--cow-level away");
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-c", path("uml"), "--cow-format", "uml", device(0), image()});
    runs({"-d", device(0)});
    refuses({"-c", path("uml"), "--cow-codec", "lz4", device(0), image()},
            "DIR/uml: a COW file of format uml does not compress; leave --cow-codec and "
            "--cow-level away");
}

/* A device may hold records of the log before. */
TEST_F(CloopwsetupCow, TwoLogsHaveGenerationsOfTheirOwn) {
    std::vector<u64> generations;
    for (const char *name : {"a", "b"}) {
        const CowBase base = {image(), 0, kImageSize, {}};
        create_cow_file(path(name), default_cow_format(), base, {});
        generations.push_back(cw_from_le64(super(name).gen_limit));
        EXPECT_GT(generations.back(), 0U);
    }
    EXPECT_NE(generations[0], generations[1]);
}

/* ---- only new files are removed ---- */

class OwnCow : public CloopwsetupCow {
protected:
    void make(NewCow &made) const {
        CowBase base;
        base.path = image();
        base.size = kMiB;
        made.create(path("new"), CowFile::kMissing, default_cow_format(), base, {});
    }
    bool is_there() const { return fs::exists(path("new")); }
};

TEST_F(OwnCow, GoesUnlessItIsKept) {
    {
        NewCow made;
        make(made);
        EXPECT_TRUE(is_there());
    }
    EXPECT_FALSE(is_there());
    {
        NewCow made;
        make(made);
        made.keep();
    }
    EXPECT_TRUE(is_there());
}

TEST_F(OwnCow, AnothersOfThatNameStays) {
    {
        NewCow made;
        make(made);
        fs::remove(path("new"));
        write("new", text_bytes(10));
    }
    EXPECT_EQ(read("new").size(), 10U);
}

TEST_F(OwnCow, StaysWhereAnotherUsesIt) {
    Io other = Io::memory("none");
    {
        NewCow made;
        make(made);
        other = Io::open(path("new"), Io::Mode::kReadWrite);
        lock_cow(other.fd(), path("new"), true);
    }
    EXPECT_TRUE(is_there());
}

TEST_F(OwnCow, HasAnyNameThatAFileCanHave) {
    const std::string longest = path(std::string(255, 'x'));
    ASSERT_TRUE(create_whole_file(longest, Appear::kRenamed, [](int) {}));
    EXPECT_TRUE(fs::exists(longest));
}

TEST_F(CloopwsetupCow, TheLimitIsInTheNewLog) {
    runs({"-c", path("cow"), "--cow-limit", "12M", device(0), image()});
    EXPECT_EQ(space(0).limit, 12 * kMiB);
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(space(0).limit, 12 * kMiB);
    runs({device(0)});
    EXPECT_TRUE(contains(out_, "cow_limit: 12582912 (12.0 MiB)\n")) << out_;
}

TEST_F(CloopwsetupCow, TheLimitOfAnOldLogIsSetThroughTheDriver) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-c", path("cow"), "--cow-limit", "16M", device(0), image()});
    EXPECT_EQ(kernel_->attribute(0, "cow_limit"), "16777216");
    runs({"--cow-limit", "0", device(0)});
    EXPECT_EQ(kernel_->attribute(0, "cow_limit"), "0");
}

TEST_F(CloopwsetupCow, ADeviceWhoseLimitCannotBeSetIsNotAttached) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    kernel_->full_attributes = {"cow_limit"};
    refuses({"-c", path("cow"), "--cow-limit", "16M", device(0), image()},
            "DEV/cloopw0: cannot set --cow-limit 16M: more is in use, or needed to give space "
            "back; 'fstrim' on its file system may give some back");
    EXPECT_EQ(kernel_->disks.at(0), nullptr);
    EXPECT_TRUE(fs::exists(path("cow")));
}

TEST_F(CloopwsetupCow, ADeviceKeepsItsLimitWhenItCannotBeChanged) {
    kernel_->full_attributes = {"cow_limit"};
    runs({"-c", path("cow"), device(0), image()});
    refuses({"--cow-limit", "16M", device(0)},
            "DEV/cloopw0: cannot set --cow-limit 16M: more is in use, or needed to give space "
            "back; 'fstrim' on its file system may give some back");
    EXPECT_NE(kernel_->disks.at(0), nullptr);
    refuses({"--cow-limit", "16M", device(1)}, "DEV/cloopw1: has no image");
}

TEST_F(CloopwsetupCow, AModuleWithoutTheAttributeIsAnother) {
    runs({"-c", path("cow"), device(0), image()});
    fs::remove(dir_ + "/kernel/sys/block/cloopw0/cloopw/low_space");
    refuses({"--low-space", "5%", device(0)},
            "DEV/cloopw0: cannot set --low-space 5%: this program and the module are of different "
            "versions");
}

TEST_F(CloopwsetupCow, LowSpaceIsAPercentageOrASize) {
    runs({"-c", path("cow"), "--low-space", "25%", device(0), image()});
    EXPECT_EQ(kernel_->attribute(0, "low_space"), "25%");
    runs({"--low-space", "3M", device(0)});
    EXPECT_EQ(kernel_->attribute(0, "low_space"), "3145728");
    runs({"--low-space", "0%", device(0)});
    EXPECT_EQ(kernel_->attribute(0, "low_space"), "0");
}

TEST_F(CloopwsetupCow, RamIsALogThatIsNoFile) {
    runs({"--ram=24M", device(0), image()});
    ASSERT_EQ(attached(0).layers.size(), 1U);
    EXPECT_TRUE(contains(attached(0).layers[0], "memfd:cloopw")) << attached(0).layers[0];
    EXPECT_EQ(kernel_->attribute(0, "layers/0/format"), "log");
    EXPECT_EQ(space(0).limit, 24 * kMiB);
    EXPECT_EQ(attached(0).config.flags, 0U);
    kernel_->disks[0]->engine->write(Bytes(4096, 'w').data(), 4096, 8192);
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel"}));
}

TEST_F(CloopwsetupCow, RamIsHalfOfAllWithoutASize) {
    runs({"--ram", "--cow-codec", "zstd", device(0), image()});
    const auto pages = static_cast<u64>(sysconf(_SC_PHYS_PAGES));
    EXPECT_EQ(space(0).limit, pages / 2 * static_cast<u64>(sysconf(_SC_PAGESIZE)));
}

TEST_F(CloopwsetupCow, WrongUsage) {
    struct Case {
        Args args;
        std::string line;
    };
    const Case kCases[] = {
        {{"--cow-codec", "brotli", "-c", "x"},
         "--cow-codec brotli: there is no such codec; know lz4, lz4hc, zstd, zlib, none"},
        {{"--cow-level", "2", "-c", "x"}, "--cow-level 2: codec lz4 has 1..1"},
        {{"--cow-codec", "zstd", "--cow-level", "23", "-c", "x"},
         "--cow-level 23: codec zstd has 1..22"},
        {{"--cow-limit", "7M", "-c", "x"}, "--cow-limit 7M: a COW needs 8M or more"},
        {{"--cow-limit", "much", "-c", "x"},
         "--cow-limit much: not a size; write 4096, 64K, 1M or 2G"},
        {{"--ram=4M"}, "--ram 4M: a COW needs 8M or more"},
        {{"--ram=0"}, "--ram 0: leave the size away for half of the memory"},
        {{"--ram", "-c", "x"}, "--ram or -c, not both"},
        {{"--ram", "-r"}, "--ram: has no --read-only"},
        {{"--ram", "--cow-limit", "9M"}, "--ram: has no --cow-limit; write --ram=SIZE"},
        {{"--ram", "--force"}, "--ram: has no --force"},
        {{"--ram", "--cow-format", "log"}, "--ram: has no --cow-format"},
        {{"--low-space", "101%", "-c", "x"},
         "--low-space 101%: not a percentage; write 0% to 100%, or a size"},
        {{"--low-space", "x%", "-c", "x"},
         "--low-space x%: not a percentage; write 0% to 100%, or a size"},
        {{"--low-space", "5%"}, "--low-space: without -c there is no COW file"},
        {{"--cow-codec", "lz4"}, "--cow-codec: without -c there is no COW file"},
        {{"--cow-limit", "9M"}, "--cow-limit: without -c there is no COW file"},
        {{"--force"}, "--force: without -c there is no COW file"},
        {{"--cow-format", "uml", "-c", "x", "--cow-codec", "lz4"},
         "--cow-codec: not for a COW of format uml"},
        {{"--cow-format", "uml", "-c", "x", "--cow-limit", "9M"},
         "--cow-limit: not for a COW of format uml"},
        {{"-r", "-c", "x", "--cow-limit", "9M"}, "--cow-limit: with -r nothing is written"},
    };
    for (Case c : kCases) {
        c.args.insert(c.args.end(), {device(0), image()});
        refuses(c.args, c.line, 2);
    }
    refuses({"--cow-limit", "9M", "-d", device(0)}, "--cow-limit has no meaning when detaching", 2);
    refuses({"--cow-limit", "9M", "-r", device(0)},
            "-r,--read-only has no meaning when changing a device", 2);
}

/* ---- block devices, as far as files can stand for them ---- */

class BlankDevice : public CloopwsetupCow {
protected:
    static constexpr u64 kSize = 5 * kMiB;
    BlankDevice() {
        write("device", {});
        fs::resize_file(path("device"), kSize);
        fd_ = Fd(open(path("device").c_str(), O_RDWR | O_CLOEXEC));
    }
    void put(u64 off) { EXPECT_EQ(pwrite(fd_.get(), "x", 1, static_cast<off_t>(off)), 1); }
    bool blank() { return is_blank(fd_.get(), "device", kSize); }

    Fd fd_;
};

TEST_F(BlankDevice, HasNothingWhereMarksAre) {
    EXPECT_TRUE(blank());
    put(2 * kMiB); /* an older log's, for example */
    EXPECT_TRUE(blank());
}

TEST_F(BlankDevice, IsNotWhatHasAByteThere) {
    for (u64 off : {u64{0}, kMiB - 1, kSize - kMiB, kSize - 1}) {
        put(off);
        EXPECT_FALSE(blank()) << off;
        make_blank(fd_.get(), "device", kSize);
        EXPECT_TRUE(blank());
    }
}

TEST_F(BlankDevice, MayBeSmall) {
    EXPECT_TRUE(is_blank(fd_.get(), "device", 1000));
    put(999);
    EXPECT_FALSE(is_blank(fd_.get(), "device", 1000));
    EXPECT_TRUE(is_blank(fd_.get(), "device", 999));
}

/* ---- a power cut while the first superblock was written ---- */

class TornDevice : public BlankDevice {
protected:
    TornDevice() {
        fs::resize_file(path("device"), kDeviceSize);
        LogCowConfig config;
        config.size = kMiB;
        config.parent = "image";
        encode_log_super(&super_, config);
    }

    /* The device has the first len bytes of the superblock. */
    bool unfinished(size_t len) {
        EXPECT_EQ(pwrite(fd_.get(), &super_, len, 0), static_cast<ssize_t>(len));
        return is_unfinished_log(fd_.get(), "device", kDeviceSize);
    }

    static constexpr u64 kDeviceSize = 8 * kMiB;
    cw_disk_log_super super_{};
};

TEST_F(TornDevice, IsKnownByItsFirstSector) {
    EXPECT_FALSE(is_unfinished_log(fd_.get(), "device", kDeviceSize)); /* blank */
    EXPECT_TRUE(unfinished(CW_SECTOR_SIZE));
    EXPECT_FALSE(unfinished(sizeof(super_))); /* whole */
}

TEST_F(TornDevice, IsNotWhatHasAByteElsewhere) {
    const u64 places[] = {sizeof(super_), CW_LOG_SUPER_STRIDE, kMiB - 1, kDeviceSize - kMiB,
                          kDeviceSize - 1};
    for (u64 off : places) {
        make_blank(fd_.get(), "device", kDeviceSize);
        put(off);
        EXPECT_FALSE(unfinished(CW_SECTOR_SIZE)) << off;
    }
}

TEST_F(TornDevice, IsNotALogThatMayHaveHadData) {
    super_.seq = cw_to_le64(3);
    EXPECT_FALSE(unfinished(CW_SECTOR_SIZE));
    super_.seq = cw_to_le64(1);
    super_.segments = cw_to_le64(1);
    EXPECT_FALSE(unfinished(CW_SECTOR_SIZE));
}

TEST_F(TornDevice, IsNotWhatHasAnotherMagicNumber) {
    super_.magic[7] ^= 1;
    EXPECT_FALSE(unfinished(CW_SECTOR_SIZE));
}

TEST_F(BlankDevice, ThatCannotBeReadIsAnError) {
    EXPECT_THROW(is_blank(fd_.get(), "device", 2 * kSize), Error);
}

}  // namespace
}  // namespace cloopw::test

// SPDX-License-Identifier: GPL-2.0
/* cloopwck on COW files and chains: checks, repair, salvage, rebuilt maps. */
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "lib/check/cow_check.h"
#include "lib/check/log_scan.h"
#include "lib/cow/cow_settings.h"
#include "lib/fd.h"
#include "support/cloopwck_tool.h"
#include "support/data.h"
#include "support/hooks.h"

namespace cloopw::test {
namespace {

using Copy = LogSupers::Copy;

class CloopwckCow : public Cloopwck {
protected:
    LogSupers supers(const std::string &file) {
        return read_log_supers(Io::open(file, Io::Mode::kRead).get());
    }
    /* Places of all sound records of the file, as bytes. */
    std::vector<u64> records(const std::string &file,
                             const std::function<bool(const log_record &)> &wanted) {
        std::vector<u64> places;
        Io io = Io::open(file, Io::Mode::kRead);
        LogScan scan(io.get());
        for (u32 n = 0; n < scan.segments(); n++) {
            scan.scan(
                n,
                [&](const LogRecordAt &at) {
                    if (wanted(at.record)) {
                        places.push_back(cw_log_sector_offset(at.sector));
                    }
                },
                [](const LogGap &) {});
        }
        return places;
    }
    static bool is_meta(const log_record &record, cw_log_meta kind) {
        return record.type == CW_LOG_META && record.from == static_cast<u64>(kind);
    }
    void destroy_meta(cw_log_meta kind) {
        for (u64 at : records(cow_, [&](const log_record &r) { return is_meta(r, kind); })) {
            change(cow_, at, random_bytes(64));
        }
    }
    void destroy_supers() {
        change(cow_, 0, random_bytes(CW_LOG_SUPER_LEN));
        change(cow_, CW_LOG_SUPER_STRIDE, random_bytes(CW_LOG_SUPER_LEN));
    }
    /* Salvages the file, and expects that each wrong page is named. */
    void expect_salvage_is_honest(const std::string &file, const Args &more = {}) {
        Args args = {"--json", "-f", "-s", path("out"), "-c", file, base_};
        args.insert(args.end(), more.begin(), more.end());
        ToolResult result = tool(args);
        ASSERT_TRUE(result.code == 0 || result.code == 4) << result.out << result.err;
        const json lost = json::parse(result.out)["lost"];
        const Bytes now = content({path("out")}, base_);
        for (size_t off = 0; off < now.size(); off += CW_PAGE_SIZE) {
            if (slice(now, off, CW_PAGE_SIZE) != slice(all_, off, CW_PAGE_SIZE)) {
                EXPECT_TRUE(is_named(lost, off)) << off;
                EXPECT_EQ(result.code, 4);
            }
        }
        expect_clean({"-c", path("out"), base_});
    }
    static bool is_named(const json &lost, u64 off) {
        return std::any_of(lost.begin(), lost.end(), [&](const json &range) {
            return range.contains("offset") && off >= range["offset"].get<u64>() &&
                   off < range["offset"].get<u64>() + range["length"].get<u64>();
        });
    }
    /* The number of pages that differ. */
    static u64 differences(const Bytes &a, const Bytes &b) {
        u64 pages = 0;
        for (size_t off = 0; off < a.size(); off += CW_PAGE_SIZE) {
            pages += slice(a, off, CW_PAGE_SIZE) != slice(b, off, CW_PAGE_SIZE) ? 1 : 0;
        }
        return pages;
    }
};

/* ---- sound ones ---- */

TEST_F(CloopwckCow, SoundLogsAreClean) {
    for (const std::string codec : {"lz4", "none", "zstd", "zlib"}) {
        make_used(60, codec);
        expect_clean({cow_});
        expect_clean({"-c", cow_, base_});
        expect_clean({"--quick", cow_});
        expect_clean({"-y", cow_});
    }
    EXPECT_NE(tool({cow_}).out.find("COW log for image"), std::string::npos);
    json result = json::parse(tool({"--json", "-c", cow_, base_}).out);
    EXPECT_EQ(result["exit_code"], 0);
    EXPECT_EQ(result["files"][0]["format"], "log");
    EXPECT_EQ(result["files"][0]["frozen"], false);
    EXPECT_EQ(result["files"][0]["size"], kCowDevice);
    EXPECT_EQ(result["files"][1]["format"], "raw");
}

TEST_F(CloopwckCow, AnEmptyLogIsClean) {
    base_ = write("base.img", text_bytes(kCowDevice));
    cow_ = make_cow("cow.img", base_);
    expect_clean({cow_});
}

/* The state after a crash: the checkpoint is old, and the log goes on behind it. */
TEST_F(CloopwckCow, ALogThatWasNotClosedIsClean) {
    base_ = write("base.img", text_bytes(kCowDevice));
    cow_ = make_cow("cow.img", base_);
    Device device = attach({cow_}, base_);
    for (unsigned int round = 0; round < 4; round++) {
        use(device, round, 30);
        std::string crashed = copy(cow_, "crashed.img");
        expect_clean({crashed});
    }
}

TEST_F(CloopwckCow, AUmlFileIsRead) {
    base_ = write("base.img", text_bytes(65536));
    UmlSpec spec;
    spec.size = 65536;
    spec.base = base_;
    spec.mtime = 0;
    Bytes uml = uml_cow(spec);
    uml[uml_bitmap_offset(spec)] = 0x0f;
    cow_ = write("uml.cow", uml);
    std::string out = expect(4, "COW uml for image", {cow_});
    EXPECT_NE(out.find("modified at"), std::string::npos); /* the base's time is another */
    EXPECT_NE(out.find("holds 2.0 KiB"), std::string::npos) << out;
    expect(0, "bytes 0..2047: held", {"--dump", cow_});
    uml.resize(uml.size() - 65536 + 1024);
    out = expect(4, "truncated", {write("uml.cow", uml)});
    EXPECT_NE(out.find("bytes 1024..2047: cannot be read"), std::string::npos) << out;
    expect(4, "are lost", {"-s", path("out"), cow_});
    EXPECT_EQ(read_bytes(path("out")).size(), uml.size() + 65536 - 1024);
    uml[4] = 9;
    expect(4, "of version", {write("uml.cow", uml)});
    expect(8, "nothing can be salvaged", {"-f", "-s", path("out"), cow_});
}

/* ---- superblocks ---- */

TEST_F(CloopwckCow, OneDamagedSuperblockIsRewrittenFromTheOther) {
    make_used();
    for (u64 slot : {0u, 1u}) {
        for (bool all : {false, true}) {
            std::string file = copy(cow_, "damaged.img");
            u64 at = slot * CW_LOG_SUPER_STRIDE;
            LogSupers before = supers(file);
            bool newest = static_cast<u64>(before.newest) == slot;
            change(file, at + (all ? 0 : 2000), random_bytes(all ? CW_LOG_SUPER_LEN : 8));
            ToolResult report = tool({file});
            EXPECT_EQ(report.code, 4) << report.out;
            EXPECT_NE(report.out.find("copy " + std::to_string(slot) + " is damaged"),
                      std::string::npos)
                << report.out;
            EXPECT_NE(supers(file).state[slot], Copy::kSound);
            if (newest) {
                continue; /* the older one may lead to lost segments: next test */
            }
            expect(1, "corrected", {"-y", file});
            EXPECT_EQ(supers(file).state[slot], Copy::kSound);
            expect_clean({file});
            EXPECT_EQ(content({file}, base_), all_);
        }
    }
}

TEST_F(CloopwckCow, ALostSuperblockIsWrittenAgain) {
    make_used();
    u64 slot = supers(cow_).newest == 0 ? 1 : 0;
    change(cow_, slot * CW_LOG_SUPER_STRIDE, Bytes(CW_LOG_SUPER_LEN));
    expect(4, "is missing; -y rewrites it", {"-n", cow_});
    json result = json::parse(tool({"--json", "-y", cow_}).out);
    EXPECT_EQ(result["exit_code"], 1);
    EXPECT_EQ(result["files"][0]["state"], "corrected");
    EXPECT_EQ(result["files"][0]["findings"][0]["kind"], "corrected");
    expect_clean({cow_});
    Device device = attach({cow_}, base_);
    EXPECT_EQ(all_of(device), all_);
    use(device, 5, 10);
}

TEST_F(CloopwckCow, AFileInUseIsNotRepaired) {
    make_used();
    u64 slot = supers(cow_).newest == 0 ? 1 : 0;
    change(cow_, slot * CW_LOG_SUPER_STRIDE, Bytes(CW_LOG_SUPER_LEN));
    int fd = ::open(cow_.c_str(), O_RDWR | O_CLOEXEC);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    ASSERT_EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
    expect(8, "is in use by another program", {"-y", cow_});
    EXPECT_EQ(supers(cow_).state[slot], Copy::kEmpty);
    ::close(fd);
    expect(1, "corrected", {"-y", cow_});
}

/* Power failed while the log was made on a device. */
TEST_F(CloopwckCow, ALogThatWasNotFinishedIsCalledSo) {
    struct cw_disk_log_super super = {};
    memcpy(super.magic, CW_LOG_MAGIC, sizeof(super.magic));
    super.seq = cw_to_le64(1);
    Bytes disk(kCowLeast);
    memcpy(disk.data(), &super, CW_SECTOR_SIZE);
    expect(4, "is unfinished: it was interrupted when it was made", {write("disk", disk)});
}

/* Another content over the superblock may be the present use of the disk. */
TEST_F(CloopwckCow, WhatIsSomethingElseByNowIsNotRepaired) {
    make_used();
    const u64 slot = supers(cow_).newest == 0 ? 1 : 0;
    if (slot == 1) { /* so that the older is the first */
        Device device = attach({cow_}, base_);
        use(device, 1, 1);
        device.close();
    }
    change(cow_, 0, Bytes(CW_LOG_SUPER_LEN));
    const std::string disk = copy(cow_, "disk");
    Bytes swap(CW_PAGE_SIZE);
    swap[1024] = 1;   /* version */
    swap[1028] = 200; /* last page */
    memcpy(swap.data() + CW_PAGE_SIZE - 10, "SWAPSPACE2", 10);
    change(disk, 0, swap);
    const Bytes before = read_bytes(disk);
    ToolResult result = tool({"-y", disk});
    EXPECT_NE(result.code, 1) << result.out;
    EXPECT_NE((result.out + result.err).find("shows swap by now"), std::string::npos)
        << result.out << result.err;
    EXPECT_EQ(read_bytes(disk), before);
}

/* On a device, a part of a segment behind the last whole one is not the log's. */
TEST_F(CloopwckCow, APartOfASegmentAtTheEndOfADeviceIsNotLookedAt) {
    make_used();
    std::filesystem::resize_file(cow_, std::filesystem::file_size(cow_) + 300000);
    const Io io = Io::open(cow_, Io::Mode::kRead);
    EXPECT_EQ(LogScan(io.get()).segments(), (io.size() - CW_LOG_START) / kLogSegment + 1);
    io.get().whole_pages = true; /* a block device */
    EXPECT_EQ(LogScan(io.get()).segments(), (io.size() - CW_LOG_START) / kLogSegment);
    EXPECT_TRUE(find_log_end(io.get(), read_log_supers(io.get()).best()).is_clean());
}

/*
 * The lost superblock was the newest. The older one may lead to the whole log, or not. If
 * not, it must not become the only one.
 */
TEST_F(CloopwckCow, AnOlderSuperblockDoesNotPassForTheNewest) {
    make_used(20, "none");
    unsigned int refused = 0;
    for (unsigned int round = 0; round < 6; round++) {
        {
            Device device = attach({cow_}, base_);
            for (unsigned int i = 0; i <= round; i++) {
                all_ = use(device, 100 * round + i, 8, round % 3 == 0);
                if (i % 2 == 1) {
                    device.discard(0, kCowDevice / 2); /* checkpoints, segments used again */
                    all_ = all_of(device);
                }
            }
            device.flush();
            copy(cow_, "crashed.img");
            device.close();
        }
        const std::string file = path("crashed.img");
        const u64 slot = static_cast<u64>(supers(file).newest);
        change(file, slot * CW_LOG_SUPER_STRIDE, random_bytes(CW_LOG_SUPER_LEN));
        const Bytes before = read_bytes(file);
        ToolResult result = tool({"-y", file});
        if (result.code == 1) {
            EXPECT_EQ(differences(content({file}, base_), all_), 0u) << round << result.out;
            continue;
        }
        EXPECT_EQ(result.code, 4) << result.out;
        EXPECT_EQ(read_bytes(file), before) << "the evidence was touched";
        refused += result.out.find("follow a later checkpoint") != std::string::npos ? 1 : 0;
        expect_salvage_is_honest(file);
    }
    EXPECT_GT(refused, 0u);
}

/* The first superblock leads to nothing; the second, which did, is gone. */
TEST_F(CloopwckCow, ALogIsNotNewBecauseOnlyItsFirstSuperblockIsLeft) {
    base_ = write("base.img", text_bytes(kCowDevice));
    cow_ = make_cow("cow.img", base_);
    const Bytes first = slice(read_bytes(cow_), 0, CW_LOG_SUPER_LEN);
    {
        Device device = attach({cow_}, base_);
        const Bytes data = random_bytes(20000);
        device.write(data.data(), 20000, 40960);
        all_ = all_of(device);
        device.flush();
        copy(cow_, "crashed.img");
    }
    const std::string file = path("crashed.img");
    change(file, 0, first);
    for (const Bytes &left : {Bytes(CW_LOG_SUPER_LEN), random_bytes(CW_LOG_SUPER_LEN)}) {
        change(file, CW_LOG_SUPER_STRIDE, left);
        expect(4, "follow a later checkpoint", {"-y", file});
        EXPECT_NE(supers(file).state[1], Copy::kSound);
        expect(4, " 0 B are lost", {"-f", "-s", path("out"), file});
        EXPECT_EQ(differences(content({path("out")}, base_), all_), 0u);
    }
}

TEST_F(CloopwckCow, ATruncatedLogSaysWhatIsLost) {
    make_used();
    std::filesystem::resize_file(cow_, CW_LOG_START + 3 * kLogSegment + 5000);
    expect(4, "truncated", {cow_});
    std::filesystem::resize_file(cow_, 5000);
    expect(4, "truncated", {cow_});
    std::filesystem::resize_file(cow_, 100);
    expect(4, "superblock", {"-c", cow_, base_});
}

/* ---- map, records, usage ---- */

/* Damage to pages of a record that do not live any more is none. */
TEST_F(CloopwckCow, EveryDamagedRecordIsFound) {
    make_used(60, "none");
    std::vector<u64> writes = records(
        cow_, [](const log_record &r) { return r.type == CW_LOG_WRITE || r.type == CW_LOG_MOVE; });
    ASSERT_GT(writes.size(), 30u);
    u64 found = 0;
    for (size_t i = 0; i < writes.size(); i += 7) {
        std::string file = copy(cow_, "damaged.img");
        flip(file, writes[i] + (i % 2 == 0 ? 20 : 300)); /* header, payload */
        Bytes after = content({cow_}, base_);
        bool lives = false;
        try {
            lives = content({file}, base_) != after;
        } catch (const Error &) {
            lives = true; /* it cannot be read */
        }
        ToolResult result = tool({file});
        EXPECT_EQ(result.code, lives ? 4 : 0) << writes[i] << result.out;
        found += lives ? 1 : 0;
        EXPECT_EQ(result.out.find("error: record") != std::string::npos, lives) << result.out;
        expect(0, "", {"--quick", file});
    }
    EXPECT_GT(found, 3u);
}

TEST_F(CloopwckCow, ADamagedPageOfTheMapIsNamedByItsRange) {
    make_used();
    destroy_meta(CW_LOG_META_MAP);
    std::string out = expect(4, "error: map", {cow_});
    EXPECT_NE(out.find("the page of the map for this is damaged"), std::string::npos) << out;
    make_used();
    destroy_meta(CW_LOG_META_MAP_DIR);
    expect(4, "the map is damaged", {cow_});
    json result = json::parse(tool({"--json", cow_}).out);
    EXPECT_EQ(result["files"][0]["state"], "damaged");
}

TEST_F(CloopwckCow, AnAccountThatIsWrongIsFound) {
    make_used();
    for (u64 at :
         records(cow_, [](const log_record &r) { return is_meta(r, CW_LOG_META_USAGE); })) {
        /* The same record with other contents and right checksums. */
        Io io = Io::open(cow_, Io::Mode::kReadWrite);
        std::vector<u8> buf(LOG_RECORD_ROOM);
        io.read(buf.data(), CW_SECTOR_SIZE * 9, at);
        log_record record{};
        ASSERT_EQ(cw_log_record_decode(buf.data(), static_cast<u32>(buf.size()), &record), 0);
        LogRecordReader reader(io.get());
        std::vector<u64> usage(CW_LOG_FANOUT);
        ASSERT_TRUE(reader.decode_meta({record, 0, buf.data(), true}, usage.data()));
        for (u64 &word : usage) {
            u64 live = word & CW_LOG_USAGE_LIVE_MASK;
            word -= live > 100 && live < CW_LOG_USAGE_HELD ? 3 : 0;
        }
        Bytes plain(CW_PAGE_SIZE);
        memcpy(plain.data(), usage.data(), plain.size());
        Bytes small = compress(cw_codec_lz4, plain);
        ASSERT_LE(small.size(), record.sectors * CW_SECTOR_SIZE - 72);
        memcpy(buf.data() + 72, small.data(), small.size());
        u32 sectors = record.sectors;
        record.stored = static_cast<u32>(small.size());
        cw_log_record_encode(buf.data(), &record);
        ASSERT_EQ(record.sectors, sectors);
        io.write(buf.data(), record.sectors * CW_SECTOR_SIZE, at);
    }
    expect(4, "segments is not what the map says", {cow_});
    expect(0, "0 B are lost", {"--salvage", path("out"), cow_});
    expect_clean({path("out")});
    EXPECT_EQ(content({path("out")}, base_), all_);
}

/* ---- chains ---- */

/* monday.cow, frozen, and tuesday.cow over it. */
class CloopwckChain : public CloopwckCow {
protected:
    void make_chain(bool discards) {
        base_ = write("base.img", text_bytes(kCowDevice));
        cow_ = make_cow("monday.cow", base_);
        LogCowConfig config = log_config(kCowDevice);
        config.over_layer = true;
        config.parent = "monday.cow";
        config.uuid = random_uuid();
        config.base_uuid = random_uuid();
        make_cow("tuesday.cow", config);
        Device device = attach({cow_}, base_);
        use(device, 1, 20, discards);
        device.snapshot(Io::open(top_, Io::Mode::kReadWrite));
        all_ = use(device, 2, 20, discards);
        device.close();
    }

    const std::string top_ = path("tuesday.cow");
};

/* Both copies say that it is frozen, so no damage to one of them makes it writable. */
TEST_F(CloopwckChain, DamageToOneSuperblockDoesNotUnfreezeALayer) {
    make_chain(false);
    for (u64 slot : {0u, 1u}) {
        for (const Bytes &left : {Bytes(CW_LOG_SUPER_LEN), random_bytes(CW_LOG_SUPER_LEN)}) {
            change(cow_, slot * CW_LOG_SUPER_STRIDE, left);
            EXPECT_TRUE(slot == 0 || identify_cow(cow_).frozen);
            expect(1, "corrected", {"-y", cow_});
            EXPECT_TRUE(identify_cow(cow_).frozen);
            expect_clean({"-c", top_, base_});
            EXPECT_EQ(content({top_, cow_}, base_), all_);
        }
    }
}

/*
 * An old driver froze the log in one copy only, and that copy is lost. The older copy leads
 * to the whole log, but says that nothing lies over it.
 */
TEST_F(CloopwckChain, AnOlderSuperblockThatIsNotFrozenDoesNotPassForTheNewest) {
    make_chain(false);
    cw_disk_log_super older = supers(cow_).best();
    older.compat = 0;
    older.ro_compat = 0;
    older.uuid[0] ^= 1;
    older.crc = cw_to_le32(cw_log_super_crc(&older));
    Bytes bytes(sizeof(older));
    memcpy(bytes.data(), &older, sizeof(older));
    change(cow_, 0, bytes);
    change(cow_, CW_LOG_SUPER_STRIDE, random_bytes(CW_LOG_SUPER_LEN));
    const Bytes before = read_bytes(cow_);
    expect(4, "it may be the newer one, and say that the file is frozen", {"-y", cow_});
    EXPECT_EQ(read_bytes(cow_), before) << "the evidence was touched";
    expect(4, "--salvage NEW --above " + top_ + " " + cow_, {"-c", top_, base_});
    expect(0, " 0 B are lost", {"-s", path("new.cow"), "--above", top_, cow_});
    std::filesystem::rename(path("new.cow"), cow_);
    expect_clean({"-c", top_, base_});
    EXPECT_EQ(content({top_, cow_}, base_), all_);
}

/* When both superblocks of the lower are lost, the upper says which UUID it had. */
TEST_F(CloopwckChain, ALowerLayerWithoutSuperblocksIsSalvagedForTheUpper) {
    make_chain(false);
    destroy_supers();
    expect(8, "--above LAYER", {"-s", path("new.cow"), cow_});
    const std::string alone = make_cow("alone.cow", base_);
    expect(8, "does not lie over a COW file",
           {"-s", path("new.cow"), "--above", alone, "-c", cow_, base_});
    expect(16, "goes with --salvage", {"--above", top_, "-c", cow_, base_});
    expect(4, " 0 B are lost", {"-s", path("new.cow"), "--above", top_, "-c", cow_, base_});
    std::filesystem::rename(path("new.cow"), cow_);
    expect_clean({"-c", top_, base_});
    EXPECT_EQ(content({top_, cow_}, base_), all_);
}

TEST_F(CloopwckChain, AnUpperLayerWithoutSuperblocksIsSalvagedOverTheLower) {
    make_chain(false);
    change(top_, 0, random_bytes(CW_LOG_SUPER_LEN));
    change(top_, CW_LOG_SUPER_STRIDE, random_bytes(CW_LOG_SUPER_LEN));
    expect(4, " 0 B are lost", {"-s", path("new.cow"), "-c", top_, "-c", cow_, base_});
    expect_clean({"-c", path("new.cow"), base_});
    EXPECT_EQ(content({path("new.cow"), cow_}, base_), all_);
}

TEST_F(CloopwckChain, AChainIsCheckedAsAWhole) {
    make_chain(true);
    const std::string &top = top_;
    ToolResult result = tool({top});
    EXPECT_EQ(result.code, 0) << result.out;
    EXPECT_NE(result.out.find("monday.cow: clean"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("frozen"), std::string::npos) << result.out;
    expect_clean({"-c", top, base_});
    expect_clean({"-c", top, "-c", cow_, base_});

    expect(4, "chain: ", {"-c", cow_, "-c", top, base_});
    expect(4, "error: chain: ", {"-c", top, write("other.img", Bytes(kCowDevice + 512, 1))});
    json wrong = json::parse(tool({"--json", "-c", top, path("other.img")}).out);
    EXPECT_EQ(wrong["chain"][0]["kind"], "error");

    /* A frozen layer that is salvaged takes the place of the old one. */
    expect(0, "0 B are lost", {"-s", path("new.cow"), cow_});
    std::filesystem::rename(path("new.cow"), cow_);
    expect_clean({top});
    EXPECT_EQ(content({top, cow_}, base_), all_);

    std::filesystem::remove(cow_);
    expect(4, "which is not there", {top});
}

TEST_F(CloopwckCow, AnImageThatIsNotThereIsNotAnError) {
    make_used();
    std::filesystem::remove(base_);
    std::string out = expect(0, "is not there beside it: whether it is the right one", {cow_});
    EXPECT_EQ(tool({"-q", cow_}).out, "");
}

/* A path in a header is looked for beside the file; only files and disks are opened. */
TEST_F(CloopwckCow, AnImageThatAHeaderNamesIsAHint) {
    std::filesystem::create_directory(path("sub"));
    base_ = write("sub/base.img", text_bytes(kCowDevice));
    ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
    std::filesystem::create_symlink("/dev/zero", path("zero"));
    std::filesystem::create_symlink(base_, path("link"));
    for (const std::string &named :
         {base_, std::string("sub/base.img"), std::string("fifo"), path("fifo"),
          std::string("zero"), std::string("/dev/zero"), path("link"), std::string("..")}) {
        const std::string log = make_cow("cow.img", named);
        expect(0, "is not there beside it", {log});
        UmlSpec spec;
        spec.size = kCowDevice;
        spec.base = named;
        expect(0, "is not there beside it", {write("uml", uml_cow(spec))});
    }
    expect(8, "is neither a file nor a block device", {path("fifo")});
    expect(8, "is neither a file nor a block device", {path("zero")});
}

TEST_F(CloopwckCow, TheWrongImageIsAnError) {
    make_used();
    std::string other = write("other.img", Bytes(kCowDevice / 2, 1));
    expect(4, "was made for", {"-c", cow_, other});
    base_ = write("base.img", Bytes(kCowDevice / 2, 1));
    expect(4, "was made for", {cow_});
}

/* ---- salvage and rebuilt maps ---- */

TEST_F(CloopwckCow, SalvageOfASoundLogLosesNothing) {
    make_used();
    expect(0, "0 B are lost", {"-s", path("out"), cow_});
    EXPECT_EQ(content({path("out")}, base_), all_);
    expect_clean({path("out")});
}

TEST_F(CloopwckCow, AGrownLogIsSalvagedWithItsSize) {
    make_used();
    {
        Device device = attach({cow_}, base_);
        device.grow(2 * kCowDevice);
        const Bytes data = random_bytes(300000, 5);
        device.write(data.data(), static_cast<u32>(data.size()), 2 * kCowDevice - data.size());
        device.close();
    }
    const Bytes all = content({cow_}, base_);
    ASSERT_EQ(all.size(), 2 * kCowDevice);
    expect(0, "0 B are lost", {"-s", path("out"), cow_});
    EXPECT_EQ(content({path("out")}, base_), all);
    expect_clean({path("out")});
}

/* The limit is for the later writers of the log, not for the salvage. */
TEST_F(CloopwckCow, ALogWithALimitIsSalvagedWithIt) {
    base_ = write("base.img", text_bytes(kCowDevice, 77));
    LogCowConfig config = log_config(kCowDevice, "none");
    config.parent = base_;
    config.uuid = random_uuid();
    config.first_generation = 1000;
    make_cow("cow.img", config);
    cow_ = path("cow.img");
    {
        Device device = attach({cow_}, base_);
        const Bytes data = random_bytes(kCowDevice / 2, 3);
        for (u64 off = 0; off < data.size(); off += 65536) {
            device.write(data.data() + off, 65536, (off * 7) % kCowDevice);
        }
        device.flush();
        all_ = all_of(device);
        u64 limit = 8 * kCowDevice;
        while (cw_device_set_limit(&device.get(), limit - kLogSegment) == 0) {
            limit -= kLogSegment;
        }
        device.close();
    }
    const u64 limit = cw_from_le64(supers(cow_).best().limit);
    ASSERT_NE(limit, 0U);
    expect(0, " 0 B are lost", {"-s", path("out"), cow_});
    EXPECT_EQ(content({path("out")}, base_), all_);
    EXPECT_EQ(cw_from_le64(supers(path("out")).best().limit), limit);
    for (u64 at : {u64{0}, u64{CW_LOG_SUPER_STRIDE}}) { /* less than it holds */
        cw_disk_log_super super = supers(cow_).super[at / CW_LOG_SUPER_STRIDE];
        super.limit = cw_to_le64(CW_LOG_START + 2 * kLogSegment);
        super.crc = cw_to_le32(cw_log_super_crc(&super));
        Bytes bytes(sizeof(super));
        memcpy(bytes.data(), &super, sizeof(super));
        change(cow_, at, bytes);
    }
    expect(0, "has no limit: its content needs more than the old one",
           {"-f", "-s", path("out"), cow_});
    EXPECT_EQ(content({path("out")}, base_), all_);
}

/* Private data stays private. */
TEST_F(CloopwckCow, ASalvagedFileHasTheModeOfTheOldOne) {
    make_used(5);
    ASSERT_EQ(chmod(cow_.c_str(), 0600), 0);
    expect(0, " 0 B are lost", {"-s", path("out"), cow_});
    struct stat st = {};
    ASSERT_EQ(stat(path("out").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST_F(CloopwckCow, SalvageListsWhatIsLostAndKeepsTheRest) {
    make_used(60, "none");
    std::vector<u64> writes =
        records(cow_, [](const log_record &r) { return r.type == CW_LOG_WRITE; });
    for (size_t i = 0; i < writes.size(); i += 4) {
        flip(cow_, writes[i] + 300);
    }
    expect(4, "are lost", {"-s", path("out"), cow_});
    json result = json::parse(tool({"--json", "-f", "-s", path("out"), cow_}).out);
    Bytes wanted = all_;
    u64 lost = 0;
    const Bytes below = read_bytes(base_);
    for (const json &range : result["lost"]) {
        u64 off = range["offset"];
        u64 len = range["length"];
        std::copy_n(below.begin() + static_cast<std::ptrdiff_t>(off), len,
                    wanted.begin() + static_cast<std::ptrdiff_t>(off));
        lost += len;
    }
    EXPECT_GT(lost, 0u);
    EXPECT_EQ(result["lost_bytes"], lost);
    EXPECT_EQ(differences(content({path("out")}, base_), wanted), 0u);
    expect_clean({path("out")});
}

/* Without discards all is in the log, and so the rebuilt map is exact. */
class CloopwckRebuild : public CloopwckCow, public testing::WithParamInterface<const char *> {
protected:
    void damage() {
        const std::string what = GetParam();
        if (what == "map pages") {
            destroy_meta(CW_LOG_META_MAP);
        } else if (what == "directories") {
            destroy_meta(CW_LOG_META_MAP_DIR);
        } else if (what == "roots") {
            destroy_meta(CW_LOG_META_MAP_ROOT);
        } else if (what == "usage") {
            destroy_meta(CW_LOG_META_USAGE);
        } else if (what == "all of the map") {
            for (int kind = CW_LOG_META_MAP; kind <= CW_LOG_META_USAGE_DIR; kind++) {
                destroy_meta(static_cast<cw_log_meta>(kind));
            }
        } else if (what == "superblocks") {
            destroy_supers();
        } else {
            destroy_supers();
            for (int kind = CW_LOG_META_MAP; kind <= CW_LOG_META_USAGE_DIR; kind++) {
                destroy_meta(static_cast<cw_log_meta>(kind));
            }
        }
    }
};

TEST_P(CloopwckRebuild, AfterAClose) {
    make_used(80, "lz4", false);
    damage();
    Bytes before = read_bytes(cow_);
    ToolResult checked = tool({"-c", cow_, base_});
    EXPECT_EQ(checked.code, 4) << checked.out;
    ToolResult result = tool({"-s", path("out"), "-c", cow_, base_});
    EXPECT_TRUE(result.code == 0 || result.code == 4) << result.out << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_NE(result.out.find("rebuilt from the log"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find(" 0 B are lost"), std::string::npos) << result.out;
    EXPECT_EQ(differences(content({path("out")}, base_), all_), 0u) << result.out;
    expect_clean({"-c", path("out"), base_});
    EXPECT_EQ(read_bytes(cow_), before) << "the evidence was touched";
}

/* Much is overwritten, cleaned, and segments are used again; several attaches. */
TEST_P(CloopwckRebuild, AfterCleaningAndCrashes) {
    base_ = write("base.img", text_bytes(kCowDevice, 77));
    cow_ = make_cow("cow.img", base_, "none");
    for (unsigned int round = 0; round < 3; round++) {
        Device device = attach({cow_}, base_);
        all_ = use(device, round, 250, false);
        device.flush();
        std::filesystem::copy_file(cow_, path("crashed.img"));
        device.close();
        std::filesystem::rename(path("crashed.img"), cow_);
    }
    ASSERT_FALSE(records(cow_, [](const log_record &r) { return r.type == CW_LOG_MOVE; }).empty());
    damage();
    ToolResult result = tool({"-s", path("out"), "-c", cow_, base_});
    EXPECT_TRUE(result.code == 0 || result.code == 4) << result.out << result.err;
    EXPECT_EQ(differences(content({path("out")}, base_), all_), 0u) << result.out;
    expect_clean({"-c", path("out"), base_});
}

INSTANTIATE_TEST_SUITE_P(Of, CloopwckRebuild,
                         testing::Values("map pages", "directories", "roots", "usage",
                                         "all of the map", "superblocks", "superblocks and map"),
                         [](const auto &info) {
                             std::string name = info.param;
                             std::erase(name, ' ');
                             return name;
                         });

/* Discarded data may come back, and then the report says so. Nothing else may. */
TEST_F(CloopwckCow, ADoubtfulRangeIsNamed) {
    make_used(200);
    destroy_supers();
    expect(8, "neither superblock is sound; say what it was made for", {"-s", path("out"), cow_});
    expect_salvage_is_honest(cow_);
    expect(4, "may show older data", {"-f", "-s", path("out"), "-c", cow_, base_});
}

/* With a sound superblock the checkpoint's own pages tell the discarded ones. */
TEST_F(CloopwckCow, DiscardsAreKnownWithACheckpoint) {
    make_used(200);
    destroy_meta(CW_LOG_META_USAGE);
    expect(0, "0 B are lost", {"-s", path("out"), cow_});
    EXPECT_EQ(differences(content({path("out")}, base_), all_), 0u);
}

TEST_F(CloopwckCow, RecordsMissingAmongOthersAreSaid) {
    make_used(80, "lz4", false);
    destroy_supers();
    std::vector<u64> writes =
        records(cow_, [](const log_record &r) { return r.type == CW_LOG_WRITE; });
    flip(cow_, writes[writes.size() / 2] + 5); /* the header: it is not known any more */
    expect(4, "records among the others are missing", {"-s", path("out"), "-c", cow_, base_});
}

TEST_F(CloopwckCow, WhatLiesBehindTheEndIsNoted) {
    base_ = write("base.img", text_bytes(kCowDevice, 77));
    cow_ = make_cow("cow.img", base_);
    {
        Device device = attach({cow_}, base_);
        use(device, 1, 30, false);
        std::filesystem::copy_file(cow_, path("crashed.img"));
    }
    cow_ = path("crashed.img");
    std::vector<u64> writes =
        records(cow_, [](const log_record &r) { return r.type == CW_LOG_WRITE; });
    flip(cow_, writes[writes.size() / 2] + 5);
    expect(0, "records lie behind the end of the log", {cow_});
    expect(0, "after the end of the log may be lost, and nothing shows it", {cow_});
}

/* In an uncompressed record, only the damaged pages are lost. */
TEST_F(CloopwckCow, OnePageOfAPlainRecordIsLostAlone) {
    base_ = write("base.img", text_bytes(kCowDevice, 77));
    cow_ = make_cow("cow.img", base_, "none");
    {
        Device device = attach({cow_}, base_);
        const Bytes data = random_bytes(65536);
        device.write(data.data(), 65536, 131072);
        all_ = all_of(device);
        device.close();
    }
    const u64 at =
        records(cow_, [](const log_record &r) { return r.type == CW_LOG_WRITE; }).front();
    flip(cow_, at + 72 + 64 + 5 * CW_PAGE_SIZE + 7);
    expect(4, "bytes 151552..155647", {cow_});
    expect(4, "4.0 KiB are lost", {"-s", path("out"), cow_});
    EXPECT_EQ(differences(content({path("out")}, base_), all_), 1u);
    expect_salvage_is_honest(cow_);
}

/* A record among flushed ones is damaged, so recovery ends before it. */
TEST_F(CloopwckCow, WhatIsBehindAGapIsNamedAndCanBeHad) {
    base_ = write("base.img", text_bytes(kCowDevice, 77));
    cow_ = make_cow("cow.img", base_);
    {
        Device device = attach({cow_}, base_);
        all_ = use(device, 1, 8, false);
        device.flush();
        copy(cow_, "crashed.img");
    }
    const std::string sound = path("crashed.img");
    const u64 since = cw_from_le64(supers(sound).best().log_seq);
    std::vector<u64> writes = records(
        sound, [since](const log_record &r) { return r.type == CW_LOG_WRITE && r.seq >= since; });
    ASSERT_GT(writes.size(), 4u);
    for (u32 within : {5u, 300u}) { /* header, payload */
        const std::string file = copy(sound, "damaged.img");
        flip(file, writes[writes.size() / 2] + within);
        expect_salvage_is_honest(file);
        const u64 missed = differences(content({path("out")}, base_), all_);
        expect_salvage_is_honest(file, {"--past-gaps"});
        EXPECT_LT(differences(content({path("out")}, base_), all_), missed);
        EXPECT_LE(differences(content({path("out")}, base_), all_), 16u);
        expect(4, "--past-gaps uses them", {"-f", "-s", path("out"), file});
    }
    expect(16, "goes with --salvage only", {"--past-gaps", sound});
}

/* Neither superblock is there, but the segments show that it is a log. */
TEST_F(CloopwckCow, ALogWithoutSuperblocksIsNotTakenForARawImage) {
    make_used();
    destroy_supers();
    expect(4, "neither copy of the superblock is sound", {cow_});
    expect(8, "say what it was made for", {"-s", path("out"), cow_});
    EXPECT_FALSE(std::filesystem::exists(path("out")));
    expect(0, "raw image", {"-I", "raw", cow_});
}

/* The device held another log before, whose segments lie behind this one's. */
TEST_F(CloopwckCow, RecordsOfAnotherLogAreLeftOut) {
    for (u64 first : {u64{1} << 20, u64{1} << 45}) {
        LogCowConfig config = log_config(kCowDevice, "none");
        base_ = write("base.img", text_bytes(kCowDevice, 77));
        cow_ = path("cow.img");
        Bytes other;
        for (u64 generation : {first, u64{1} << 44}) {
            other = generation == first ? other : read_bytes(cow_);
            config.first_generation = generation;
            config.parent = base_;
            make_cow("cow.img", config);
            Device device = attach({cow_}, base_);
            all_ = use(device, 5 + (generation == first ? 1 : 0), 30, false);
            device.close();
        }
        change(cow_, std::filesystem::file_size(cow_),
               slice(other, CW_LOG_START, other.size() - CW_LOG_START));
        destroy_supers();
        const std::string out =
            expect(4, "are of another log", {"-f", "-s", path("out"), "-c", cow_, base_});
        EXPECT_EQ(differences(content({path("out")}, base_), all_), 0u) << out;
    }
}

TEST_F(CloopwckCow, EightTebibytesAreWalkedAtOnce) {
    base_ = path("huge.img");
    write("huge.img", {});
    std::filesystem::resize_file(base_, u64{1} << 43);
    cow_ = make_cow("huge.cow", base_, "lz4", u64{1} << 43);
    {
        Device device = attach({cow_}, base_);
        const Bytes data = text_bytes(65536);
        for (u64 off = 0; off < u64{1} << 43; off += u64{1} << 40) {
            device.write(data.data(), 65536, off);
        }
        device.close();
    }
    expect_clean({cow_});
    destroy_meta(CW_LOG_META_MAP_ROOT);
    expect(4, "0 B are lost", {"-s", path("out"), cow_});
    expect_clean({path("out")});
}

TEST_F(CloopwckCow, DumpShowsAllThatIsThere) {
    make_used();
    std::string out = expect(0, "superblock copy 0: sound", {"--dump", cow_});
    for (const char *part :
         {"  gen_limit     ", "segment 0: data, generation ", ": SEGMENT, seq ", ": WRITE pages ",
          ": DROP pages ", ": META kind 1 number 0", "\nmap\n", "  pages "}) {
        EXPECT_NE(out.find(part), std::string::npos) << part;
    }
    EXPECT_NE(tool({"--dump", "-c", cow_, base_}).out.find("format        raw"), std::string::npos);
    destroy_supers();
    expect(0, "superblock copy 0: damaged", {"--dump", "-c", cow_, base_});
}

TEST_F(CloopwckCow, DumpShowsTimesBefore1970AndAfter2106) {
    for (s64 time : {s64{-5}, s64{1} << 33}) {
        LogCowConfig config;
        config.size = kCowDevice;
        config.base_mtime = time;
        cow_ = path("time.cow");
        const Fd fd(open(cow_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        write_log_cow(fd.get(), cow_, config);
        expect(0, "  base_mtime    " + std::to_string(time) + "\n", {"--dump", cow_});
    }
}

/* ---- hostile input ---- */

class CloopwckHostile : public CloopwckCow, public testing::WithParamInterface<unsigned int> {};

TEST_P(CloopwckHostile, FlippedBytesAndCutFiles) {
    std::mt19937 random(GetParam());
    base_ = write("base.img", text_bytes(kCowDevice, 77));
    cow_ = make_cow("cow.img", base_, GetParam() % 2 == 0 ? "lz4" : "none");
    {
        Device device = attach({cow_}, base_);
        use(device, GetParam(), 25);
        device.close();
    }
    const Bytes sound = read_bytes(cow_);
    std::vector<u64> places = records(cow_, [](const log_record &) { return true; });
    for (unsigned int i = 0; i < 24; i++) {
        Bytes bad = sound;
        for (unsigned int k = 0; k < 1 + random() % 4; k++) {
            u64 at = places[random() % places.size()] + random() % 600;
            at = random() % 4 == 0 ? random() % 2 * CW_LOG_SUPER_STRIDE + random() % 1900 : at;
            bad[at % bad.size()] ^= static_cast<u8>(1 + random() % 255);
        }
        if (i % 6 == 5) {
            bad.resize(random() % bad.size());
        }
        std::string file = write("bad.img", bad);
        ToolResult result = tool({"-c", file, base_});
        EXPECT_TRUE(result.code == 0 || result.code == 4) << result.err;
        result = tool({"-f", "-s", path("out"), "-c", file, base_});
        EXPECT_TRUE(result.code == 0 || result.code == 4 || result.code == 8) << result.err;
        if (result.code != 8) {
            expect_clean({"-c", path("out"), base_});
        }
        (void)tool({"--dump", "-c", file, base_});
        (void)tool({"-y", "-c", file, base_});
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CloopwckHostile, testing::Range(0u, 6u));

}  // namespace
}  // namespace cloopw::test

// SPDX-License-Identifier: GPL-2.0
/* Finding the files below a COW file. */
#include "lib/cow/chain.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "lib/check/cow_check.h"
#include "lib/cow/hint.h"
#include "lib/cow/lock.h"
#include "lib/cow/log_writer.h"
#include "lib/cow/uml_writer.h"
#include "lib/error.h"
#include "support/data.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

constexpr u64 kSize = u64{1} << 20;

Uuid uuid_of(u8 n) {
    Uuid uuid{};
    uuid.fill(n);
    return uuid;
}

class CowChain : public testing::Test {
protected:
    CowChain() { image_ = dir_.write("image", text_bytes(kSize)); }

    /* A log of UUID n; below 0: over the image. Not frozen, which is the engine's business. */
    std::string make(const std::string &name, u8 n, u8 below, const std::string &hint) {
        LogCowConfig config;
        config.size = kSize;
        config.uuid = uuid_of(n);
        config.over_layer = below != 0;
        config.base_uuid = uuid_of(below);
        config.parent = hint;
        std::string path = dir_ / name;
        int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
        write_log_cow(fd, path, config);
        close(fd);
        return path;
    }
    /* Does what the first writable attach does. */
    static void use(const std::string &path) {
        Io io = Io::open(path, Io::Mode::kReadWrite);
        OpenedCow cow(io.get(), true);
        const std::vector<u8> page(CW_PAGE_SIZE, 'x');
        ASSERT_EQ(cow.get().format->write(&cow.get(), 0, CW_PAGE_SIZE, page.data()), 0);
        ASSERT_EQ(cow.get().format->flush(&cow.get()), 0);
    }
    static std::vector<std::string> chain(const std::vector<std::string> &given) {
        std::vector<std::string> paths;
        for (const CowLayer &layer : find_cow_chain(given)) {
            paths.push_back(layer.path);
        }
        return paths;
    }
    static std::string refusal(const std::vector<std::string> &given) {
        try {
            find_cow_chain(given);
        } catch (const Error &e) {
            return e.what();
        }
        return "";
    }

    ScratchDir dir_;
    std::string image_;
};

TEST_F(CowChain, NoneIsAnEmptyChain) { EXPECT_TRUE(find_cow_chain({}).empty()); }

TEST_F(CowChain, ALayerOverTheImageIsAlone) {
    const std::string only = make("only.cow", 1, 0, image_);
    const auto layers = find_cow_chain({only});
    ASSERT_EQ(layers.size(), 1u);
    EXPECT_EQ(layers[0].format, "log");
    EXPECT_EQ(layers[0].below, image_);
    EXPECT_EQ(layers[0].uuid, uuid_of(1));
}

TEST_F(CowChain, ParentsAreFoundBesideByName) {
    const std::string a = make("a.cow", 1, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    const std::string c = make("c.cow", 3, 2, "b.cow");
    EXPECT_EQ(chain({c}), (std::vector<std::string>{c, b, a}));
}

/* A path in a file is a hint of its author, and may name anything. */
TEST_F(CowChain, ParentsInOtherDirectoriesMustBeNamed) {
    fs::create_directory(dir_ / "sub");
    const std::string a = make("sub/a.cow", 1, 0, image_);
    const std::string b = make("b.cow", 2, 1, a);
    const std::string c = make("c.cow", 3, 1, "sub/a.cow");
    for (const std::string &top : {b, c}) {
        EXPECT_NE(refusal({top}).find("is not there beside it; if it is elsewhere, name it"),
                  std::string::npos);
        EXPECT_EQ(chain({top, a}), (std::vector<std::string>{top, a}));
    }
    fs::create_symlink(a, dir_ / "a.cow");
    EXPECT_NE(refusal({b}), "") << "a link leads to another directory";
}

TEST_F(CowChain, ParentsOfALinkAreFoundBesideItsTarget) {
    fs::create_directory(dir_ / "sub");
    const std::string a = make("sub/a.cow", 1, 0, image_);
    make("sub/b.cow", 2, 1, "a.cow");
    fs::create_symlink("sub/b.cow", dir_ / "link.cow");
    EXPECT_EQ(chain({dir_ / "link.cow"}), (std::vector<std::string>{dir_ / "link.cow", a}));
    fs::rename(a, dir_ / "sub/other.cow");
    EXPECT_EQ(chain({dir_ / "link.cow"})[1], dir_ / "sub/other.cow");
}

TEST_F(CowChain, OnlyFilesAndBlockDevicesAreOpenedForAHint) {
    ASSERT_EQ(mkfifo((dir_ / "fifo").c_str(), 0600), 0);
    fs::create_symlink("/dev/zero", dir_ / "zero");
    fs::create_symlink("fifo", dir_ / "to_fifo");
    fs::create_symlink("loop", dir_ / "loop");
    fs::create_directory(dir_ / "sub");
    for (const char *name :
         {"fifo", "zero", "to_fifo", "loop", "sub", "", ".", "..", "/", "sub/"}) {
        const std::string b = make("b.cow", 2, 1, name);
        EXPECT_NE(refusal({b}).find("is not there beside it"), std::string::npos) << name;
    }
    EXPECT_FALSE(open_hint(dir_ / "fifo"));
    EXPECT_FALSE(open_hint(dir_ / "zero"));
    EXPECT_TRUE(open_hint(image_));
}

TEST_F(CowChain, ParentsThatMovedAlongAreFound) {
    make("a.cow", 1, 0, image_);
    const std::string b = make("b.cow", 2, 1, "/gone/a.cow");
    EXPECT_EQ(chain({b}), (std::vector<std::string>{b, dir_ / "a.cow"}));
}

TEST_F(CowChain, ParentsWithANewNameAreFoundByUuid) {
    const std::string b = make("b.cow", 2, 1, "a.cow");
    make("0.cow", 7, 0, image_);
    dir_.write("1.txt", text_bytes(5000));
    const std::string renamed = make("renamed.cow", 1, 0, image_);
    EXPECT_EQ(chain({b}), (std::vector<std::string>{b, renamed}));
}

TEST_F(CowChain, ParentsAreFoundFromTheWorkingDirectory) {
    make("a.cow", 1, 0, image_);
    make("b.cow", 2, 1, "x.cow");
    const fs::path old = fs::current_path();
    fs::current_path(dir_.path());
    const auto found = chain({"b.cow"});
    fs::current_path(old);
    EXPECT_EQ(found, (std::vector<std::string>{"b.cow", "a.cow"}));
}

TEST_F(CowChain, WhatIsGivenComesBeforeWhatIsFound) {
    fs::create_directory(dir_ / "sub");
    const std::string a = make("sub/a.cow", 1, 0, image_);
    const std::string b = make("sub/b.cow", 2, 1, "a.cow");
    const std::string c = make("c.cow", 3, 2, "gone.cow");
    EXPECT_EQ(chain({c, b}), (std::vector<std::string>{c, b, a}));
}

TEST_F(CowChain, AUmlFileEndsAChain) {
    const std::string a = dir_ / "a.cow";
    int fd = open(a.c_str(), O_RDWR | O_CREAT, 0600);
    write_uml_cow(fd, a, {image_, 1, kSize});
    close(fd);
    const std::string b = make("b.cow", 2, 0, a);
    EXPECT_EQ(chain({a}), std::vector<std::string>{a});
    LogCowConfig config;
    config.size = kSize;
    config.over_layer = true;
    config.parent = "a.cow";
    fd = open(b.c_str(), O_RDWR | O_TRUNC);
    write_log_cow(fd, b, config);
    close(fd);
    EXPECT_EQ(chain({b}), (std::vector<std::string>{b, a}));
}

TEST_F(CowChain, AMissingParentIsNamedWithARemedy) {
    const std::string b = make("b.cow", 2, 1, "a.cow");
    EXPECT_EQ(refusal({b}),
              b + ": lies over the COW file a.cow (UUID 01010101-0101-0101-0101-010101010101), "
                  "which is not there beside it; if it is elsewhere, name it as the next layer");
}

TEST_F(CowChain, AnotherFileInThePlaceOfTheParentIsNamed) {
    const std::string a = make("a.cow", 9, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    EXPECT_EQ(
        refusal({b}),
        b +
            ": lies over the COW file a.cow (UUID 01010101-0101-0101-0101-010101010101), "
            "but " +
            a +
            " has UUID 09090909-0909-0909-0909-090909090909 and is not frozen: a snapshot was "
            "interrupted; " +
            b +
            " holds nothing: attach it writable once, that finishes the snapshot, or remove it "
            "and attach " +
            a);
}

/* In all superblocks that there are. */
void change_supers(const std::string &path,
                   const std::function<void(cw_disk_log_super *)> &change) {
    Io io = Io::open(path, Io::Mode::kReadWrite);
    for (u64 at : {u64{0}, u64{CW_LOG_SUPER_STRIDE}}) {
        cw_disk_log_super super = {};
        io.read(&super, sizeof(super), at);
        if (super.magic[0] != 0) {
            change(&super);
            super.crc = 0;
            super.crc = cw_to_le32(cw_crc32c(&super, sizeof(super)));
            io.write(&super, sizeof(super), at);
        }
    }
}

/*
 * The message never tells the user to remove a layer with data, whatever its superblock
 * says.
 */
TEST_F(CowChain, ALayerIsCalledEmptyOnlyWhenThatWasLookedAt) {
    const std::string a = make("a.cow", 9, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    change_supers(b, [](cw_disk_log_super *super) { /* can be written to alone */
                                                    super->incompat = 0;
                                                    memset(super->base_uuid, 0,
                                                           sizeof(super->base_uuid));
    });
    {
        std::vector<Io> layers;
        layers.push_back(Io::open(b, Io::Mode::kReadWrite));
        Device device(Io::open(image_, Io::Mode::kRead), std::move(layers), {});
        device.write("data", 4, 0);
        device.close();
    }
    change_supers(b, [](cw_disk_log_super *super) {
        super->incompat = cw_to_le64(CW_LOG_INCOMPAT_OVER_LAYER);
        memset(super->base_uuid, 1, sizeof(super->base_uuid));
        super->plain_pages = 0;
    });
    const std::string keep = "its superblock was damaged; " + b +
                             " holds data, keep it: 'cloopwck --salvage NEW --above " + b + " " +
                             a + "' makes a layer that fits below it";
    EXPECT_NE(refusal({b}).find(keep), std::string::npos) << refusal({b});
}

TEST_F(CowChain, AnInterruptedSnapshotIsFinished) {
    const std::string a = make("a.cow", 9, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    const auto layers = find_cow_chain({b}, Unfinished::kFinish);
    ASSERT_EQ(layers.size(), 2u);
    EXPECT_EQ(layers[0].path, b);
    EXPECT_EQ(layers[1].path, a);
    EXPECT_TRUE(identify_cow(a).frozen);
    EXPECT_EQ(identify_cow(a).uuid, uuid_of(1));
    EXPECT_EQ(chain({b}), (std::vector<std::string>{b, a}));
}

/* The new layer may be longer than the one that it lies over. */
TEST_F(CowChain, AnInterruptedSnapshotThatGrowsIsFinished) {
    const std::string a = make("a.cow", 9, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    change_supers(b, [](cw_disk_log_super *super) {
        super->incompat = cw_to_le64(CW_LOG_INCOMPAT_OVER_LAYER | CW_LOG_INCOMPAT_GROWN);
        super->base_size = super->size;
        super->size = cw_to_le64(2 * kSize);
    });
    const auto layers = find_cow_chain({b}, Unfinished::kFinish);
    ASSERT_EQ(layers.size(), 2u);
    EXPECT_EQ(layers[0].size, 2 * kSize);
    EXPECT_TRUE(identify_cow(a).frozen);
}

TEST_F(CowChain, AnInterruptedSnapshotIsFinishedWhereBothAreNamed) {
    fs::create_directory(dir_ / "sub");
    const std::string a = make("sub/a.cow", 9, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    find_cow_chain({b, a}, Unfinished::kFinish);
    EXPECT_EQ(identify_cow(a).uuid, uuid_of(1));
}

TEST_F(CowChain, AnInterruptedSnapshotIsPassedByWhereNothingIsWritten) {
    const std::string a = make("a.cow", 9, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    const auto layers = find_cow_chain({b}, Unfinished::kSkip);
    ASSERT_EQ(layers.size(), 1u);
    EXPECT_EQ(layers[0].path, a);
    EXPECT_FALSE(identify_cow(a).frozen);
}

TEST_F(CowChain, ALayerWithDataIsNoInterruptedSnapshot) {
    const std::string a = make("a.cow", 9, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    use(b);
    EXPECT_THROW(find_cow_chain({b}, Unfinished::kFinish), Error);
    EXPECT_THROW(find_cow_chain({b}, Unfinished::kSkip), Error);
    EXPECT_FALSE(identify_cow(a).frozen);
}

TEST_F(CowChain, AWrongFileIsNotFrozenWhereTheRightOneIs) {
    const std::string a = make("a.cow", 1, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    const std::string wrong = make("wrong.cow", 9, 0, image_);
    find_cow_chain({b, wrong}, Unfinished::kFinish);
    EXPECT_FALSE(identify_cow(wrong).frozen);
}

TEST_F(CowChain, ASnapshotIsNotFinishedBelowWhoWrites) {
    const std::string a = make("a.cow", 9, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    Io writer = Io::open(a, Io::Mode::kReadWrite);
    lock_cow(writer.fd(), a, true);
    EXPECT_THROW(find_cow_chain({b}, Unfinished::kFinish), Error);
    EXPECT_FALSE(identify_cow(a).frozen);
}

TEST_F(CowChain, ALoopIsRefused) {
    const std::string a = make("a.cow", 1, 2, "b.cow");
    const std::string b = make("b.cow", 2, 1, "a.cow");
    EXPECT_EQ(refusal({a}), a + ": is in the chain of layers twice: one of them names the wrong "
                                "file below it");
    const std::string self = make("self.cow", 3, 3, "self.cow");
    EXPECT_NE(refusal({self}), "");
    fs::create_hard_link(b, dir_ / "link.cow");
    EXPECT_NE(refusal({dir_ / "link.cow", b}), "");
}

TEST_F(CowChain, TooManyLayersAreRefused) {
    std::string path = make("0.cow", 1, 0, image_);
    for (u8 i = 1; i < CW_MAX_LAYERS; i++) {
        path = make(std::to_string(i) + ".cow", i + 1, i, std::to_string(i - 1) + ".cow");
    }
    EXPECT_EQ(find_cow_chain({path}).size(), CW_MAX_LAYERS);
    path = make("64.cow", 65, 64, "63.cow");
    EXPECT_EQ(refusal({path}), dir_ / "0.cow" + ": is layer 65 of the chain, there may be 64");
}

TEST_F(CowChain, WhatIsNoCowFileIsRefused) {
    EXPECT_EQ(refusal({image_}), image_ + ": is no COW file of a known format");
    EXPECT_EQ(refusal({dir_ / "none"}),
              dir_ / "none" + ": cannot be opened: No such file or directory");
}

TEST_F(CowChain, AHintIsShortWhereBothCanMove) {
    fs::create_directory(dir_ / "sub");
    const std::string a = make("a.cow", 1, 0, image_);
    EXPECT_EQ(cow_parent_hint(dir_ / "new.cow", a), "a.cow");
    EXPECT_EQ(cow_parent_hint(dir_ / "sub/new.cow", a), fs::canonical(a).string());
}

TEST_F(CowChain, RandomUuidsDiffer) {
    const Uuid a = random_uuid();
    EXPECT_NE(a, random_uuid());
    EXPECT_EQ(a[6] >> 4, 4);
    EXPECT_EQ(uuid_text(uuid_of(0xab)), "abababab-abab-abab-abab-abababababab");
}

/* The engine takes the chain found. */
TEST_F(CowChain, AChainIsOpenedAsADevice) {
    const std::string a = make("a.cow", 1, 0, image_);
    const std::string b = make("b.cow", 2, 77, "a.cow");
    const Bytes data = text_bytes(8192, 9);
    {
        Device device(Io::open(image_, Io::Mode::kRead),
                      open_cow_chain(find_cow_chain({a}), Io::Mode::kReadWrite), {});
        device.write(data.data(), static_cast<u32>(data.size()), 4096);
        device.snapshot(Io::open(b, Io::Mode::kReadWrite));
        device.write(data.data(), 512, 0);
        device.close();
    }
    Device device(Io::open(image_, Io::Mode::kRead),
                  open_cow_chain(find_cow_chain({b}), Io::Mode::kReadWrite), {});
    EXPECT_EQ(device.info().nr_layers, 2u);
    Bytes got(data.size());
    device.read(got.data(), static_cast<u32>(got.size()), 4096);
    EXPECT_EQ(got, data);
    EXPECT_TRUE(find_cow_chain({a})[0].frozen);
}

/* Whoever writes to the directory can give the name to a link to another's file. */
TEST_F(CowChain, AFileThatGetsTheNameLaterIsNotOpened) {
    const std::string a = make("a.cow", 1, 0, image_);
    const std::string b = make("b.cow", 2, 1, "a.cow");
    const std::vector<CowLayer> found = find_cow_chain({b});
    const std::string other = make("other", 1, 0, image_);
    fs::remove(a);
    fs::create_symlink(other, a);
    try {
        open_cow_chain(found, Io::Mode::kRead);
        ADD_FAILURE() << "the wrong file is opened";
    } catch (const Error &e) {
        EXPECT_EQ(e.what(), a + ": was replaced meanwhile; try again");
    }
}

}  // namespace
}  // namespace cloopw::test

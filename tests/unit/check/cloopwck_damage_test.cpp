// SPDX-License-Identifier: GPL-2.0
/*
 * cloopwck on files of known content with random damage. A file that it calls clean is
 * right. Salvaged data is right or named. No page has content that was never written.
 *
 *   CLOOPWCK_DAMAGE_SECONDS=600 CLOOPWCK_DAMAGE_SEED=1 cloopwck_damage_test
 */
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <set>

#include "lib/check/cow_check.h"
#include "lib/check/log_end.h"
#include "lib/cow/uml_writer.h"
#include "support/cloopwck_tool.h"
#include "support/data.h"

namespace cloopw::test {
namespace {

constexpr u64 kPages = 1300; /* three pages of the map, the last not full */
constexpr u64 kBytes = kPages * CW_PAGE_SIZE;

u64 number_from(const char *variable, u64 otherwise) {
    const char *text = std::getenv(variable);
    return text != nullptr ? strtoull(text, nullptr, 10) : otherwise;
}

/* In one go. */
Bytes read_all(const std::string &file) { return bytes_of(Io::open(file, Io::Mode::kRead)); }

/* Durability is not the subject of this test. */
[[maybe_unused]] const bool kInMemory =
    access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", /*overwrite=*/0) == 0;

/* Seeds, one after the other, for as long as that is asked for. */
class Rounds {
public:
    explicit Rounds(u64 share_percent)
        : seed_(number_from("CLOOPWCK_DAMAGE_SEED", 1)),
          end_(std::chrono::steady_clock::now() +
               std::chrono::milliseconds(number_from("CLOOPWCK_DAMAGE_SECONDS", 12) * 10 *
                                         share_percent)) {}

    bool next(u64 *seed) {
        if (done_ != 0 && std::chrono::steady_clock::now() > end_) {
            std::cout << done_ << " rounds, the last with CLOOPWCK_DAMAGE_SEED=" << seed_ - 1
                      << "\n";
            return false;
        }
        done_++;
        *seed = seed_++;
        return true;
    }

private:
    u64 seed_;
    u64 done_ = 0;
    std::chrono::steady_clock::time_point end_;
};

/* ---- pages that say which they are ---- */

constexpr s64 kAbsent = -1; /* the layer below shows */
constexpr s64 kZero = 0;
constexpr s64 kGarbage = -2;
constexpr s64 kUnreadable = -3;

/* Half of the versions do not shrink. Quick: most of the time goes into this. */
Bytes page_bytes(u64 page, s64 version) {
    Bytes bytes(CW_PAGE_SIZE);
    if (version == kZero) {
        return bytes;
    }
    std::array<u64, CW_PAGE_SIZE / sizeof(u64)> words{};
    u64 word = page << 32 | static_cast<u64>(version);
    for (size_t i = 0; i < words.size(); i++) {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        words[i] = version % 2 == 0 ? word : i % 16 == 0 ? word : u64{i};
    }
    words[0] = page;
    words[1] = static_cast<u64>(version);
    memcpy(bytes.data(), words.data(), bytes.size());
    return bytes;
}

s64 version_of(u64 page, const Bytes &bytes) {
    s64 version = 0;
    memcpy(&version, bytes.data() + sizeof(page), sizeof(version));
    if (version == kZero || version > (1 << 30)) {
        version = kZero;
    }
    return version >= kZero && bytes == page_bytes(page, version) ? version : kGarbage;
}

/* A COW log in memory, and the versions of each page, the oldest first. */
class KnownLog {
public:
    explicit KnownLog(std::mt19937 *random) : random_(random), history_(kPages, {kAbsent}) {
        static const char *const kCodecs[] = {"none", "lz4", "zstd", "zlib"};
        LogCowConfig config = log_config(kBytes, kCodecs[(*random_)() % 4]);
        config.parent = "base";
        config.uuid = random_uuid();
        config.first_generation = 1 + (*random_)() % 100000;
        cw_disk_log_super super{};
        encode_log_super(&super, config);
        Bytes empty(kLogCowEmptyLen);
        memcpy(empty.data(), &super, sizeof(super));
        io_ = std::make_unique<Io>(Io::memory("log", empty));
        discards_ = (*random_)() % 3 != 0;
        const u64 sessions = 1 + (*random_)() % 3;
        for (u64 i = 1; i <= sessions; i++) {
            const bool last = i == sessions;
            session(last ? (*random_)() % 3 != 0 : (*random_)() % 2 == 0, last);
        }
    }

    const Bytes &file() const { return file_; }
    bool closed() const { return closed_; }
    bool has_discards() const { return discards_; }
    s64 now(u64 page) const { return history_[page].back(); }
    bool was(u64 page, s64 version) const {
        const auto &all = history_[page];
        return std::find(all.begin(), all.end(), version) != all.end();
    }

private:
    /* Ends with a close or as after a crash, with all flushed. */
    void session(bool close, bool last) {
        cw_cache *cache = cw_cache_create(u64{1} << 20);
        cw_cow_base base = {};
        base.size = kBytes;
        base.name = "base";
        cw_cow *cow = nullptr;
        ASSERT_EQ(cw_cow_open(&io_->get(), cache, true, &base, &cow, nullptr), 0);
        const u64 times = (*random_)() % (last ? 60 : 150);
        for (u64 i = 0; i < times; i++) {
            step(*cow);
        }
        ASSERT_EQ(cow->format->flush(cow), 0);
        Bytes crashed = bytes_of(*io_);
        cw_cow_close(cow);
        cw_cache_destroy(cache);
        closed_ = close;
        file_ = close ? bytes_of(*io_) : std::move(crashed);
        if (!close) {
            io_ = std::make_unique<Io>(Io::memory("log", file_));
        }
    }

    void step(cw_cow &cow) {
        const u64 most = (*random_)() % 4 == 0 ? 200 : 16;
        const u64 pages = 1 + (*random_)() % most;
        /* Some places more often than others. */
        const u64 page = (*random_)() % ((*random_)() % 2 == 0 ? 300 : kPages) % (kPages - pages);
        const auto what = (*random_)() % 10;
        s64 version = next_++;
        int err = 0;
        if (what < 2 && discards_) {
            version = what == 0 ? kAbsent : kZero;
            err = what == 0 ? cow.format->discard(&cow, page * CW_PAGE_SIZE, pages * CW_PAGE_SIZE)
                            : cow.format->zero(&cow, page * CW_PAGE_SIZE, pages * CW_PAGE_SIZE);
        } else {
            for (u64 i = 0; i < pages && err == 0; i += CW_LOG_EXTENT_PAGES) {
                err = write(cow, page + i, std::min<u64>(pages - i, CW_LOG_EXTENT_PAGES), version);
            }
        }
        ASSERT_EQ(err, 0);
        for (u64 i = 0; i < pages; i++) {
            history_[page + i].push_back(version);
        }
        if ((*random_)() % 10 == 0) {
            ASSERT_EQ(cow.format->flush(&cow), 0);
        }
    }

    static int write(cw_cow &cow, u64 page, u64 pages, s64 version) {
        Bytes bytes;
        for (u64 i = 0; i < pages; i++) {
            const Bytes one = page_bytes(page + i, version);
            bytes.insert(bytes.end(), one.begin(), one.end());
        }
        return cow.format->write(&cow, page * CW_PAGE_SIZE, static_cast<u32>(bytes.size()),
                                 bytes.data());
    }

    std::mt19937 *random_;
    std::vector<std::vector<s64>> history_;
    std::unique_ptr<Io> io_;
    Bytes file_;
    bool closed_ = false;
    bool discards_ = false;
    s64 next_ = 1;
};

/* Which version does the log show of each page? */
std::vector<s64> versions_in(const Io &io) {
    std::vector<s64> versions(kPages, kUnreadable);
    OpenedCow cow(io.get());
    if (!cow.refusal().empty()) {
        return versions;
    }
    Bytes bytes(CW_PAGE_SIZE);
    for (u64 page = 0; page < kPages; page++) {
        u32 n = 0;
        const int hit =
            cow.get().format->read(&cow.get(), page * CW_PAGE_SIZE, CW_PAGE_SIZE, bytes.data(), &n);
        versions[page] = hit == CW_COW_MISS  ? kAbsent
                         : hit == CW_COW_HIT ? version_of(page, bytes)
                                             : kUnreadable;
    }
    return versions;
}

/* ---- damage ---- */

/* One piece of damage, in words. */
class Damage {
public:
    Damage(Bytes *file, std::mt19937 *random) : file_(*file), random_(*random) {}

    std::string anywhere() {
        const u64 len = 512u << (3 * (random_() % 3)); /* 512, 4096, 32768 */
        switch (random_() % 4) {
            case 0:
                return flip(1 + random_() % 8);
            case 1:
                return overwrite(at(len), Bytes(len));
            case 2:
                return overwrite(at(len), random_bytes(len, random_()));
            default:
                return flip_near_records();
        }
    }
    std::string to_file() {
        if (random_() % 2 == 0) {
            file_.resize(random_() % 8 == 0 ? random_() % 70000
                                            : file_.size() - 1 - random_() % (file_.size() / 2));
            return "cut to " + std::to_string(file_.size()) + "; ";
        }
        const Bytes tail = random_bytes(1 + random_() % 2000000, random_());
        file_.insert(file_.end(), tail.begin(), tail.end());
        return "garbage behind the end; ";
    }
    std::string to_supers() {
        const u64 first = random_() % 2 * CW_LOG_SUPER_STRIDE;
        const Bytes garbage = random_() % 2 == 0 ? Bytes(CW_LOG_SUPER_LEN)
                                                 : random_bytes(CW_LOG_SUPER_LEN, random_());
        switch (random_() % 3) {
            case 0:
                std::swap_ranges(file_.begin(), file_.begin() + CW_LOG_SUPER_LEN,
                                 file_.begin() + CW_LOG_SUPER_STRIDE);
                return "superblocks swapped; ";
            case 1:
                overwrite(CW_LOG_SUPER_STRIDE - first, garbage);
                [[fallthrough]];
            default:
                return overwrite(first, garbage) + "superblock; ";
        }
    }
    /* All pages of the map, or those of one kind. */
    std::string to_map() {
        const u64 kind = random_() % 6;
        u64 lost = 0;
        for (const auto &[off, record] : records()) {
            if (record.type == CW_LOG_META && (kind == 0 || record.from == kind)) {
                overwrite(off, random_bytes(64, random_()));
                lost++;
            }
        }
        return std::to_string(lost) + " pages of the map of kind " + std::to_string(kind) + "; ";
    }

private:
    u64 at(u64 len) {
        const u64 room = file_.size() - std::min<u64>(file_.size(), len);
        return (room != 0 ? random_() % room : 0) / 512 * 512;
    }
    std::string overwrite(u64 off, const Bytes &bytes) {
        for (size_t i = 0; i < bytes.size() && off + i < file_.size(); i++) {
            file_[off + i] = bytes[i];
        }
        return std::to_string(bytes.size()) + (bytes[0] == 0 ? " zeros" : " bytes") + " at " +
               std::to_string(off) + "; ";
    }
    std::string flip(u64 times) {
        std::string text = "flipped at";
        for (u64 i = 0; i < times; i++) {
            const u64 off = random_() % file_.size();
            file_[off] ^= static_cast<u8>(1u << random_() % 8);
            text += " " + std::to_string(off);
        }
        return text + "; ";
    }
    std::string flip_near_records() {
        const auto all = records();
        std::string text = "records flipped at";
        for (u64 i = 0; i < 1 + random_() % 12 && !all.empty(); i++) {
            const u64 off = all[random_() % all.size()].first + random_() % 300;
            file_[off % file_.size()] ^= static_cast<u8>(1u << random_() % 8);
            text += " " + std::to_string(off);
        }
        return text + "; ";
    }
    std::vector<std::pair<u64, log_record>> records() {
        std::vector<std::pair<u64, log_record>> all;
        for (u64 off = CW_LOG_START; off + CW_SECTOR_SIZE <= file_.size(); off += CW_SECTOR_SIZE) {
            log_record record{};
            if (cw_log_record_decode(&file_[off], CW_SECTOR_SIZE, &record) == 0) {
                all.emplace_back(off, record);
            }
        }
        return all;
    }

    Bytes &file_;
    std::mt19937 &random_;
};

/* ---- the guarantees ---- */

class CloopwckDamaged : public Cloopwck {
protected:
    /* Pages that a report names by their ranges. */
    static std::set<u64> named_in(const json &findings) {
        std::set<u64> pages;
        for (const json &finding : findings) {
            if (!finding.contains("offset")) {
                continue;
            }
            const u64 off = finding["offset"];
            const u64 len = finding["length"];
            for (u64 at = off; at < off + len && at < kBytes; at += CW_PAGE_SIZE) {
                pages.insert(at / CW_PAGE_SIZE);
            }
        }
        return pages;
    }

    /*
     * Pages changed only by records at the very end of an unclosed log, all of which are
     * destroyed. That looks as if the records had never been written.
     */
    static std::set<u64> without_trace(const KnownLog &log, const Bytes &damaged) {
        std::set<u64> pages;
        Io before = Io::memory("before", log.file());
        Io after = Io::memory("after", damaged);
        const LogSupers supers = read_log_supers(after.get());
        if (log.closed() || !supers.any()) {
            return pages;
        }
        const LogEnd end = find_log_end(after.get(), supers.best());
        if (!end.is_clean()) {
            return pages;
        }
        LogScan scan(before.get());
        for (u32 n = 0; n < scan.segments(); n++) {
            scan.scan(
                n,
                [&](const LogRecordAt &at) {
                    const u64 off = cw_log_sector_offset(at.sector);
                    const bool intact =
                        off + at.record.sectors * CW_SECTOR_SIZE <= damaged.size() &&
                        memcmp(&damaged[off], &log.file()[off],
                               at.record.sectors * CW_SECTOR_SIZE) == 0;
                    if (!changes_pages(at.record) || at.record.seq < end.next_seq ||
                        at.record.gen < cw_from_le64(supers.best().log_gen)) {
                        return;
                    }
                    EXPECT_FALSE(intact) << "a record is there, and nothing is said of it";
                    for (u64 i = 0; i < at.record.pages; i++) {
                        pages.insert(at.record.page + i);
                    }
                },
                [](const LogGap &) {});
        }
        return pages;
    }

    static bool has_records(const Bytes &file) {
        bool found = false;
        Io io = Io::memory("log", file);
        LogScan scan(io.get());
        for (u32 n = 0; n < scan.segments(); n++) {
            scan.scan(
                n, [&](const LogRecordAt &) { found = true; }, [](const LogGap &) {});
        }
        return found;
    }

    static std::set<u64> all_pages() {
        std::set<u64> pages;
        for (u64 page = 0; page < kPages; page++) {
            pages.insert(pages.end(), page);
        }
        return pages;
    }

    /*
     * Each page is right, or older and named. No page shows content that was never written.
     */
    void expect_honest(const KnownLog &log, const std::vector<s64> &shown,
                       const std::set<u64> &named, const std::set<u64> &excused,
                       const std::string &what) {
        for (u64 page = 0; page < kPages; page++) {
            const s64 version = shown[page];
            if (version == log.now(page)) {
                continue;
            }
            ASSERT_TRUE(version != kGarbage && (version == kUnreadable || log.was(page, version)))
                << what << "page " << page << " shows " << version;
            ASSERT_TRUE(named.contains(page) || excused.contains(page))
                << what << "page " << page << " shows " << version << ", not " << log.now(page);
        }
    }

    void check(const KnownLog &log, const Bytes &damaged, const std::string &what) {
        const std::string file = write("damaged.cow", damaged);
        const ToolResult result = tool({"--json", "-n", file});
        ASSERT_TRUE(result.code == 0 || result.code == 4 || result.code == 8)
            << what << result.out << result.err;
        ASSERT_EQ(read_all(file), damaged) << what;
        if (result.code == 8) { /* nothing is left by which it is known */
            ASSERT_NE(result.err.find("is nothing that is known"), std::string::npos) << result.err;
        }
        const ToolResult repaired = tool({"--json", "-y", file});
        if (result.code == 8) {
            ASSERT_EQ(repaired.code, 8) << what;
            ASSERT_FALSE(has_records(damaged)) << what;
            return;
        }
        ASSERT_TRUE(repaired.code == 0 || repaired.code == 1 || repaired.code == 4)
            << what << repaired.out << repaired.err;
        if (repaired.code != 1) {
            ASSERT_EQ(read_all(file), damaged) << what;
        }
        const json report = json::parse(repaired.out);
        Io io = Io::open(file, Io::Mode::kRead);
        /* With errors, each readable page must at least have been written once. */
        expect_honest(log, versions_in(io),
                      repaired.code == 4 ? all_pages() : named_in(report["files"][0]["findings"]),
                      without_trace(log, damaged), what + "-y: " + repaired.out);
        repaired_ += repaired.code == 1 ? 1 : 0;
    }

    void salvage(const KnownLog &log, const Bytes &damaged, const std::string &what) {
        const std::string file = write("damaged.cow", damaged);
        const ToolResult result =
            tool({"--json", "-f", "-s", path("out"), "-c", file, path("base")});
        ASSERT_EQ(read_all(file), damaged) << what;
        ASSERT_TRUE(result.code == 0 || result.code == 4) << what << result.out << result.err;
        const json report = json::parse(result.out);
        const std::set<u64> named = named_in(report["lost"]);
        const Io out = Io::open(path("out"), Io::Mode::kRead);
        const std::vector<s64> shown = versions_in(out);
        ASSERT_EQ(std::count(shown.begin(), shown.end(), kUnreadable), 0) << what;
        expect_honest(log, shown, named, without_trace(log, damaged),
                      what + "--salvage: " + result.out);
        if (result.code == 0) {
            ASSERT_TRUE(named.empty()) << what;
        }
        expect_clean({"--quick", path("out")});
        for (u64 page = 0; page < kPages; page++) {
            kept_ += shown[page] == log.now(page) ? 1 : 0;
        }
        pages_ += kPages;
    }

    u64 repaired_ = 0;
    u64 kept_ = 0;
    u64 pages_ = 0;
};

TEST_F(CloopwckDamaged, LogsAreReportedAndSalvagedHonestly) {
    write("base", {});
    std::filesystem::resize_file(path("base"), kBytes);
    Rounds rounds(60);
    for (u64 seed = 0; rounds.next(&seed);) {
        std::mt19937 random(static_cast<unsigned int>(seed));
        const KnownLog log(&random);
        for (unsigned int i = 0; i < 8 && !HasFatalFailure(); i++) {
            Bytes file = log.file();
            std::string what = "CLOOPWCK_DAMAGE_SEED=" + std::to_string(seed) + ": ";
            Damage damage(&file, &random);
            if (i == 0) { /* none */
                check(log, file, what);
                ASSERT_EQ(read_all(path("damaged.cow")), log.file()) << what;
            }
            for (u64 k = 0; k < (i == 0 ? 0 : 1 + random() % 3); k++) {
                const auto kind = random() % 8;
                what += kind == 0   ? damage.to_file()
                        : kind <= 2 ? damage.to_supers()
                        : kind == 3 ? damage.to_map()
                                    : damage.anywhere();
            }
            what += "\n";
            check(log, file, what);
            salvage(log, file, what);
        }
        ASSERT_FALSE(HasFatalFailure()) << "CLOOPWCK_DAMAGE_SEED=" << seed;
    }
    std::cout << repaired_ << " repaired; of what was salvaged " << kept_ * 100.0 / double(pages_)
              << " % is as it was\n";
}

/* Where only records are damaged, nothing else is lost or doubted. */
TEST_F(CloopwckDamaged, DamagedRecordsAreLostAlone) {
    write("base", {});
    std::filesystem::resize_file(path("base"), kBytes);
    Rounds rounds(15);
    for (u64 seed = 0; rounds.next(&seed);) {
        std::mt19937 random(static_cast<unsigned int>(seed));
        const KnownLog log(&random);
        Bytes file = log.file();
        std::set<u64> hit;
        Io io = Io::memory("log", file);
        LogScan scan(io.get());
        for (u32 n = 0; n < scan.segments(); n++) {
            scan.scan(
                n,
                [&](const LogRecordAt &at) {
                    if ((at.record.type == CW_LOG_WRITE || at.record.type == CW_LOG_MOVE) &&
                        log.closed() && random() % 8 == 0) {
                        file[cw_log_sector_offset(at.sector) + random() % 400] ^= 1;
                        for (u64 i = 0; i < at.record.pages; i++) {
                            hit.insert(at.record.page + i);
                        }
                    }
                },
                [](const LogGap &) {});
        }
        const std::string what = "CLOOPWCK_DAMAGE_SEED=" + std::to_string(seed) + "\n";
        const std::string name = write("damaged.cow", file);
        const ToolResult result = tool({"--json", "-f", "-s", path("out"), name});
        ASSERT_TRUE(result.code == 0 || result.code == 4) << what << result.err;
        const std::set<u64> named = named_in(json::parse(result.out)["lost"]);
        const std::vector<s64> shown = versions_in(Io::open(path("out"), Io::Mode::kRead));
        for (u64 page = 0; page < kPages; page++) {
            if (!hit.contains(page)) {
                ASSERT_EQ(shown[page], log.now(page)) << what << page << result.out;
                ASSERT_FALSE(named.contains(page)) << what << page << result.out;
            }
        }
    }
}

/* ---- images ---- */

struct ImageKind {
    const char *name;
    Bytes (*make)(const Bytes &plain);
};

Bytes cloopw_of(const Bytes &plain) {
    return make_image(image_writer_cloopw, writer_options("zstd"), plain).file;
}
Bytes cloop2_of(const Bytes &plain) {
    return make_image(image_writer_cloop2, writer_options("zlib"), plain).file;
}
Bytes cloop4_of(const Bytes &plain) {
    return make_image(image_writer_cloop4, writer_options("zlib"), plain).file;
}
Bytes cloop068_of(const Bytes &plain) {
    return cloop_image({0, false, 4096, {&cw_codec_zlib}}, plain);
}

class CloopwckDamagedImage : public CloopwckDamaged {
protected:
    /* A block that the report does not name is right, if it has a checksum of its own. */
    void salvage_image(const std::string &format, const Bytes &plain, const Bytes &damaged,
                       const std::string &what) {
        const std::string file = write("damaged.img", damaged);
        const ToolResult checked = tool({"-y", "-I", format, file});
        ASSERT_TRUE(checked.code == 0 || checked.code == 4) << what << checked.err;
        const ToolResult result = tool({"--json", "-f", "-s", path("out"), "-I", format, file});
        ASSERT_EQ(read_all(file), damaged) << what;
        ASSERT_TRUE(result.code == 0 || result.code == 4 || result.code == 8) << what << result.err;
        if (result.code == 8) {
            ASSERT_EQ(checked.code, 4) << what << checked.out << result.err;
            return;
        }
        const Bytes now = read_image(read_all(path("out")));
        const std::set<u64> named = named_in(json::parse(result.out)["lost"]);
        ASSERT_TRUE(now.size() == plain.size() || checked.code == 4) << what << checked.out;
        for (u64 off = 0; off < std::min(now.size(), plain.size()); off += CW_PAGE_SIZE) {
            const size_t len =
                std::min<size_t>(CW_PAGE_SIZE, std::min(now.size(), plain.size()) - off);
            if (slice(now, off, len) != slice(plain, off, len)) {
                ASSERT_TRUE(named.contains(off / CW_PAGE_SIZE)) << what << off << result.out;
                ASSERT_EQ(checked.code, 4) << what << checked.out;
            }
        }
    }
};

TEST_F(CloopwckDamagedImage, ImagesAreReportedAndSalvagedHonestly) {
    const ImageKind kinds[] = {{"cloopw", cloopw_of},
                               {"cloop2", cloop2_of},
                               {"cloop4", cloop4_of},
                               {"cloop068", cloop068_of}};
    Rounds rounds(20);
    for (u64 seed = 0; rounds.next(&seed);) {
        std::mt19937 random(static_cast<unsigned int>(seed));
        const Bytes plain = text_bytes(200704, static_cast<unsigned int>(seed));
        for (const ImageKind &kind : kinds) {
            const Bytes sound = kind.make(plain);
            /* Only cloopw's header and index have checksums. */
            const size_t head = kind.make == cloopw_of ? 0 : 600;
            for (unsigned int i = 0; i < 6; i++) {
                Bytes tail(sound.begin() + static_cast<std::ptrdiff_t>(head), sound.end());
                Damage damage(&tail, &random);
                std::string what = std::string(kind.name) +
                                   ", CLOOPWCK_DAMAGE_SEED=" + std::to_string(seed) + ": ";
                what += random() % 6 == 0 ? damage.to_file() : damage.anywhere();
                Bytes file(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(head));
                file.insert(file.end(), tail.begin(), tail.end());
                salvage_image(kind.name, plain, file, what + "\n");
                ASSERT_FALSE(HasFatalFailure()) << what;
            }
        }
    }
}

/* ---- User-mode Linux's ---- */

/* The file has no checksums. The part cut off is named, and the rest is kept. */
TEST_F(CloopwckDamaged, UmlFilesThatAreCut) {
    Rounds rounds(5);
    for (u64 seed = 0; rounds.next(&seed);) {
        std::mt19937 random(static_cast<unsigned int>(seed));
        UmlSpec spec;
        spec.size = 262144;
        spec.base = write("uml.base", Bytes(spec.size));
        spec.mtime = 0;
        Bytes uml = uml_cow(spec);
        const u64 data = uml.size() - spec.size;
        for (u64 at = uml_bitmap_offset(spec); at < uml_bitmap_offset(spec) + 64; at++) {
            uml[at] = static_cast<u8>(random());
        }
        for (u64 at = data; at < uml.size(); at++) {
            uml[at] = static_cast<u8>(random());
        }
        const u64 cut = data + random() % spec.size;
        Bytes damaged = slice(uml, 0, cut);
        const std::string file = write("damaged.cow", damaged);
        (void)tool({"-y", file});
        ASSERT_EQ(read_all(file), damaged);
        const ToolResult result = tool({"--json", "-f", "-s", path("out"), file});
        ASSERT_TRUE(result.code == 0 || result.code == 4) << result.err;
        const Bytes out = read_all(path("out"));
        ASSERT_EQ(out.size(), uml.size());
        ASSERT_EQ(slice(out, 0, cut / 512 * 512), slice(uml, 0, cut / 512 * 512)) << seed;
    }
}

}  // namespace
}  // namespace cloopw::test

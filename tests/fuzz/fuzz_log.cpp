// SPDX-License-Identifier: GPL-2.0
/*
 * COW logs. A log is megabytes long and full of checksums; so the input is
 * a list of changes to a sound one, and the checksums are made right again:
 * what is tried is what a log can say, not what a checksum keeps out.
 */
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cow_check.h"
#include "image_writer.h"
#include "log_cow_writer.h"
#include "log_rebuild.h"

namespace {

using namespace cloopw;

constexpr u64 kDevice = u64{3} << 20; /* two pages of the map */

struct Change {
    u16 place; /* 0, 1: a superblock; else a record */
    u16 at;
    u8 xor_with;
    u8 add;
};

/* Reads what is in memory, without a copy of it. */
class View : private cw_io {
public:
    explicit View(const std::vector<u8> &bytes) : cw_io{}, bytes_(bytes) {
        this->ops = &kOps;
        this->name = "log";
    }
    cw_io &get() { return *this; }

private:
    static int do_pread(cw_io *io, void *buf, size_t len, u64 off) {
        const std::vector<u8> &bytes = static_cast<View *>(io)->bytes_;
        if (off > bytes.size() || len > bytes.size() - off) {
            return -EIO;
        }
        memcpy(buf, &bytes[off], len);
        return 0;
    }
    static int do_size(cw_io *io, u64 *size) {
        *size = static_cast<View *>(io)->bytes_.size();
        return 0;
    }
    static constexpr cw_io_ops kOps = {.pread = do_pread,
                                       .pread_two = nullptr,
                                       .will_read = nullptr,
                                       .pwrite = nullptr,
                                       .flush = nullptr,
                                       .allocate = nullptr,
                                       .punch = nullptr,
                                       .size = do_size,
                                       .capacity = nullptr};

    const std::vector<u8> &bytes_;
};

std::vector<u8> bytes_of(const Io &io) {
    std::vector<u8> bytes(io.size());
    io.read(bytes.data(), bytes.size(), 0);
    return bytes;
}

/* All kinds of records, a checkpoint and some log behind it. */
std::vector<u8> make_log() {
    LogCowConfig config;
    config.size = kDevice;
    config.parent = "base";
    cw_disk_log_super super;
    encode_log_super(&super, config);
    std::vector<u8> empty(kLogCowEmptyLen);
    memcpy(empty.data(), &super, sizeof(super));
    Io io = Io::memory("log", empty);
    cw_cache *cache = cw_cache_create(u64{1} << 20);
    cw_cow_base base = {};
    base.size = kDevice;
    base.name = "base";
    cw_cow *cow = nullptr;
    for (int round = 0; round < 2; round++) {
        if (cw_cow_open(&io.get(), cache, true, &base, &cow, nullptr) != 0) {
            abort();
        }
        std::vector<u8> data(16384);
        for (u32 i = 0; i < 20; i++) {
            for (size_t k = 0; k < data.size(); k++) {
                data[k] = static_cast<u8>(i % 3 == 0 ? k * 2654435761u >> 13 : k / 97 + i);
            }
            const u64 off = (i * 7 % 60) * 49152;
            const u32 len = i % 4 == 3 ? 16384 : 4096;
            (void)cow->format->write(cow, off, len, data.data());
            (void)cow->format->discard(cow, off / 2 / 4096 * 4096, 16384);
            (void)cow->format->zero(cow, off / 3 / 4096 * 4096, 8192);
        }
        if (round == 0) {
            cw_cow_close(cow);
        }
    }
    std::vector<u8> bytes = bytes_of(io); /* as a crash leaves it */
    cw_cow_close(cow);
    cw_cache_destroy(cache);
    return bytes;
}

std::vector<u64> find_places(const std::vector<u8> &file) {
    std::vector<u64> places = {0, CW_LOG_SUPER_STRIDE};
    for (u64 off = CW_LOG_START; off + CW_SECTOR_SIZE <= file.size(); off += CW_SECTOR_SIZE) {
        log_record record;
        if (cw_log_record_decode(&file[off], CW_SECTOR_SIZE, &record) == 0) {
            places.push_back(off);
        }
    }
    return places;
}

void fix_super(u8 *at) {
    cw_disk_log_super super;
    memcpy(&super, at, sizeof(super));
    super.crc = cw_to_le32(cw_log_super_crc(&super));
    memcpy(at, &super, sizeof(super));
}

/* As encoding does it, of whatever fields there are now. */
void fix_record(u8 *at, size_t room) {
    cw_disk_log_record disk;
    memcpy(&disk, at, sizeof(disk));
    log_record record = {};
    record.gen = cw_from_le64(disk.gen);
    record.seq = cw_from_le64(disk.seq);
    record.page = cw_from_le64(disk.page);
    record.pages = cw_from_le32(disk.pages);
    record.stored = cw_from_le32(disk.stored);
    record.type = disk.type;
    record.codec = disk.codec;
    record.data_mask = cw_from_le16(disk.data_mask);
    record.zero_mask = cw_from_le16(disk.zero_mask);
    record.from = cw_from_le64(disk.from);
    record.next_gen = cw_from_le64(disk.next_gen);
    if (record.stored > CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE) {
        record.stored %= CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE;
    }
    std::vector<u64> buf(LOG_RECORD_ROOM / sizeof(u64) + 1);
    auto *bytes = reinterpret_cast<u8 *>(buf.data());
    const size_t len = std::min<size_t>(room, LOG_RECORD_ROOM);
    memcpy(bytes, at, len);
    cw_log_record_encode(bytes, &record);
    memcpy(at, bytes, std::min<size_t>(len, record.sectors * CW_SECTOR_SIZE));
}

/* A sound log with changes; they are taken back in the end. */
class Changed {
public:
    Changed(const std::vector<u8> &sound, std::vector<u8> *file) : sound_(sound), file_(*file) {}
    ~Changed() {
        for (size_t at : touched_) {
            const size_t len = std::min<size_t>(file_.size() - at, LOG_RECORD_ROOM);
            memcpy(&file_[at], &sound_[at], len);
        }
    }
    Changed(const Changed &) = delete;
    Changed &operator=(const Changed &) = delete;

    void apply(const Change &change, const std::vector<u64> &places) {
        const size_t n = change.place % places.size();
        u8 *at = &file_[places[n]];
        const size_t room = file_.size() - places[n];
        u8 &byte = at[change.at % std::min<size_t>(room, n < 2 ? 2048 : 512)];
        touched_.push_back(places[n]);
        byte = static_cast<u8>((byte ^ change.xor_with) + change.add);
        n < 2 ? fix_super(at) : fix_record(at, room);
    }

private:
    const std::vector<u8> &sound_;
    std::vector<u8> &file_;
    std::vector<size_t> touched_;
};

void check(cw_io &io, const LogSupers &supers, const CheckOptions &options) {
    OpenedCow cow(io);
    Findings findings;
    if (cow.refusal().empty() && cow.is_log()) {
        (void)check_log(cow, options, findings);
        check_log_end(find_log_end(io, supers.best()), supers, findings);
    }
}

void rebuild(cw_io &io, const LogSupers &supers, bool trusted, const CheckOptions &options) {
    LogRebuild rebuilt(io, kDevice, supers, {trusted, false}, options);
    rebuilt.pages(nullptr, [](u32, const u64 *, LogRebuild::Basis) {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    static const std::vector<u8> sound = make_log();
    static const std::vector<u64> places = find_places(sound);
    static std::vector<u8> file = sound;
    Changed changed(sound, &file);
    cw_log_bad_quiet(true);
    /* The first byte says what is tried. */
    const unsigned int how = size != 0 ? data[0] % 4u : 0;
    for (size_t i = 1; i + sizeof(Change) <= std::min<size_t>(size, 1 + 32 * sizeof(Change));
         i += sizeof(Change)) {
        Change change;
        memcpy(&change, data + i, sizeof(change));
        changed.apply(change, places);
    }
    View view(file);
    const LogSupers supers = read_log_supers(view.get());
    if (how < 2) {
        check(view.get(), supers, {});
    } else {
        rebuild(view.get(), supers, how == 2, {});
    }
    return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * COW logs. A log is megabytes long and full of checksums. So the input is a list of
 * changes to a sound log, and the target fixes the checksums. It tries what a log can say,
 * not what a checksum keeps out.
 */
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "fields.h"
#include "lib/check/cow_check.h"
#include "lib/check/log_rebuild.h"
#include "lib/cow/log_writer.h"
#include "lib/image/image_writer.h"

namespace {

using namespace cloopw;

constexpr u64 kDevice = u64{3} << 20; /* two pages of the map */

/* A number of a superblock, a record's header or a page of the map. */
struct Change {
    u16 place; /* 0, 1: a superblock; else a record */
    u16 at;
    u8 bytes; /* 1, 2, 4 or 8 by its lowest bits */
    u8 value[8];
};

/* Reads memory without a copy of it, and keeps written data beside it. */
class View : private cw_io {
public:
    explicit View(const std::vector<u8> &bytes) : cw_io{}, bytes_(bytes), size_(bytes.size()) {
        this->ops = &kOps;
        this->name = "log";
        this->physical_block = CW_PAGE_SIZE;
    }
    cw_io &get() { return *this; }

private:
    using Block = std::array<u8, CW_PAGE_SIZE>;
    static constexpr u64 kMost = u64{24} << 20; /* bytes it may have */

    static View &self(cw_io *io) { return *static_cast<View *>(io); }

    Block &own(u64 n) {
        auto [it, is_new] = own_.try_emplace(n);
        if (is_new) {
            const u64 off = std::min<u64>(bytes_.size(), n * CW_PAGE_SIZE);
            const u64 len = std::min<u64>(bytes_.size() - off, CW_PAGE_SIZE);
            std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(off), len, it->second.begin());
        }
        return it->second;
    }
    void read(u8 *to, size_t len, u64 off) {
        if (own_.empty() && off + len <= bytes_.size()) {
            memcpy(to, &bytes_[off], len);
            return;
        }
        for (size_t part; len != 0; to += part, off += part, len -= part) {
            part = std::min<size_t>(len, CW_PAGE_SIZE - off % CW_PAGE_SIZE);
            const auto it = own_.find(off / CW_PAGE_SIZE);
            if (it != own_.end()) {
                memcpy(to, it->second.data() + off % CW_PAGE_SIZE, part);
            } else if (off + part <= bytes_.size()) {
                memcpy(to, &bytes_[off], part);
            } else {
                memset(to, 0, part);
            }
        }
    }
    static int do_pread(cw_io *io, void *buf, size_t len, u64 off) {
        if (cw_outside(off, len, self(io).size_)) {
            return -EIO;
        }
        self(io).read(static_cast<u8 *>(buf), len, off);
        return 0;
    }
    static int do_pwrite(cw_io *io, const void *buf, size_t len, u64 off) {
        View &view = self(io);
        const u8 *from = static_cast<const u8 *>(buf);
        if (cw_outside(off, len, kMost)) {
            return -ENOSPC;
        }
        view.size_ = std::max<u64>(view.size_, off + len);
        for (size_t part; len != 0; from += part, off += part, len -= part) {
            part = std::min<size_t>(len, CW_PAGE_SIZE - off % CW_PAGE_SIZE);
            memcpy(view.own(off / CW_PAGE_SIZE).data() + off % CW_PAGE_SIZE, from, part);
        }
        return 0;
    }
    static int do_flush(cw_io *) { return 0; }
    static int do_allocate(cw_io *io, u64 off, u64 len) {
        if (cw_outside(off, len, kMost)) {
            return -ENOSPC;
        }
        self(io).size_ = std::max<u64>(self(io).size_, off + len);
        return 0;
    }
    static int do_punch(cw_io *, u64, u64) { return 0; }
    static int do_size(cw_io *io, u64 *size) {
        *size = self(io).size_;
        return 0;
    }
    static constexpr cw_io_ops kOps = {.pread = do_pread,
                                       .pread_two = nullptr,
                                       .will_read = nullptr,
                                       .distrust = nullptr,
                                       .pwrite = do_pwrite,
                                       .flush = do_flush,
                                       .allocate = do_allocate,
                                       .punch = do_punch,
                                       .size = do_size,
                                       .capacity = nullptr,
                                       .next_data = nullptr};

    const std::vector<u8> &bytes_;
    u64 size_;
    std::map<u64, Block> own_;
};

std::vector<u8> bytes_of(const Io &io) {
    std::vector<u8> bytes(io.size());
    io.read(bytes.data(), bytes.size(), 0);
    return bytes;
}

/* All kinds of records, a checkpoint and some log behind it. */
std::vector<u8> make_log(const char *codec, u32 writes) {
    LogCowConfig config;
    config.size = kDevice;
    config.parent = "base";
    config.codec = codec;
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
        for (u32 i = 0; i < writes; i++) {
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
    std::vector<u8> bytes = bytes_of(io); /* the state after a crash */
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

/* Fixes a record's checksum, like encoding, for the present fields. */
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
        const u32 bytes = 1u << change.bytes % 4;
        const size_t most = std::min<size_t>(room, n < 2 ? 2048 : 512) - bytes;
        touched_.push_back(places[n]);
        memcpy(at + change.at % most, change.value, bytes);
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

/*
 * Opens and uses the log in all ways of a device. The only requirement is that each call
 * ends.
 */
void attach(cw_io &io, bool writable, cw_cache *cache) {
    cw_cow_base base = {};
    base.size = kDevice;
    base.name = "base";
    cw_cow *cow = nullptr;
    if (cw_cow_open(&io, cache, writable, &base, &cow, nullptr) != 0) {
        return;
    }
    std::vector<u8> data(CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE, 0x5a);
    for (u64 off = 0; off < kDevice; off += data.size()) {
        u32 n = 0;
        u64 run = 0;
        u64 pos = 0;
        (void)cow->format->read(cow, off, CW_PAGE_SIZE, data.data(), &n);
        (void)cow->format->block_status(cow, off, data.size(), &run);
        (void)cow->format->locate(cow, off, CW_PAGE_SIZE, &pos);
        if (writable && off / data.size() % 4 == 0) {
            (void)cow->format->write(cow, off, static_cast<u32>(data.size()), data.data());
        }
    }
    if (writable) {
        (void)cow->format->zero(cow, kDevice / 2, kDevice / 4);
        (void)cow->format->discard(cow, 0, kDevice / 2);
        (void)cow->format->flush(cow);
        cow->format->tend(cow);
    }
    cw_cow_stat stat;
    cow->format->stat(cow, &stat);
    cw_cow_close(cow);
}

struct Sound {
    explicit Sound(const char *codec, u32 writes = 20)
        : bytes(make_log(codec, writes)), places(find_places(bytes)), file(bytes) {}

    const std::vector<u8> bytes;
    const std::vector<u64> places;
    std::vector<u8> file;
};

/* The sound log that the input's first byte chooses. */
Sound &sound_of(u8 first) {
    static std::array<Sound, 4> all = {Sound("lz4"), Sound("none"), Sound("zstd"),
                                       Sound("none", 180)};
    return all[first / 8 % all.size()];
}

/* The numbers of the structure at a place. */
std::vector<fuzz::Field> fields_of(size_t place, fuzz::Random *random) {
    std::vector<fuzz::Field> fields;
    if (place < 2) {
        fields = {{8, 4},   {16, 8},  {24, 8},  {32, 8},  {56, 8},  {64, 8},  {88, 8},   {96, 4},
                  {100, 4}, {104, 8}, {112, 8}, {120, 8}, {128, 8}, {136, 8}, {144, 4},  {148, 4},
                  {152, 4}, {156, 4}, {160, 8}, {168, 8}, {672, 8}, {680, 8}, {1824, 4}, {1832, 8}};
    } else {
        fields = {{8, 8},  {16, 8}, {24, 8}, {32, 4}, {36, 4}, {44, 1},
                  {45, 1}, {46, 2}, {48, 2}, {56, 8}, {64, 8}};
        /* Entries, of a page of the map without codec. */
        for (u32 i = 0; i < 4; i++) {
            fields.push_back({72 + (*random)() % 54 * 8, 8});
        }
    }
    return fields;
}

Change new_change(const Sound &sound, fuzz::Random *random) {
    Change change{};
    const size_t place = (*random)() % 3 == 0 ? (*random)() % 2 : (*random)() % sound.places.size();
    const std::vector<fuzz::Field> fields = fields_of(place, random);
    const fuzz::Field &field = fields[(*random)() % fields.size()];
    /* The truth, that of another record, or a lie. */
    const size_t other = (*random)() % 4 == 0 ? (*random)() % sound.places.size() : place;
    u64 value = fuzz::get(&sound.bytes[sound.places[other]], field);
    if (other == place || (*random)() % 2 == 0) {
        value = fuzz::lie(value, random);
    }
    change.place = static_cast<u16>(place);
    change.at = static_cast<u16>(field.at);
    change.bytes = static_cast<u8>(__builtin_ctz(field.bytes));
    memcpy(change.value, &value, sizeof(value));
    return change;
}

}  // namespace

/* Adds a change, takes one out, or puts another in its place. */
extern "C" size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size,
                                          unsigned int seed) {
    fuzz::Random random(seed);
    if (random() % 16 == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    const size_t count = size != 0 ? (size - 1) / sizeof(Change) : 0;
    if (size == 0 || random() % 8 == 0) {
        data[0] = static_cast<u8>(random());
    }
    size_t at = random() % (count + 1);
    if (1 + (at + 1) * sizeof(Change) > max_size) {
        at = 0;
    }
    const Change change = new_change(sound_of(data[0]), &random);
    memcpy(data + 1 + at * sizeof(Change), &change, sizeof(change));
    const size_t len = std::max(count, at + 1);
    return 1 + (len > 1 && random() % 4 == 0 ? len - 1 : len) * sizeof(Change);
}

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    static cw_cache *const cache = cw_cache_create(u64{1} << 20);
    cw_log_bad_quiet(true);
    const u8 first = size != 0 ? data[0] : 0;
    Sound &sound = sound_of(first);
    Changed changed(sound.bytes, &sound.file);
    for (size_t i = 1; i + sizeof(Change) <= std::min<size_t>(size, 1 + 32 * sizeof(Change));
         i += sizeof(Change)) {
        Change change;
        memcpy(&change, data + i, sizeof(change));
        changed.apply(change, sound.places);
    }
    View view(sound.file);
    const unsigned int how = first % 8u;
    if (how < 4) {
        attach(view.get(), how != 0, cache);
        return 0;
    }
    const LogSupers supers = read_log_supers(view.get());
    if (how < 6) {
        check(view.get(), supers, {});
    } else {
        rebuild(view.get(), supers, how == 6, {});
    }
    return 0;
}

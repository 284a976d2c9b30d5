// SPDX-License-Identifier: GPL-2.0
/*
 * COW logs. A log is megabytes long and full of checksums; so the input is
 * a list of changes to a sound one, and the checksums are made right again:
 * what is tried is what a log can say, not what a checksum keeps out.
 */
#include <algorithm>
#include <cstring>

#include "cow_check.h"
#include "image_writer.h"
#include "log_cow_writer.h"
#include "log_rebuild.h"

namespace {

using namespace cloopw;

constexpr u64 kDevice = u64{4} << 20;

struct Change {
    u16 place; /* 0, 1: a superblock; else a record */
    u16 at;
    u8 xor_with;
    u8 add;
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
        std::vector<u8> data(65536);
        for (u32 i = 0; i < 24; i++) {
            for (size_t k = 0; k < data.size(); k++) {
                data[k] = static_cast<u8>(i % 3 == 0 ? k * 2654435761u >> 13 : k / 97 + i);
            }
            u64 off = (i * 7 % 60) * 65536;
            (void)cow->format->write(cow, off, 65536, data.data());
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    static const std::vector<u8> sound = make_log();
    static const std::vector<u64> places = find_places(sound);
    std::vector<u8> file = sound;
    cw_log_bad_quiet(true);
    for (size_t i = 0; i + sizeof(Change) <= std::min<size_t>(size, 32 * sizeof(Change));
         i += sizeof(Change)) {
        Change change;
        memcpy(&change, data + i, sizeof(change));
        const size_t n = change.place % places.size();
        u8 *at = &file[places[n]];
        const size_t room = file.size() - places[n];
        u8 &byte = at[change.at % std::min<size_t>(room, n < 2 ? 2048 : 512)];
        byte = static_cast<u8>((byte ^ change.xor_with) + change.add);
        n < 2 ? fix_super(at) : fix_record(at, room);
    }
    Io io = Io::memory("log", file);
    OpenedCow cow(io.get());
    CheckOptions options;
    Findings findings;
    LogSupers supers = read_log_supers(io.get());
    if (cow.refusal().empty() && cow.is_log()) {
        (void)check_log(cow, options, findings);
        check_log_end(io.get(), cow.log(), supers.best(), findings);
    }
    LogRebuild rebuild(io.get(), kDevice, supers, options);
    rebuild.pages(nullptr, [](u32, const u64 *, LogRebuild::Basis) {});
    return 0;
}

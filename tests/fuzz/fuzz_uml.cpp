// SPDX-License-Identifier: GPL-2.0
/* User-mode Linux's COW files of all versions. */
#include <algorithm>
#include <array>

#include "fields.h"
#include "lib/check/cow_check.h"

namespace {

using namespace cloopw;
using cloopw::fuzz::Field;

/* Where numbers stand in versions 1 (either byte order), 2, 3 and 3 padded. */
std::vector<Field> fields_of(const u8 *file, size_t size) {
    const bool little = size >= 4 && file[0] == 0x4d;
    const u64 version = size >= 8 ? fuzz::get(file, {4, 4, !little}) : 0;
    std::vector<Field> fields = {{4, 4, true}};
    if (version == 1) {
        fields.insert(fields.end(), {{264, 4, !little}, {268, 8, !little}, {276, 4, !little}});
    } else if (version == 2) {
        fields.insert(fields.end(), {{4104, 4, true}, {4108, 8, true}, {4116, 4, true}});
    } else {
        fields.insert(fields.end(), {{8, 4, true},
                                     {12, 8, true},
                                     {20, 4, true},
                                     {24, 4, true},
                                     {28, 4, true},
                                     {16, 8, true},
                                     {32, 4, true}});
    }
    return fields;
}

void use(cw_cow *cow) {
    std::array<u8, 2 * CW_PAGE_SIZE> buf{};
    const u64 size = cow->size;
    for (u64 off : {u64{0}, size / 2, size - std::min<u64>(size, CW_PAGE_SIZE)}) {
        off = off / CW_PAGE_SIZE * CW_PAGE_SIZE;
        const u32 len = static_cast<u32>(std::min<u64>(size - off, buf.size()));
        u64 n = 0;
        u64 pos = 0;
        u32 part = 0;
        if (len == 0) {
            continue;
        }
        (void)cow->format->locate(cow, off, len, &pos);
        (void)cow->format->read(cow, off, len, buf.data(), &part);
        (void)cow->format->block_status(cow, off, size - off, &n);
        if (cow->writable && len % cow->granularity == 0) {
            (void)cow->format->write(cow, off, len, buf.data());
        }
    }
    if (size < u64{1} << 30) {
        (void)cow->format->flush(cow);
        cw_cow_stat stat;
        cow->format->stat(cow, &stat);
    }
}

void open_and_use(cw_io *io, bool writable, cw_cache *cache) {
    auto id = std::make_unique<cw_cow_identity>();
    if (cw_cow_identify(io, id.get(), nullptr) != 0 || id->format != &cw_cow_uml ||
        id->size > CW_IMAGE_MAX_SIZE) {
        return;
    }
    cw_cow_base base = {};
    base.size = cw_round_up(id->size, CW_SECTOR_SIZE);
    base.name = "base";
    cw_cow *cow = nullptr;
    if (cw_cow_open(io, cache, writable, &base, &cow, nullptr) == 0) {
        use(cow);
        cw_cow_close(cow);
    }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size,
                                          unsigned int seed) {
    fuzz::Random random(seed);
    return fuzz::mutate_fields(data, size, max_size, fields_of(data, size), &random);
}

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    static cw_cache *const cache = cw_cache_create(u64{1} << 20);
    cw_log_bad_quiet(true);
    Io io = Io::memory("uml", std::vector<u8>(data, data + size));
    {
        OpenedCow cow(io.get());
        if (!cow.refusal().empty() || cow.is_log()) {
            return 0;
        }
        CheckOptions options;
        Findings findings;
        (void)check_uml(cow, options, findings);
    }
    open_and_use(&io.get(), false, cache);
    open_and_use(&io.get(), true, cache);
    return 0;
}

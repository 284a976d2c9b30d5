// SPDX-License-Identifier: GPL-2.0
#include "fields.h"

#include <algorithm>

namespace cloopw::fuzz {

u64 lie(u64 truth, Random *random) {
    static constexpr u64 kLimits[] = {
        0,          1,          511,        512,        513,         4095,       4096,
        4097,       0x7fff,     0xffff,     0x10000,    0x7fffffff,  0x80000000, 0xffffffff,
        1ull << 32, 1ull << 40, 1ull << 44, 1ull << 45, 1ull << 47,  1ull << 48, 1ull << 53,
        1ull << 61, 1ull << 62, 1ull << 63, ~0ull,      ~0ull - 511, ~0ull >> 1,
    };
    switch ((*random)() % 8) {
        case 0:
        case 1:
            return kLimits[(*random)() % std::size(kLimits)];
        case 2:
            return kLimits[(*random)() % std::size(kLimits)] + (*random)() % 5 - 2;
        case 3:
            return truth ^ u64 { 1 } << (*random)() % 64;
        case 4:
            return truth * 2;
        case 5:
            return u64{(*random)()} << (*random)() % 40;
        default:
            return truth + (*random)() % 9 - 4;
    }
}

u64 get(const u8 *file, const Field &field) {
    u64 value = 0;
    for (u32 i = 0; i < field.bytes; i++) {
        const u32 byte = field.big ? i : field.bytes - 1 - i;
        value = value << 8 | file[field.at + byte];
    }
    return value;
}

void put(u8 *file, const Field &field, u64 value) {
    for (u32 i = 0; i < field.bytes; i++) {
        const u32 byte = field.big ? field.bytes - 1 - i : i;
        file[field.at + byte] = static_cast<u8>(value >> (8 * i));
    }
}

size_t mutate_fields(u8 *file, size_t size, size_t max_size, const std::vector<Field> &fields,
                     Random *random) {
    std::vector<Field> there;
    std::copy_if(fields.begin(), fields.end(), std::back_inserter(there),
                 [&](const Field &field) { return field.at + field.bytes <= size; });
    if (there.empty() || (*random)() % 16 == 0) {
        return LLVMFuzzerMutate(file, size, max_size);
    }
    for (u32 n = 1 + (*random)() % 3; n != 0; n--) {
        const Field &field = there[(*random)() % there.size()];
        u64 truth = get(file, field);
        if ((*random)() % 4 == 0) {
            truth = get(file, there[(*random)() % there.size()]);
        }
        put(file, field, lie(truth, random));
    }
    return (*random)() % 32 == 0 ? 1 + (*random)() % size : size;
}

}  // namespace cloopw::fuzz

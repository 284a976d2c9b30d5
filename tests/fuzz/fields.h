/* SPDX-License-Identifier: GPL-2.0 */
/* Mutators that know where numbers stand, and fix checksums. */
#ifndef CLOOPW_TESTS_FUZZ_FIELDS_H
#define CLOOPW_TESTS_FUZZ_FIELDS_H

#include <random>
#include <vector>

#include "lib/core.h"

extern "C" size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size);

namespace cloopw::fuzz {

using Random = std::minstd_rand;

/* A number in a file. */
struct Field {
    size_t at;
    u32 bytes; /* 1, 2, 4, 8 */
    bool big = false;
};

/* A number that is right, nearly right, at a limit, or nonsense. */
u64 lie(u64 truth, Random *random);

u64 get(const u8 *file, const Field &field);
void put(u8 *file, const Field &field, u64 value);

/*
 * Changes some of the fields that lie within size bytes, to lies or to the number of
 * another field. Sometimes cuts the file, or changes any byte of it. Returns the new size.
 */
size_t mutate_fields(u8 *file, size_t size, size_t max_size, const std::vector<Field> &fields,
                     Random *random);

}  // namespace cloopw::fuzz

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps large blocks of memory that the engine frees, for the next input. The address
 * sanitizer would map and unmap each block again, which took most of the time. A kept block
 * is poisoned, so that a use of it is found all the same. The red zones around it are those
 * of the first malloc().
 */
#include <sanitizer/asan_interface.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "lib/core.h"

namespace {

constexpr size_t kLarge = size_t{128} << 10;

/* Never destroyed, because its blocks would count as leaks. */
auto &kept = *new std::map<size_t, std::vector<void *>>; /* by size */
auto &large = *new std::map<void *, size_t>;             /* all there are */

void *take(size_t size) {
    auto &blocks = kept[size];
    if (blocks.empty()) {
        void *p = malloc(size);
        if (p != nullptr) {
            large[p] = size;
        }
        return p;
    }
    void *p = blocks.back();
    blocks.pop_back();
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return p;
}

}  // namespace

extern "C" {

void *__real_cw_alloc(size_t size);
void *__real_cw_alloc_raw(size_t size);
void __real_cw_free(void *p);
void *__wrap_cw_alloc(size_t size);
void *__wrap_cw_alloc_raw(size_t size);
void __wrap_cw_free(void *p);

void *__wrap_cw_alloc(size_t size) {
    if (size < kLarge) {
        return __real_cw_alloc(size);
    }
    void *p = take(size);
    if (p != nullptr) {
        memset(p, 0, size);
    }
    return p;
}

void *__wrap_cw_alloc_raw(size_t size) {
    return size < kLarge ? __real_cw_alloc_raw(size) : take(size);
}

void __wrap_cw_free(void *p) {
    const auto it = large.find(p);
    if (it == large.end()) {
        __real_cw_free(p);
        return;
    }
    ASAN_POISON_MEMORY_REGION(p, it->second);
    kept[it->second].push_back(p);
}
}

/* SPDX-License-Identifier: GPL-2.0 */
/* Bytes to test with. Same seed, same bytes. */
#ifndef CLOOPW_TESTS_DATA_H
#define CLOOPW_TESTS_DATA_H

#include <random>

#include "support/test_io.h"

namespace cloopw::test {

/* Does not shrink. */
inline Bytes random_bytes(size_t len, unsigned int seed = 1) {
    std::mt19937 random(seed);
    Bytes bytes(len);
    for (u8 &byte : bytes) {
        byte = static_cast<u8>(random());
    }
    return bytes;
}

/* Shrinks to about a third; differs at any two offsets and with the seed. */
inline Bytes text_bytes(size_t len, unsigned int seed = 1) {
    static const char *const kWords[] = {"compressed ", "writable ", "loop ",  "device ",
                                         "sector ",     "layer ",    "image ", "\n"};
    std::mt19937 random(seed);
    Bytes bytes;
    bytes.reserve(len + 16);
    while (bytes.size() < len) {
        const std::string word = kWords[random() % 8];
        bytes.insert(bytes.end(), word.begin(), word.end());
    }
    bytes.resize(len);
    return bytes;
}

inline Bytes bytes_from(std::string_view text) { return Bytes(text.begin(), text.end()); }

inline Bytes slice(const Bytes &bytes, size_t off, size_t len) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(off);
    return Bytes(begin, begin + static_cast<std::ptrdiff_t>(len));
}

}  // namespace cloopw::test

#endif

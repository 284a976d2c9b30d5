// SPDX-License-Identifier: GPL-2.0
/*
 * In place of libFuzzer, for compilers without it: runs a fuzzer's target on each file of a
 * directory, and on some changes of each.
 */
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "fields.h"

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(u8 *data, size_t size,
                                                                size_t max_size, unsigned int seed);

namespace {

constexpr size_t kLargest = 65536; /* bytes */
constexpr unsigned int kChanges = 5;

std::mt19937 random_numbers;

std::vector<u8> changed(std::vector<u8> input, unsigned int seed) {
    random_numbers.seed(seed);
    size_t size = input.size();
    input.resize(std::max(size, kLargest));
    if (LLVMFuzzerCustomMutator != nullptr) {
        size = LLVMFuzzerCustomMutator(input.data(), size, input.size(), seed);
    } else {
        size = LLVMFuzzerMutate(input.data(), size, input.size());
    }
    input.resize(size);
    return input;
}

void run(const std::vector<u8> &input) { (void)LLVMFuzzerTestOneInput(input.data(), input.size()); }

}  // namespace

/* libFuzzer's own way to change bytes, for targets that ask for it. */
extern "C" size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size) {
    if (size < max_size && random_numbers() % 4 == 0) {
        data[size++] = static_cast<u8>(random_numbers());
    }
    for (size_t i = 0; size != 0 && i < 1 + random_numbers() % 4; i++) {
        data[random_numbers() % size] = static_cast<u8>(random_numbers());
    }
    return size;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    size_t files = 0;
    for (const auto &entry : std::filesystem::directory_iterator(argv[1])) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::vector<u8> input{std::istreambuf_iterator<char>(file), {}};
        run(input);
        for (unsigned int seed = 0; seed < kChanges; seed++) {
            run(changed(input, seed));
        }
        files++;
    }
    printf("%zu files, and %u changes of each\n", files, kChanges);
    return files != 0 ? 0 : 1;
}

// SPDX-License-Identifier: GPL-2.0
#include "block_order.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <string_view>
#include <unordered_set>

namespace cloopw {

namespace {

constexpr std::string_view kSpace = " \t\r";

/* Without a comment and without space around it. */
std::string_view strip(std::string_view line) {
    line = line.substr(0, line.find('#'));
    size_t begin = line.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) {
        return {};
    }
    return line.substr(begin, line.find_last_not_of(kSpace) - begin + 1);
}

u64 parse_number(std::string_view text, const std::string &where, u64 blocks) {
    u64 number = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc() || end != text.data() + text.size()) {
        throw Error(where + ": '" + std::string(text) + "' is no block number", EINVAL);
    }
    if (number >= blocks) {
        throw Error(where + ": there is no block " + std::to_string(number) + ", the last one is " +
                        std::to_string(blocks - 1) +
                        "; was the list made for this image and block size?",
                    EINVAL);
    }
    return number;
}

}  // namespace

BlockOrder BlockOrder::read(const std::string &path, u64 blocks) {
    std::ifstream file(path);
    if (!file) {
        throw io_error(path, "cannot be opened", errno);
    }
    BlockOrder order;
    std::unordered_set<u64> seen;
    std::string line;
    for (u64 n = 1; std::getline(file, line); n++) {
        std::string_view text = strip(line);
        if (text.empty()) {
            continue;
        }
        u64 number = parse_number(text, path + ":" + std::to_string(n), blocks);
        if (seen.insert(number).second) {
            order.first_.push_back(number);
        }
    }
    if (file.bad()) {
        throw io_error(path, "cannot be read", errno);
    }
    order.sorted_ = order.first_;
    std::sort(order.sorted_.begin(), order.sorted_.end());
    return order;
}

u64 BlockOrder::next() {
    if (taken_ < first_.size()) {
        return first_[taken_++];
    }
    while (passed_ < sorted_.size() && sorted_[passed_] == next_) {
        passed_++;
        next_++;
    }
    return next_++;
}

}  // namespace cloopw

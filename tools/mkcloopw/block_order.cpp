// SPDX-License-Identifier: GPL-2.0
#include "block_order.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <string_view>

#include "lib/image/scratch_file.h"

namespace cloopw {

namespace {

constexpr size_t kLineLen = 4096; /* a number and a comment */
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

/* Returns the byte's place in memory, valid until the next call. */
u8 *BlockOrder::PagedFile::at(u64 off, bool change) {
    u64 begin = off / kPageLen * kPageLen;
    if (begin != off_) {
        if (changed_) {
            io_.write(page_.data(), kPageLen, off_);
            end_ = cw_max(end_, off_ + kPageLen);
        }
        std::fill(page_.begin(), page_.end(), 0);
        if (begin < end_) {
            io_.read(page_.data(), kPageLen, begin);
        }
        off_ = begin;
        changed_ = false;
    }
    changed_ = changed_ || change;
    return &page_[off - begin];
}

/* False: it was listed before. */
bool BlockOrder::set_listed(u64 number) {
    u8 &bits = *set_->at(number / 8, true);
    u8 bit = static_cast<u8>(1U << number % 8);
    bool is_new = (bits & bit) == 0;
    bits |= bit;
    return is_new;
}

bool BlockOrder::is_listed(u64 number) {
    return listed_ != 0 && (*set_->at(number / 8, false) >> number % 8 & 1) != 0;
}

BlockOrder BlockOrder::read(const std::string &path, u64 blocks) {
    std::ifstream file(path);
    if (!file) {
        throw io_error(path, "cannot be opened", errno);
    }
    BlockOrder order;
    order.list_.emplace(open_scratch_file("the order of blocks"));
    order.set_.emplace(open_scratch_file("the order of blocks"));
    std::array<char, kLineLen> line = {};
    for (u64 n = 1; file.getline(line.data(), line.size()); n++) {
        std::string_view text = strip(line.data());
        if (text.empty()) {
            continue;
        }
        u64 number = parse_number(text, path + ":" + std::to_string(n), blocks);
        if (order.set_listed(number)) {
            u8 *at = order.list_->at(order.listed_++ * sizeof(number), true);
            std::memcpy(at, &number, sizeof(number));
        }
    }
    if (file.bad()) {
        throw io_error(path, "cannot be read", errno);
    }
    if (!file.eof()) {
        throw Error(path + ": has a line of more than " + std::to_string(kLineLen - 1) +
                        " bytes; name a list of block numbers",
                    EINVAL);
    }
    return order;
}

u64 BlockOrder::next() {
    if (taken_ < listed_) {
        u64 number = 0;
        std::memcpy(&number, list_->at(taken_++ * sizeof(number), false), sizeof(number));
        return number;
    }
    while (is_listed(next_)) {
        next_++;
    }
    return next_++;
}

}  // namespace cloopw

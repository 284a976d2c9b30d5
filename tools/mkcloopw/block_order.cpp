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

std::optional<u64> number_in(std::string_view text) {
    u64 number = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc() || end != text.data() + text.size()) {
        return {};
    }
    return number;
}

/* "# blocks of 65536 bytes..." */
std::optional<u64> unit_in(std::string_view line) {
    constexpr std::string_view kBefore = "# blocks of ";
    constexpr std::string_view kAfter = " bytes";
    const size_t end = line.find(kAfter);
    if (!line.starts_with(kBefore) || end == std::string_view::npos) {
        return {};
    }
    return number_in(line.substr(kBefore.size(), end - kBefore.size()));
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

BlockOrder::List::List()
    : numbers_(open_scratch_file("the order of blocks")),
      set_(open_scratch_file("the order of blocks")) {}

bool BlockOrder::List::add(u64 number) {
    u8 &bits = *set_.at(number / 8, true);
    const u8 bit = static_cast<u8>(1U << number % 8);
    if ((bits & bit) != 0) {
        return false;
    }
    bits |= bit;
    std::memcpy(numbers_.at(size_++ * sizeof(number), true), &number, sizeof(number));
    return true;
}

bool BlockOrder::List::has(u64 number) {
    return (*set_.at(number / 8, false) >> number % 8 & 1) != 0;
}

u64 BlockOrder::List::at(u64 n) {
    u64 number = 0;
    std::memcpy(&number, numbers_.at(n * sizeof(number), false), sizeof(number));
    return number;
}

/* Reads one list, line by line. */
class BlockOrder::Reader {
public:
    Reader(const std::string &path, u64 blocks, u32 block_size)
        : path_(path), blocks_(blocks), block_size_(block_size), unit_(block_size) {}

    List read() {
        std::ifstream file(path_);
        if (!file) {
            throw io_error(path_, "cannot be opened", errno);
        }
        std::array<char, kLineLen> line = {};
        while (file.getline(line.data(), line.size())) {
            line_++;
            take(line.data());
        }
        if (file.bad()) {
            throw io_error(path_, "cannot be read", errno);
        }
        if (!file.eof()) {
            throw Error(path_ + ": has a line of more than " + std::to_string(kLineLen - 1) +
                            " bytes; name a list of block numbers",
                        EINVAL);
        }
        return std::move(list_);
    }

private:
    void take(std::string_view line) {
        if (std::optional<u64> unit = unit_in(line)) {
            set_unit(*unit);
        }
        std::string_view text = strip(line);
        if (text.empty()) {
            return;
        }
        std::optional<u64> number = number_in(text);
        if (!number) {
            refuse("'" + std::string(text) + "' is no block number");
        }
        add(*number);
    }

    void set_unit(u64 unit) {
        if (!cw_is_power_of_2(unit) || unit < CW_IMAGE_MIN_BLOCK || unit > CW_IMAGE_MAX_BLOCK) {
            refuse("no image has blocks of " + std::to_string(unit) + " bytes");
        }
        unit_ = unit;
    }

    /* All blocks of the image that the list's block overlaps. */
    void add(u64 number) {
        const u64 last = (blocks_ - 1) / cw_max(1, unit_ / block_size_);
        const u64 parts = cw_max(1, block_size_ / unit_);
        if (number / parts > last) {
            refuse("there is no block " + std::to_string(number) + ", the last one is " +
                   std::to_string(last * parts + parts - 1) +
                   "; was the list made for this image and block size?");
        }
        const u64 first = number * unit_ / block_size_;
        const u64 end = cw_min(blocks_, first + cw_max(1, unit_ / block_size_));
        for (u64 block = first; block < end; block++) {
            list_.add(block);
        }
    }

    [[noreturn]] void refuse(const std::string &why) const {
        throw Error(path_ + ":" + std::to_string(line_) + ": " + why, EINVAL);
    }

    const std::string &path_;
    const u64 blocks_;
    const u64 block_size_;
    u64 unit_; /* bytes of a block of the list */
    u64 line_ = 0;
    List list_;
};

BlockOrder::List BlockOrder::merge(std::vector<List> &lists) {
    List merged;
    u64 longest = 0;
    for (const List &list : lists) {
        longest = std::max(longest, list.size());
    }
    for (size_t share = lists.size(); share > 0; share--) {
        for (u64 n = 0; n < longest; n++) {
            for (List &list : lists) {
                const u64 number = n < list.size() ? list.at(n) : 0;
                const auto has = [&](List &other) { return other.has(number); };
                if (n < list.size() &&
                    std::count_if(lists.begin(), lists.end(), has) >= static_cast<s64>(share)) {
                    merged.add(number);
                }
            }
        }
    }
    return merged;
}

BlockOrder BlockOrder::read(const std::vector<std::string> &paths, u64 blocks, u32 block_size) {
    std::vector<List> lists;
    lists.reserve(paths.size());
    for (const std::string &path : paths) {
        lists.push_back(Reader(path, blocks, block_size).read());
    }
    BlockOrder order;
    if (!lists.empty()) {
        order.list_ = lists.size() == 1 ? std::move(lists.front()) : merge(lists);
        order.listed_ = order.list_->size();
    }
    return order;
}

u64 BlockOrder::next() {
    if (taken_ < listed_) {
        return list_->at(taken_++);
    }
    while (list_ && list_->has(next_)) {
        next_++;
    }
    return next_++;
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace cloopw {

namespace {

constexpr int kUuidLen = 16;

bool hyphen_before(int byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

void print_json(std::ostream &out, const Json &json) {
    out << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

void Table::add(std::vector<std::string> cells) {
    cells.resize(columns_.size());
    rows_.push_back(std::move(cells));
}

void Table::print(std::ostream &out, bool titles) const {
    std::vector<size_t> width;
    for (size_t i = 0; i < columns_.size(); i++) {
        size_t w = titles ? columns_[i].title.size() : 0;
        for (const auto &row : rows_) {
            w = std::max(w, row[i].size());
        }
        width.push_back(w);
    }
    auto print_row = [&](auto &&cell) {
        std::string line;
        for (size_t i = 0; i < columns_.size(); i++) {
            std::string pad(width[i] - cell(i).size(), ' ');
            line += (i ? "  " : "");
            line += columns_[i].align == kRight ? pad + cell(i) : cell(i) + pad;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out << line << "\n";
    };
    if (titles) {
        print_row([&](size_t i) -> const std::string & { return columns_[i].title; });
    }
    for (const auto &row : rows_) {
        print_row([&](size_t i) -> const std::string & { return row[i]; });
    }
}

std::string format_uuid(const uint8_t *uuid) {
    std::string text;
    if (std::all_of(uuid, uuid + kUuidLen, [](uint8_t b) { return b == 0; })) {
        return text;
    }
    for (int i = 0; i < kUuidLen; i++) {
        if (hyphen_before(i)) {
            text += '-';
        }
        text += fmt::format("{:02x}", uuid[i]);
    }
    return text;
}

bool parse_uuid(std::string_view text, uint8_t *uuid) {
    if (text.size() != 36) {
        return false;
    }
    size_t at = 0;
    for (int i = 0; i < kUuidLen; i++) {
        if (hyphen_before(i) && text[at++] != '-') {
            return false;
        }
        int high = hex_digit(text[at]);
        int low = hex_digit(text[at + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        uuid[i] = static_cast<uint8_t>(high << 4 | low);
        at += 2;
    }
    return true;
}

}  // namespace cloopw

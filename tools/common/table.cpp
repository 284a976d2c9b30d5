// SPDX-License-Identifier: GPL-2.0
#include "table.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace cloopw {

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

}  // namespace cloopw

/* SPDX-License-Identifier: GPL-2.0 */
/* Plain tables and JSON on standard output. */
#ifndef CLOOPW_TOOLS_TABLE_H
#define CLOOPW_TOOLS_TABLE_H

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace cloopw {

/* Keeps the order in which keys are set. Its user includes <nlohmann/json.hpp>. */
using Json = nlohmann::ordered_json;

/* Indented, with a newline. Text that is not UTF-8 is replaced, not refused. */
void print_json(std::ostream &out, const Json &json);

/*
 * Columns are as wide as their widest cell, with two spaces between, and no trailing space.
 */
class Table {
public:
    enum Align { kLeft, kRight };
    struct Column {
        std::string title;
        Align align = kLeft;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

    /* Missing cells are empty, surplus ones are dropped. */
    void add(std::vector<std::string> cells);
    bool empty() const { return rows_.empty(); }
    void print(std::ostream &out, bool titles = true) const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace cloopw

#endif

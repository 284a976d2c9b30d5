// SPDX-License-Identifier: GPL-2.0
#include "list.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "lib/escape.h"
#include "lib/octal.h"
#include "lib/size.h"
#include "tools/common/error.h"
#include "tools/common/table.h"

namespace cloopw {
namespace {

enum class Kind { kText, kBytes, kCount, kSwitch, kRatio, kLines, kWords };

struct Column {
    const char *key; /* in JSON; in capitals the heading */
    Kind kind;
    /* kLines: of each layer; else below /sys/block/cloopwN/cloopw; nullptr: see value_of() */
    const char *attribute;
    bool usual; /* shown without -O */
};

constexpr std::array kColumns = {
    Column{"name", Kind::kText, nullptr, true},
    Column{"size", Kind::kBytes, "size", true},
    Column{"ro", Kind::kSwitch, "read_only", true},
    Column{"image", Kind::kText, "image", true},
    Column{"format", Kind::kText, "image_format", true},
    Column{"cow", Kind::kLines, "path", true},
    Column{"ratio", Kind::kRatio, "ratio", true},
    Column{"cow_live", Kind::kBytes, "cow_live_bytes", true},
    Column{"cow_dead", Kind::kBytes, "cow_dead_bytes", true},
    Column{"cow_total", Kind::kBytes, "cow_total_bytes", true},
    Column{"cow_ratio", Kind::kRatio, "cow_ratio", true},
    Column{"dio", Kind::kSwitch, "dio", true},
    Column{"state", Kind::kText, "state", true},
    Column{"cow_format", Kind::kLines, "format", false},
    Column{"offset", Kind::kBytes, "offset", false},
    Column{"sizelimit", Kind::kBytes, "sizelimit", false},
    Column{"block_size", Kind::kBytes, "block_size", false},
    Column{"stored", Kind::kBytes, "stored_bytes", false},
    Column{"cow_limit", Kind::kBytes, "cow_limit", false},
    Column{"cow_available", Kind::kBytes, "cow_available", false},
    Column{"low_space", Kind::kText, "low_space", false},
    Column{"cache", Kind::kBytes, "cache_bytes", false},
    Column{"cache_limit", Kind::kBytes, "cache_limit", false},
    Column{"cache_hits", Kind::kCount, "cache_hits", false},
    Column{"cache_misses", Kind::kCount, "cache_misses", false},
    Column{"net_fetched", Kind::kBytes, "net_fetched_bytes", false},
    Column{"net_saved", Kind::kBytes, "net_saved_bytes", false},
    Column{"read_errors", Kind::kCount, "read_errors", false},
    Column{"write_errors", Kind::kCount, "write_errors", false},
    Column{"codecs", Kind::kWords, "codecs", false},
    Column{"label", Kind::kText, "label", false},
    Column{"uuid", Kind::kText, "uuid", false},
    Column{"maj_min", Kind::kText, nullptr, false},
    Column{"back_maj_min", Kind::kText, "image_dev", false},
    Column{"back_ino", Kind::kCount, "image_ino", false},
    Column{"partscan", Kind::kSwitch, "partscan", false},
    Column{"drop_behind", Kind::kSwitch, "drop_behind", false},
    Column{"log_sec", Kind::kBytes, nullptr, false},
};

std::string heading(const Column &column) {
    std::string name = column.key;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(toupper(c)); });
    return name;
}

/* "NAME SIZE ..." */
std::string headings() {
    Names names;
    for (const Column &column : kColumns) {
        names.push_back(heading(column));
    }
    return joined(names, " ");
}

const Column *column_by_name(std::string name) {
    for (char &c : name) {
        c = c == '-' || c == ':' ? '_' : static_cast<char>(tolower(static_cast<unsigned char>(c)));
    }
    if (name == "back_file") {
        name = "image"; /* losetup's name for it */
    }
    auto found = std::find_if(kColumns.begin(), kColumns.end(),
                              [&](const Column &column) { return name == column.key; });
    return found == kColumns.end() ? nullptr : &*found;
}

std::vector<const Column *> chosen_columns(const ListOptions &options) {
    std::vector<const Column *> chosen;
    if (options.columns.empty()) {
        for (const Column &column : kColumns) {
            if (column.usual || options.all_columns) {
                chosen.push_back(&column);
            }
        }
        return chosen;
    }
    std::istringstream names(options.columns);
    for (std::string name; std::getline(names, name, ',');) {
        const Column *column = column_by_name(name);
        if (column == nullptr) {
            throw UsageError("-O: no column '" + name + "', there are: " + headings());
        }
        chosen.push_back(column);
    }
    return chosen;
}

/* The attribute as the driver writes it; nullopt when it has nothing to say. */
std::optional<std::string> value_of(Driver &driver, const DeviceRef &device, const Column &column) {
    std::string text;
    if (column.kind == Kind::kLines) {
        for (const std::string &line : driver.layers(device, column.attribute)) {
            text.append(text.empty() ? "" : "\n").append(line);
        }
    } else if (column.attribute != nullptr) {
        text = driver.attribute(device, column.attribute);
    } else if (column.key == std::string("name")) {
        text = device.path;
    } else {
        const bool sector = column.key == std::string("log_sec");
        text = text_of(driver.kernel().sys() + "/block/" + device.name +
                       (sector ? "/queue/logical_block_size" : "/dev"));
    }
    if (text.empty()) {
        return std::nullopt;
    }
    return text;
}

template <typename Number>
std::optional<Number> number(const std::string &text) {
    Number value{};
    const char *end = text.data() + text.size();
    auto [rest, code] = std::from_chars(text.data(), end, value);
    if (code != std::errc() || rest != end) {
        return std::nullopt;
    }
    return value;
}

std::vector<std::string> split(const std::string &text, char separator) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, separator);) {
        if (!part.empty()) {
            parts.push_back(part);
        }
    }
    return parts;
}

/* JSON is in UTF-8: a name that is not is shown as in a table. */
std::string json_text(const std::string &name) {
    try {
        (void)Json(name).dump();
        return name;
    } catch (const Json::exception &) {
        return escaped(name);
    }
}

/* Numbers as numbers; null for what is not known. */
Json json_of(const Column &column, const std::optional<std::string> &value) {
    if (column.kind == Kind::kLines) {
        Json names = Json::array();
        for (const std::string &line : split(value.value_or(""), '\n')) {
            names.push_back(json_text(from_octal(line)));
        }
        return names;
    }
    if (column.kind == Kind::kWords) {
        return split(value.value_or(""), ' ');
    }
    if (!value) {
        return nullptr;
    }
    if (column.kind == Kind::kBytes || column.kind == Kind::kCount) {
        auto count = number<uint64_t>(*value);
        return count ? Json(*count) : Json(nullptr);
    }
    if (column.kind == Kind::kSwitch) {
        return *value != "0";
    }
    if (column.kind == Kind::kRatio) {
        auto ratio = number<double>(*value);
        return ratio && std::isfinite(*ratio) ? Json(*ratio) : Json(nullptr);
    }
    return json_text(from_octal(*value));
}

/* A name, and what there is of others, without what would move a cursor. */
std::string shown(const std::string &text) { return escaped(from_octal(text)); }

/* One line for a table; exact: as it is, in bytes. */
std::string cell_of(const Column &column, const std::optional<std::string> &value, bool exact) {
    if (!value) {
        return "";
    }
    std::string text = *value;
    if (column.kind == Kind::kLines) {
        std::replace(text.begin(), text.end(), '\n', ',');
    }
    if (column.kind == Kind::kBytes && !exact) {
        auto bytes = number<uint64_t>(text);
        return bytes ? format_size(*bytes) : text;
    }
    return exact ? from_octal(text) : shown(text);
}

/* losetup --raw does the same: blanks and what is no text become \xNN. */
std::string raw_cell(const std::string &text) {
    const bool is_text = escaped(text) == text;
    std::string out;
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (byte <= ' ' || byte == '\\' || (byte >= 0x7f && !is_text)) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    return out;
}

void print_raw(std::ostream &out, const std::vector<std::string> &cells) {
    for (size_t i = 0; i < cells.size(); i++) {
        out << (i == 0 ? "" : " ") << raw_cell(cells[i]);
    }
    out << '\n';
}

void list_json(Driver &driver, const std::vector<DeviceRef> &devices,
               const std::vector<const Column *> &columns, std::ostream &out) {
    Json rows = Json::array();
    for (const DeviceRef &device : devices) {
        Json row = Json::object();
        for (const Column *column : columns) {
            row[column->key] = json_of(*column, value_of(driver, device, *column));
        }
        rows.push_back(std::move(row));
    }
    print_json(out, Json{{"cloopwdevices", std::move(rows)}});
}

std::vector<std::string> row_of(Driver &driver, const DeviceRef &device,
                                const std::vector<const Column *> &columns, bool exact) {
    std::vector<std::string> cells;
    cells.reserve(columns.size());
    for (const Column *column : columns) {
        cells.push_back(cell_of(*column, value_of(driver, device, *column), exact));
    }
    return cells;
}

}  // namespace

Names column_keys() {
    Names keys;
    for (const Column &column : kColumns) {
        keys.emplace_back(column.key);
    }
    return keys;
}

void list(Driver &driver, const std::vector<DeviceRef> &devices, const ListOptions &options,
          std::ostream &out) {
    std::vector<const Column *> columns = chosen_columns(options);
    if (options.json) {
        list_json(driver, devices, columns, out);
        return;
    }
    if (devices.empty()) {
        return; /* no headings over nothing, like losetup */
    }
    std::vector<Table::Column> titles;
    std::vector<std::string> names;
    for (const Column *column : columns) {
        bool numeric = column->kind != Kind::kText && column->kind != Kind::kLines &&
                       column->kind != Kind::kWords;
        titles.push_back({heading(*column), numeric ? Table::kRight : Table::kLeft});
        names.push_back(heading(*column));
    }
    Table table(titles);
    if (options.raw && options.headings) {
        print_raw(out, names);
    }
    for (const DeviceRef &device : devices) {
        std::vector<std::string> cells = row_of(driver, device, columns, options.raw);
        if (options.raw) {
            print_raw(out, cells);
        } else {
            table.add(std::move(cells));
        }
    }
    if (!options.raw) {
        table.print(out, options.headings);
    }
}

void print_status(Driver &driver, const DeviceRef &device, std::ostream &out) {
    constexpr uint64_t kPlain = 1024; /* below, bytes need no unit */
    for (const Column &column : kColumns) {
        auto value = value_of(driver, device, column);
        if (!value) {
            continue;
        }
        if (column.kind == Kind::kLines) {
            for (const std::string &line : split(*value, '\n')) {
                out << column.key << ": " << shown(line) << '\n';
            }
            continue;
        }
        out << column.key << ": " << shown(*value);
        auto bytes = number<uint64_t>(*value);
        if (column.kind == Kind::kBytes && bytes.value_or(0) >= kPlain) {
            out << " (" << format_size(*bytes) << ")";
        }
        out << '\n';
    }
}

std::vector<DeviceRef> associated(Driver &driver, const std::vector<DeviceRef> &devices,
                                  const std::string &file) {
    struct stat wanted = {};
    bool there = stat(file.c_str(), &wanted) == 0;
    auto is_file = [&](const std::string &path) {
        struct stat st = {};
        if (there && stat(path.c_str(), &st) == 0) {
            return st.st_dev == wanted.st_dev && st.st_ino == wanted.st_ino;
        }
        return path == file;
    };
    std::vector<DeviceRef> found;
    for (const DeviceRef &device : devices) {
        bool match = is_file(from_octal(driver.attribute(device, "image")));
        for (const std::string &cow : driver.layers(device, "path")) {
            match = match || is_file(from_octal(cow));
        }
        auto status = there && !match ? driver.status(device) : std::nullopt;
        if (status) { /* the image's file may have another name by now */
            match = status->image_dev == wanted.st_dev && status->image_ino == wanted.st_ino;
        }
        if (match) {
            found.push_back(device);
        }
    }
    return found;
}

}  // namespace cloopw

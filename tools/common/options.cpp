// SPDX-License-Identifier: GPL-2.0
#include "options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <sstream>
#include <utility>

#include "error.h"
#include "tool.h"

namespace cloopw {
namespace {

constexpr size_t kHelpColumn = 27;

/* "  -c, --codec NAME         none, zlib, lz4" */
std::string help_line(const Option &option) {
    const Names names = names_of(option);
    std::string line(names.front().starts_with("--") ? 6 : 2, ' ');
    line += joined(names);
    if (!option.argument.empty()) {
        line.append(option.argument.starts_with('[') ? "" : " ").append(option.argument);
    }
    line += std::string(line.size() < kHelpColumn ? kHelpColumn - line.size() : 1, ' ');
    std::string help = option.help;
    const size_t place = help.find("{}");
    if (place != std::string::npos) {
        help.replace(place, 2, joined(option.values.words));
    }
    return line + help + "\n";
}

/* CLI11's own formatter adds empty lines. */
class ScreenHelp : public CLI::Formatter {
public:
    explicit ScreenHelp(std::string text) : text_(std::move(text)) {}
    std::string make_help(const CLI::App *, std::string, CLI::AppFormatMode) const override {
        return text_;
    }

private:
    std::string text_;
};

}  // namespace

Values any_file() { return {.kind = Values::Kind::kFile}; }
Values any_directory() { return {.kind = Values::Kind::kDirectory}; }
Values one_of(const std::string &noun, Names words) {
    return {Values::Kind::kOneOf, std::move(words), noun};
}
Values suggest(Names words) { return {Values::Kind::kSuggest, std::move(words), ""}; }
Values list_of(const std::string &noun, Names words) {
    return {Values::Kind::kList, std::move(words), noun};
}
Values devices() { return {.kind = Values::Kind::kDevices}; }

std::vector<const Option *> OptionTable::all() const {
    std::vector<const Option *> options;
    for (const Group &group : groups) {
        for (const Option &option : group.options) {
            options.push_back(&option);
        }
    }
    return options;
}

Names names_of(const Option &option) {
    std::istringstream in(option.names);
    Names names;
    for (std::string name; std::getline(in, name, ',');) {
        names.push_back(name);
    }
    return names;
}

std::string help_of(const OptionTable &table) {
    std::string text = table.usage;
    for (const OptionTable::Group &group : table.groups) {
        text += group.heading + ":\n";
        for (const Option &option : group.options) {
            text += help_line(option);
        }
    }
    return text + table.notes;
}

void declare(CLI::App &app, const OptionTable &table, const std::function<std::string()> &more) {
    app.formatter(std::make_shared<ScreenHelp>(help_of(table)));
    setup_app(app, more);
    for (const Option *option : table.all()) {
        if (!option->add) {
            continue;
        }
        CLI::Option *added = option->add(app, option->names);
        if (*option->group != '\0') { /* CLI11 hides an option of the group "" */
            added->group(option->group);
        }
    }
}

void check_choices(const CLI::App &app, const OptionTable &table) {
    for (const Option *option : table.all()) {
        if (option->values.kind != Values::Kind::kOneOf) {
            continue;
        }
        const std::string name = names_of(*option).back();
        const Names &words = option->values.words;
        for (const std::string &value : app.get_option(name)->results()) {
            if (std::find(words.begin(), words.end(), value) == words.end()) {
                throw UsageError(fmt::format("{} {}: there is no such {}; know {}", name, value,
                                             option->values.noun, joined(words)));
            }
        }
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "script.h"

#include <regex>

#include "lib/error.h"

namespace cloopw {
namespace {

Values values_of(const std::string &argument) {
    if (argument == "FILE") {
        return any_file();
    }
    return argument == "DIR" ? any_directory() : Values{};
}

}  // namespace

OptionTable table_of_help(const std::string &tool, std::istream &help) {
    static const std::regex option_line(
        R"( +(?:(-[a-zA-Z]), )?(--[a-z-]+)(?: ([A-Z]+)|(\[=[A-Z]+\]))?(?: +(.*))?)");
    OptionTable table = {tool, "", {{"", {}}}, ""};
    std::smatch part;
    for (std::string line; std::getline(help, line);) {
        if (!std::regex_match(line, part, option_line)) {
            continue;
        }
        Option option;
        option.names = (part[1].matched ? part[1].str() + "," : "") + part[2].str();
        option.argument = part[3].str() + part[4].str();
        option.help = part[5].str();
        option.values = values_of(option.argument);
        option.again = option.help.find("may be repeated") != std::string::npos;
        table.groups[0].options.push_back(option);
    }
    if (table.groups[0].options.empty()) {
        throw Error(tool + ": its --help has no option");
    }
    return table;
}

}  // namespace cloopw

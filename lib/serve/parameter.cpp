// SPDX-License-Identifier: GPL-2.0
#include "parameter.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "lib/error.h"

namespace cloopw {
namespace {

constexpr size_t kHelpColumn = 22;

std::string help_of(const Parameter &parameter, const std::string &indent) {
    std::string help = parameter.help;
    const size_t place = help.find("{}");
    if (place != std::string::npos) {
        help.replace(place, 2, joined(parameter.words));
    }
    std::string left = parameter.key + "=" + parameter.argument;
    std::string text;
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line); left.clear()) {
        left.resize(std::max(left.size() + 1, kHelpColumn), ' ');
        text.append(indent).append(left).append(line).append("\n");
    }
    return text;
}

}  // namespace

const Parameter *find_parameter(const Parameters &parameters, std::string_view key) {
    const auto found = std::ranges::find(parameters, key, &Parameter::key);
    return found == parameters.end() ? nullptr : &*found;
}

std::string help_of(const Parameters &parameters, const std::string &indent) {
    std::string text;
    for (const Parameter &parameter : parameters) {
        text += help_of(parameter, indent);
    }
    return text;
}

uint32_t parse_number(const std::string &value, std::string_view key, uint32_t most) {
    uint32_t number = 0;
    const char *end = value.data() + value.size();
    auto [rest, code] = std::from_chars(value.data(), end, number);
    if (code != std::errc() || rest != end || number > most) {
        throw UsageError(std::string(key) + "=" + value + ": is not a number up to " +
                         std::to_string(most));
    }
    return number;
}

}  // namespace cloopw

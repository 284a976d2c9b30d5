/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parameters KEY=VALUE of a program as one table. The parser and --help come from it,
 * and at build time the heads of the manual: tools/pages.
 */
#ifndef CLOOPW_SERVE_PARAMETER_H
#define CLOOPW_SERVE_PARAMETER_H

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/names.h"

namespace cloopw {

struct Parameter {
    std::string key;
    std::string argument; /* "FILE" */
    std::string help;     /* lines; {} becomes the words */
    /* Throws Error for a value that is none. */
    std::function<void(const std::string &value)> set;
    Names words = {};
    bool is_path = false; /* the value is a file's name or a URL */
};

using Parameters = std::vector<Parameter>;

/* nullptr: there is none of this key. */
const Parameter *find_parameter(const Parameters &parameters, std::string_view key);

/* A line for each parameter, and one for each further line of its help. */
std::string help_of(const Parameters &parameters, const std::string &indent = "");

/* The value as a number up to most. Throws UsageError. */
uint32_t parse_number(const std::string &value, std::string_view key, uint32_t most);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options of a tool as one table. The parser and --help come from it, and at build time
 * the completions for bash and zsh and the lists of the manual: tools/pages.
 */
#ifndef CLOOPW_TOOLS_OPTIONS_H
#define CLOOPW_TOOLS_OPTIONS_H

#include <functional>
#include <string>
#include <vector>

#include "lib/names.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace cloopw {

/* The values that an option takes. */
struct Values {
    enum class Kind {
        kFree,
        kFile,
        kDirectory,
        kOneOf,   /* one of the words; check_choices() refuses others */
        kSuggest, /* the words are some of many */
        kList,    /* words with commas between them */
        kDevices, /* the names behind it are devices */
    };
    Kind kind = Kind::kFree;
    Names words = {};
    std::string noun = {}; /* for a word: "codec" */
};

Values any_file();
Values any_directory();
Values one_of(const std::string &noun, Names words);
Values suggest(Names words);
Values list_of(const std::string &noun, Names words);
Values devices();

struct Option {
    std::string names;    /* in the form of CLI11: "-c,--cow" */
    std::string argument; /* "FILE"; "[=SIZE]" may be left away; "": there is none */
    std::string help;     /* a part of a line; {} becomes the words */
    /* Gives it to the parser: option_values.h. Empty: setup_app() has done so. */
    std::function<CLI::Option *(CLI::App &app, const std::string &names)> add = {};
    Values values = {};
    bool again = false;     /* may be given several times */
    const char *group = ""; /* CLI11's, where a tool asks for it */
};

struct OptionTable {
    struct Group {
        std::string heading;
        std::vector<Option> options;
    };
    std::string tool;
    std::string usage; /* --help up to the options */
    std::vector<Group> groups;
    std::string notes; /* --help behind them */

    std::vector<const Option *> all() const; /* valid as long as the table */
};

/* ---- the uses of the table ---- */

/* more: as in setup_app() */
void declare(CLI::App &app, const OptionTable &table,
             const std::function<std::string()> &more = nullptr);

/* Throws UsageError for a value that is none of its option's words. */
void check_choices(const CLI::App &app, const OptionTable &table);

/* "-c,--cow" -> {"-c", "--cow"} */
Names names_of(const Option &option);

/* The text of --help. */
std::string help_of(const OptionTable &table);

}  // namespace cloopw

#endif

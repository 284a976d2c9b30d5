// SPDX-License-Identifier: GPL-2.0
/*
 * Makes of a program's options or parameters what its packages have beside it, at build time:
 *   pages bash TOOL     completion for bash
 *   pages zsh TOOL      completion for zsh
 *   pages manual TOOL   the manual's source, of a draft on standard input: manual.h
 *   pages bash|zsh --script TOOL   of a script, whose --help is on standard input: script.h
 */
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "completion.h"
#include "manual.h"
#include "script.h"
#include "tools/cloopw-ublkd/parameters.h"
#include "tools/cloopwck/cloopwck.h"
#include "tools/cloopwsetup/cloopwsetup.h"
#include "tools/mkcloopw/mkcloopw.h"

namespace {

using namespace cloopw;

OptionTable table_of(const std::string &tool, const Parameters &parameters) {
    OptionTable table = {tool, "", {{"", {}}}, ""};
    for (const Parameter &parameter : parameters) {
        Option option = {parameter.key + "=", parameter.argument, parameter.help};
        option.values.words = parameter.words;
        table.groups[0].options.push_back(option);
    }
    return table;
}

OptionTable table_of(const std::string &tool) {
    ServedOptions served;
    UblkArguments ublk;
    for (const OptionTable &table : {mkcloopw_options(), cloopwck_options(), cloopwsetup_options(),
                                     table_of("nbdkit-cloopw-plugin", served_parameters(served)),
                                     table_of("cloopw-ublkd", all_parameters(ublk))}) {
        if (table.tool == tool) {
            return table;
        }
    }
    throw UsageError(tool + ": has no table of options");
}

std::string page(const std::string &kind, const OptionTable &table) {
    if (kind == "bash") {
        return bash_completion(table);
    }
    if (kind == "zsh") {
        return zsh_completion(table);
    }
    if (kind == "manual") {
        return manual_page(table, {std::istreambuf_iterator<char>(std::cin), {}});
    }
    throw UsageError(kind + ": is no kind of page");
}

}  // namespace

int main(int argc, char **argv) {
    try {
        const std::vector<std::string> words(argv + 1, argv + argc);
        if (words.size() == 3 && words[1] == "--script") {
            std::cout << page(words[0], table_of_help(words[2], std::cin)) << std::flush;
        } else if (words.size() == 2) {
            std::cout << page(words[0], table_of(words[1])) << std::flush;
        } else {
            throw UsageError("usage: pages bash|zsh|manual [--script] TOOL");
        }
        return std::cout ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception &e) {
        (void)fprintf(stderr, "pages: %s\n", e.what());
        return EXIT_FAILURE;
    }
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Makes of a program's options or parameters what its packages have beside it, at build time:
 *   pages bash TOOL     completion for bash
 *   pages zsh TOOL      completion for zsh
 *   pages manual TOOL   the manual's source, of a draft on standard input: manual.h
 */
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <iterator>
#include <string>

#include "completion.h"
#include "manual.h"
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
        if (argc != 3) {
            throw UsageError("usage: pages bash|zsh|manual TOOL");
        }
        std::cout << page(argv[1], table_of(argv[2])) << std::flush;
        return std::cout ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception &e) {
        (void)fprintf(stderr, "pages: %s\n", e.what());
        return EXIT_FAILURE;
    }
}

// SPDX-License-Identifier: GPL-2.0
/* Completions and manuals of a table of options; tests/manual/run has those of the tools. */
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "lib/error.h"
#include "tools/common/option_values.h"
#include "tools/pages/completion.h"
#include "tools/pages/manual.h"
#include "tools/pages/script.h"

namespace cloopw::test {
namespace {

OptionTable table() {
    static std::string text;
    static bool yes;
    return {
        "tool",
        "Usage: tool\n",
        {{"Group",
          {{"-c,--codec", "NAME", "{}", value(text), one_of("codec", {"lz4", "zstd", "xz"})},
           {"--file", "FILE", "it's [here]", value(text), any_file(), true},
           {"--mode", "[=on|off]", "a mode", value_or(text, "on"), one_of("mode", {"on", "off"})},
           {"-q,--quiet", "", "say nothing", flag(yes)}}}},
        "Notes\n"};
}

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

std::string refusal_of(const std::string &draft) {
    try {
        manual_page(table(), draft);
    } catch (const Error &e) {
        return e.what();
    }
    return "";
}

TEST(Pages, TheHelpHasALineForEachOption) {
    EXPECT_EQ(help_of(table()),
              "Usage: tool\n"
              "Group:\n"
              "  -c, --codec NAME         lz4, zstd, xz\n"
              "      --file FILE          it's [here]\n"
              "      --mode[=on|off]      a mode\n"
              "  -q, --quiet              say nothing\n"
              "Notes\n");
}

TEST(Pages, AManualHasHeadsAndWordsOfTheTable) {
    EXPECT_EQ(manual_page(table(), "@--codec\n\tIs @--codec@.\n@--file\n@--mode\n@--quiet\n"),
              "*-c*, *--codec* _NAME_\n\tIs *lz4*, *zstd* or *xz*.\n*--file* _FILE_\n"
              "*--mode*[=*on*|*off*]\n*-q*, *--quiet*\n");
    EXPECT_TRUE(has(manual_page(table(), "@levels@\n@--codec\n@--file\n@--mode\n@--quiet\n"),
                    "lz4 1, lz4hc 1..12 (9), zstd 1..22 (9)"));
}

TEST(Pages, AParametersHeadHasItsValueBesideIt) {
    const OptionTable server = {"server", "", {{"", {{"image=", "FILE", ""}}}}, ""};
    EXPECT_EQ(manual_page(server, "@image=\n\tRequired.\n"), "*image=*_FILE_\n\tRequired.\n");
}

TEST(Pages, AManualMayListWhatItDoesNotExplain) {
    EXPECT_EQ(manual_page(table(), "See @others@.\n@--codec\n@--quiet\n"),
              "See *--file*, *--mode*.\n*-c*, *--codec* _NAME_\n*-q*, *--quiet*\n");
}

TEST(Pages, AManualExplainsEachOptionOnce) {
    EXPECT_EQ(refusal_of("@--codec\n@--mode\n"),
              "tool: its manual does not explain --file, --quiet");
    EXPECT_EQ(refusal_of("@--codec\n@--codec\n"), "tool: its manual explains --codec twice");
    EXPECT_EQ(refusal_of("@--cow\n"), "tool: its manual names --cow, which is no option");
}

TEST(Pages, ZshGetsQuotedExplanations) {
    const std::string text = zsh_completion(table());
    EXPECT_TRUE(has(text, "\t'(-c --codec)'{-c,--codec}'[codec]:codec:(lz4 zstd xz)' \\\n"))
        << text;
    EXPECT_TRUE(has(text, "\t'*--file[it'\\''s \\[here\\]]:file:_files' \\\n")) << text;
    EXPECT_TRUE(has(text, "\t'--mode=-[a mode]::mode:(on off)' \\\n")) << text;
}

TEST(Pages, BashOffersWordsOnlyWhereTheValueIs) {
    const std::string text = bash_completion(table());
    EXPECT_TRUE(has(text, "\t-c | --codec | --codec=)\n")) << text;
    EXPECT_TRUE(has(text, "\t--mode=)\n")) << text;
    EXPECT_TRUE(has(text, "compgen -W '-c --codec --file --mode -q --quiet'")) << text;
}

TEST(Pages, TheHelpOfAScriptIsItsTable) {
    std::istringstream help(
        "Usage: tool FILE\n"
        "  -c, --cow FILE     the changes, may be repeated\n"
        "      --ram[=SIZE]   in memory,\n"
        "                     lost at the end\n"
        "      --work DIR\n"
        "  -h, --help\n");
    const OptionTable table = table_of_help("tool", help);
    ASSERT_EQ(table.all().size(), 4U);
    const std::string zsh = zsh_completion(table);
    EXPECT_TRUE(has(zsh, "\t'*'{-c,--cow}'[the changes, may be repeated]:file:_files'")) << zsh;
    EXPECT_TRUE(has(zsh, "\t'--ram=-[in memory,]::size:'")) << zsh;
    EXPECT_TRUE(has(zsh, "\t'--work[]:dir:_files -/'")) << zsh;
    EXPECT_TRUE(has(zsh, "\t'(- *)'{-h,--help}'[]'")) << zsh;
    std::istringstream nothing("no options\n");
    EXPECT_THROW(table_of_help("tool", nothing), Error);
}

}  // namespace
}  // namespace cloopw::test

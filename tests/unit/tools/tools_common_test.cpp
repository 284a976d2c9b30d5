// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "lib/size.h"
#include "lib/uuid.h"
#include "support/run_tool.h"
#include "tools/common/progress.h"
#include "tools/common/table.h"
#include "tools/common/tool.h"

namespace cloopw::test {
namespace {

std::string why_not(const std::string &text) {
    try {
        parse_size(text, "--size");
    } catch (const UsageError &e) {
        return e.what();
    }
    return {};
}

TEST(Size, Reads) {
    EXPECT_EQ(parse_size("0", "x"), 0u);
    EXPECT_EQ(parse_size("4096", "x"), 4096u);
    EXPECT_EQ(parse_size("64K", "x"), 65536u);
    EXPECT_EQ(parse_size("64k", "x"), 65536u);
    EXPECT_EQ(parse_size("64KiB", "x"), 65536u);
    EXPECT_EQ(parse_size("64KB", "x"), 64000u);
    EXPECT_EQ(parse_size("3M", "x"), 3u << 20);
    EXPECT_EQ(parse_size("1T", "x"), u64{1} << 40);
    EXPECT_EQ(parse_size("15E", "x"), u64{15} << 60);
    EXPECT_EQ(parse_size("18446744073709551615", "x"), UINT64_MAX);
}

TEST(Size, Refuses) {
    for (const char *text :
         {"", "K", "-1", "+1", " 1", "1 ", "1.5M", "1X", "1Ki", "1KBB", "0x10"}) {
        EXPECT_NE(why_not(text).find("not a size"), std::string::npos) << text;
    }
    for (const char *text : {"16E", "18446744073709551616", "99999999999999999999999"}) {
        EXPECT_NE(why_not(text).find("too large"), std::string::npos) << text;
    }
    EXPECT_EQ(why_not("1X"), "--size 1X: not a size; write 4096, 64K, 1M or 2G");
}

TEST(Size, Writes) {
    EXPECT_EQ(format_size(0), "0 B");
    EXPECT_EQ(format_size(1023), "1023 B");
    EXPECT_EQ(format_size(1024), "1.0 KiB");
    EXPECT_EQ(format_size(1536), "1.5 KiB");
    EXPECT_EQ(format_size((1 << 20) - 1), "1.0 MiB");
    EXPECT_EQ(format_size(UINT64_MAX), "16.0 EiB");
    EXPECT_EQ(exact_size(65536), "64K");
    EXPECT_EQ(exact_size(4097), "4097");
    EXPECT_EQ(exact_size(1 << 20), "1M");
    EXPECT_EQ(exact_size(0), "0");
}

TEST(Table, AlignsColumns) {
    Table table({{"NAME", Table::kLeft}, {"SIZE", Table::kRight}, {"FILE", Table::kLeft}});
    EXPECT_TRUE(table.empty());
    table.add({"a", "1000", "x"});
    table.add({"longer", "5"});
    std::ostringstream out;
    table.print(out);
    EXPECT_EQ(out.str(),
              "NAME    SIZE  FILE\n"
              "a       1000  x\n"
              "longer     5\n");
    out.str("");
    table.print(out, false);
    EXPECT_EQ(out.str(),
              "a       1000  x\n"
              "longer     5\n");
}

TEST(Json, SurvivesBytesThatAreNoText) {
    Json json;
    json["name"] = "a\xff";
    std::ostringstream out;
    print_json(out, json);
    EXPECT_NE(out.str().find("\"a\xef\xbf\xbd\""), std::string::npos) << out.str();
}

TEST(UuidText, BothWays) {
    u8 uuid[16];
    std::string text = "01234567-89ab-cdef-0123-456789abcdef";
    ASSERT_TRUE(parse_uuid(text, uuid));
    EXPECT_EQ(format_uuid(uuid), text);
    EXPECT_TRUE(parse_uuid("01234567-89AB-CDEF-0123-456789ABCDEF", uuid));
    EXPECT_EQ(format_uuid(uuid), text);
    u8 none[16] = {};
    EXPECT_EQ(format_uuid(none), "");
    for (const char *bad :
         {"", "0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdeg",
          "01234567-89ab-cdef-0123-456789abcdef0", "0123456-789ab-cdef-0123-456789abcdef"}) {
        EXPECT_FALSE(parse_uuid(bad, uuid)) << bad;
    }
}

TEST(ProgressLine, ShowsPartRateAndTime) {
    std::string line = Progress::line(256 << 20, 1 << 30, 2.0, 80);
    EXPECT_NE(line.find(" 25% ["), std::string::npos) << line;
    EXPECT_NE(line.find("128.0 MiB/s"), std::string::npos) << line;
    EXPECT_NE(line.find("0:06 left"), std::string::npos) << line;
    EXPECT_LT(line.size(), 80u);
    EXPECT_EQ(Progress::line(1 << 20, 0, 1.0, 80), "1.0 MiB 1.0 MiB/s");
    EXPECT_LT(Progress::line(1 << 20, 1 << 30, 1.0, 60).size(), 60u);
    Progress::line(0, 1 << 30, 0, 80);
    Progress::line(2, 1, 1, 80);
    Progress::line(1, 2, 1, 0);
}

TEST(Progress, LinesForALog) {
    for (bool wanted : {false, true}) {
        set_progress_lines(true);
        ToolResult result = run([&](Streams &streams) {
            Progress progress(streams, wanted, 1000);
            progress.update(500);
            progress.update(600); /* too soon for another line */
            return 0;
        });
        set_progress_lines(false);
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), wanted ? 1 : 0);
        EXPECT_EQ(result.err.find_first_of("\r\x1b["), std::string::npos) << result.err;
        EXPECT_EQ(result.err.find(" 50% 500 B"), wanted ? 0U : std::string::npos);
    }
}

TEST(Progress, OnlyOnATerminalAndOnlyWhenWanted) {
    for (bool terminal : {false, true}) {
        for (bool wanted : {false, true}) {
            ToolResult result = run(
                [&](Streams &streams) {
                    Progress progress(streams, wanted, 1000);
                    progress.update(500);
                    return 0;
                },
                {{}, -1, terminal});
            EXPECT_EQ(!result.err.empty(), terminal && wanted);
            if (terminal && wanted) {
                EXPECT_EQ(result.err.substr(result.err.size() - 4), "\r\x1b[K")
                    << "leaves a clean line";
            }
        }
    }
}

TEST(RunTool, TurnsExceptionsIntoExitCodes) {
    auto code_of = [](const std::function<int()> &body) {
        return run([&](Streams &streams) { return run_tool("tool", streams, body); });
    };
    EXPECT_EQ(code_of([] { return kExitOk; }).code, 0);
    ToolResult failed = code_of([]() -> int { throw Error("FILE: broken"); });
    EXPECT_EQ(failed.code, 1);
    EXPECT_EQ(failed.err, "tool: FILE: broken\n");
    ToolResult usage = code_of([]() -> int { throw UsageError("--x: wrong"); });
    EXPECT_EQ(usage.code, 2);
    EXPECT_EQ(usage.err, "tool: --x: wrong\nTry 'tool --help'.\n");
    ToolResult memory = code_of([]() -> int { throw std::bad_alloc(); });
    EXPECT_EQ(memory.code, 1);
    EXPECT_EQ(memory.err, "tool: not enough memory\n");
}

/* The parser's complaint about these arguments. */
std::string parse_error(const Args &args) {
    CLI::App app("", "tool");
    bool flag = false;
    std::string value;
    app.add_flag("-r,--read-only", flag);
    app.add_option("--cow-limit", value);
    std::ostringstream out;
    Streams streams{out, out, -1, -1, false, 80};
    try {
        parse_args(app, args, streams);
    } catch (const UsageError &e) {
        return e.what();
    }
    return {};
}

TEST(Options, NearOneIsSuggested) {
    EXPECT_TRUE(parse_error({"--reed-only"}).ends_with("; did you mean '--read-only'?"))
        << parse_error({"--reed-only"});
    EXPECT_TRUE(parse_error({"--cow-limt=3"}).ends_with("; did you mean '--cow-limit'?"))
        << parse_error({"--cow-limt=3"});
    EXPECT_TRUE(parse_error({"--cowlimit", "3"}).ends_with("; did you mean '--cow-limit'?"))
        << parse_error({"--cowlimit", "3"});
}

TEST(Options, FarOneIsNot) {
    EXPECT_TRUE(parse_error({"--frobnicate"}).ends_with("--frobnicate"))
        << parse_error({"--frobnicate"});
    EXPECT_EQ(parse_error({"--"}), "");
    EXPECT_TRUE(parse_error({"name"}).ends_with("name")) << parse_error({"name"});
    EXPECT_TRUE(parse_error({"-x"}).ends_with("-x")) << parse_error({"-x"});
}

}  // namespace
}  // namespace cloopw::test

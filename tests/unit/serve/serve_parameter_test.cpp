// SPDX-License-Identifier: GPL-2.0
/* The table of a server's parameters. */
#include "lib/serve/parameter.h"

#include <gtest/gtest.h>

#include "lib/error.h"
#include "lib/serve/served.h"
#include "tools/cloopw-ublkd/parameters.h"

namespace cloopw::test {
namespace {

TEST(ServeParameter, TheHelpHasALineForEachAndOneForMoreText) {
    const Parameters table = {{"cow", "FILE", "one\ntwo", nullptr},
                              {"a-very-long-parameter", "NAME", "{}", nullptr, {"lz4", "xz"}}};
    EXPECT_EQ(help_of(table, "  "),
              "  cow=FILE              one\n"
              "                        two\n"
              "  a-very-long-parameter=NAME lz4, xz\n");
}

TEST(ServeParameter, EachKeyIsThereOnce) {
    UblkArguments arguments;
    const Parameters table = all_parameters(arguments);
    for (const Parameter &parameter : table) {
        EXPECT_EQ(find_parameter(table, parameter.key), &parameter);
    }
    EXPECT_EQ(find_parameter(table, "size"), nullptr);
}

TEST(ServeParameter, SetsWhatItIsFor) {
    UblkArguments arguments;
    const Parameters table = all_parameters(arguments);
    for (const char *word : {"image=/a", "cow=b", "cow=http://c", "readonly=on", "cache=1M",
                             "depth=7", "orphan=3", "idfile=f"}) {
        set_parameter(table, word);
    }
    const ServedOptions &served = arguments.options.served;
    EXPECT_EQ(served.image, "/a");
    ASSERT_EQ(served.cows.size(), 2u);
    EXPECT_EQ(served.cows[0].front(), '/');
    EXPECT_EQ(served.cows[1], "http://c");
    EXPECT_TRUE(served.read_only);
    EXPECT_EQ(served.cache, u64{1} << 20);
    EXPECT_EQ(arguments.options.depth, 7u);
    EXPECT_EQ(arguments.options.idfile, "f");
    EXPECT_EQ(arguments.orphan, 3u);
    EXPECT_FALSE(arguments.remove);
}

TEST(ServeParameter, RefusesWhatIsNoValue) {
    UblkArguments arguments;
    const Parameters table = all_parameters(arguments);
    for (const char *word :
         {"cow", "cow=", "size=4", "depth=4097", "queues=two", "device=-1", "sector-size=1024"}) {
        EXPECT_THROW(set_parameter(table, word), UsageError) << word;
    }
    EXPECT_THROW(set_parameter(table, "offset=x"), Error);
}

}  // namespace
}  // namespace cloopw::test

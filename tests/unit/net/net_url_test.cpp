// SPDX-License-Identifier: GPL-2.0
/* URLs of images, before anything is fetched. */
#include "lib/net/url.h"

#include <gtest/gtest.h>

#include "lib/error.h"
#include "lib/net/settings.h"

namespace cloopw::test {
namespace {

std::string refusal(const std::string &url) {
    try {
        check_url(url);
    } catch (const Error &e) {
        return e.what();
    }
    return "";
}

TEST(NetUrl, TellsUrlsFromPaths) {
    EXPECT_TRUE(is_url("http://server/x"));
    EXPECT_TRUE(is_url("HTTPS://server/x"));
    EXPECT_TRUE(is_url("ftp://server/x"));
    EXPECT_FALSE(is_url("/srv/image"));
    EXPECT_FALSE(is_url("a:b"));
    EXPECT_FALSE(is_url("://x"));
    EXPECT_FALSE(is_url("/a://x"));
    EXPECT_TRUE(is_remote("http://server/x"));
    EXPECT_FALSE(is_remote("file:///x"));
}

TEST(NetUrl, RefusesWhatItCannotFetch) {
    EXPECT_EQ(refusal("http://server/x"), "");
    EXPECT_EQ(refusal("https://server:8080/x?signature=y"), "");
    EXPECT_EQ(refusal("ftp://server/x"),
              "ftp://server/x: images come by http, https or file, not by ftp");
    EXPECT_EQ(refusal("http://server"),
              "http://server: names no file on a server; the form is http://SERVER/FILE");
    EXPECT_NE(refusal("http:///x"), "");
    EXPECT_NE(refusal("http://server/a b").find("write %20 for a space"), std::string::npos);
    EXPECT_NE(refusal("http://server/a\nb"), "");
}

TEST(NetUrl, KeepsSecretsToItself) {
    const std::string text = refusal("https://me:secret@server/x");
    EXPECT_NE(text.find("~/.netrc"), std::string::npos);
    EXPECT_EQ(text.find("secret"), std::string::npos);
    EXPECT_EQ(shown_name("https://s/x?X-Amz-Signature=secret#y"), "https://s/x");
    EXPECT_EQ(shown_name("/srv/what?#"), "/srv/what?#");
    EXPECT_EQ(refusal("gopher://s/x?secret").find("secret"), std::string::npos);
}

TEST(NetUrl, FilesAreFiles) {
    EXPECT_EQ(without_file_scheme("file:///srv/a%20b"), "/srv/a b");
    EXPECT_EQ(without_file_scheme("file://localhost/x"), "/x");
    EXPECT_EQ(without_file_scheme("/x"), "/x");
    EXPECT_THROW(without_file_scheme("file://other/x"), Error);
    EXPECT_THROW(without_file_scheme("file://"), Error);
    EXPECT_THROW(without_file_scheme("file:///a%2"), Error);
    try {
        (void)without_file_scheme("file:///a%zz");
        ADD_FAILURE() << "%zz is taken";
    } catch (const Error &e) {
        EXPECT_STREQ(e.what(),
                     "file:///a%zz: has a % that no two hexadecimal digits of a byte follow; "
                     "write %25 for the character %");
    }
    EXPECT_THROW(without_file_scheme("file:///a%00"), Error);
}

TEST(NetSettings, TakesValuesWithinBounds) {
    NetSettings settings;
    EXPECT_TRUE(set_net_option(settings, "net-chunk", "1M"));
    EXPECT_EQ(settings.chunk, 1u << 20);
    EXPECT_TRUE(set_net_option(settings, "net-timeout", "0"));
    EXPECT_EQ(settings.timeout, 0u);
    EXPECT_TRUE(set_net_option(settings, "offline", "true"));
    EXPECT_FALSE(set_net_option(settings, "net-speed", "1"));
    for (const char *bad : {"3M", "1K", "32M", "", "x", "-1"}) {
        EXPECT_THROW(set_net_option(settings, "net-chunk", bad), Error) << bad;
    }
    for (const char *bad : {"", "x", "-1", "86401", "1s"}) {
        EXPECT_THROW(set_net_option(settings, "net-timeout", bad), Error) << bad;
    }
}

TEST(NetSettings, RefusesWhatDoesNotGoTogether) {
    NetSettings settings;
    settings.offline = true;
    EXPECT_THROW(check_net_settings(settings, "--"), UsageError);
    settings.offline = false;
    settings.cache_bytes = 1;
    try {
        check_net_settings(settings, "--");
        ADD_FAILURE() << "a size without a cache is taken";
    } catch (const UsageError &e) {
        EXPECT_STREQ(e.what(), "--net-cache-size: without --net-cache there is no cache");
    }
    settings.cache = "cache";
    EXPECT_NO_THROW(check_net_settings(settings, "--"));
}

}  // namespace
}  // namespace cloopw::test

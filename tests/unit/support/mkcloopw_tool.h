/* SPDX-License-Identifier: GPL-2.0 */
/* Runs mkcloopw on files in a directory of the test's own. */
#ifndef CLOOPW_TESTS_MKCLOOPW_TOOL_H
#define CLOOPW_TESTS_MKCLOOPW_TOOL_H

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "support/data.h"
#include "support/run_tool.h"
#include "support/scratch_dir.h"
#include "tools/mkcloopw/mkcloopw.h"

namespace cloopw::test {

inline const std::atomic<bool> kNever = false;

/* Text, noise, zeros, repetitions, and an odd end. */
inline Bytes sample() {
    Bytes plain = text_bytes(500000);
    for (const Bytes &part :
         {random_bytes(300000), Bytes(400000, 0), slice(plain, 0, 262144), text_bytes(12345, 3)}) {
        plain.insert(plain.end(), part.begin(), part.end());
    }
    return plain;
}

class Mkcloopw : public testing::Test {
protected:
    static ToolResult tool(const Args &args, const ToolInput &input = {},
                           const std::atomic<bool> &cancelled = kNever) {
        return run([&](Streams &streams) { return mkcloopw(args, streams, cancelled); }, input);
    }

    /* Expects a failure with this code and this message, and no file. */
    void expect_refusal(int code, const std::string &message, const Args &args,
                        const ToolInput &input = {}) {
        std::vector<std::string> before = dir_.names();
        ToolResult result = tool(args, input);
        EXPECT_EQ(result.code, code) << result.err;
        EXPECT_NE(result.err.find(message), std::string::npos)
            << "said: " << result.err << "expected: " << message;
        EXPECT_EQ(result.err.rfind("mkcloopw: ", 0), 0u) << result.err;
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(dir_.names(), before);
    }

    void expect_success(const Args &args, const ToolInput &input = {}) {
        ToolResult result = tool(args, input);
        EXPECT_EQ(result.code, 0) << result.err;
        EXPECT_EQ(result.err, "");
    }

    Bytes extract(const std::string &image) {
        std::string out = dir_ / "extracted";
        expect_success({"-x", "-f", image, out});
        return read_bytes(out);
    }

    ScratchDir dir_;
    Bytes plain_ = sample();
    std::string in_ = dir_.write("in", plain_);
    std::string out_ = dir_ / "out";
};

}  // namespace cloopw::test

#endif

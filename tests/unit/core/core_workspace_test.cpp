// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "support/data.h"
#include "support/hooks.h"
#include "support/images.h"

namespace cloopw::test {
namespace {

constexpr u32 kLen = 4096;

cw_workspace_config config() {
    cw_workspace_config config = {};
    config.codecs = CW_CODEC_BIT(CW_CODEC_LZ4) | CW_CODEC_BIT(CW_CODEC_ZSTD);
    config.stored_len = kLen;
    config.plain_len = kLen;
    config.max_len = kLen;
    return config;
}

class CoreWorkspace : public testing::Test {
protected:
    CoreWorkspace() {
        const cw_workspace_config wanted = config();
        err_ = cw_workspace_pool_init(&pool_, &wanted);
    }
    ~CoreWorkspace() override { cw_workspace_pool_destroy(&pool_); }

    int decompress(unsigned int codec, const Bytes &stored, Bytes *out) {
        cw_workspace *ws = cw_workspace_get(&pool_);
        out->resize(kLen);
        const int err = cw_workspace_decompress(&pool_, ws, codec, out->data(), kLen, stored.data(),
                                                static_cast<u32>(stored.size()));
        cw_workspace_put(&pool_, ws);
        return err;
    }

    cw_workspace_pool pool_ = {};
    int err_;
};

TEST_F(CoreWorkspace, ThereIsOneForEachProcessor) {
    ASSERT_EQ(err_, 0);
    std::vector<cw_workspace *> taken;
    for (unsigned int i = 0; i < cw_cpus(); i++) {
        taken.push_back(cw_workspace_get(&pool_));
    }
    EXPECT_EQ(pool_.free, nullptr);
    for (cw_workspace *ws : taken) {
        cw_workspace_put(&pool_, ws);
    }
}

TEST_F(CoreWorkspace, WhoComesWhenAllAreTakenWaitsForOne) {
    std::vector<cw_workspace *> taken;
    for (unsigned int i = 0; i < cw_cpus(); i++) {
        taken.push_back(cw_workspace_get(&pool_));
    }
    std::atomic<bool> got{false};
    std::thread waiter([this, &got] {
        cw_workspace *ws = cw_workspace_get(&pool_);
        got = true;
        cw_workspace_put(&pool_, ws);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(got);
    cw_workspace_put(&pool_, taken.back());
    waiter.join();
    EXPECT_TRUE(got);
    taken.pop_back();
    for (cw_workspace *ws : taken) {
        cw_workspace_put(&pool_, ws);
    }
}

TEST_F(CoreWorkspace, IsNeverGivenToTwo) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned int id = 0; id < 4 * cw_cpus(); id++) {
        threads.emplace_back([this, id, &wrong] {
            for (int i = 0; i < 200; i++) {
                cw_workspace *ws = cw_workspace_get(&pool_);
                ws->plain[0] = static_cast<u8>(id);
                std::this_thread::yield();
                wrong += ws->plain[0] == static_cast<u8>(id) ? 0 : 1;
                cw_workspace_put(&pool_, ws);
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong, 0);
}

TEST_F(CoreWorkspace, TakingOneNeedsNoMemory) {
    FailAllocations fail([](size_t) { return true; });
    cw_workspace *ws = cw_workspace_get(&pool_);
    EXPECT_NE(ws, nullptr);
    cw_workspace_put(&pool_, ws);
}

TEST_F(CoreWorkspace, DecompressesWithTheCodecsItWasMadeFor) {
    const Bytes plain = text_bytes(kLen);
    for (const cw_codec *codec : {&cw_codec_lz4, &cw_codec_zstd}) {
        Bytes out;
        ASSERT_EQ(decompress(codec->id, compress(*codec, plain), &out), 0) << codec->name;
        EXPECT_EQ(out, plain) << codec->name;
    }
}

TEST_F(CoreWorkspace, RefusesACodecItWasNotMadeFor) {
    Bytes out;
    EXPECT_EQ(decompress(CW_CODEC_ZLIB, compress(cw_codec_zlib, text_bytes(kLen)), &out), -EIO);
}

TEST_F(CoreWorkspace, RefusesCodecsThatDoNotExist) {
    Bytes out;
    EXPECT_EQ(decompress(CW_CODEC_IDS, Bytes(10), &out), -EIO);
    EXPECT_EQ(decompress(255, Bytes(10), &out), -EIO);
}

TEST(CoreWorkspacePool, ItsCompressorCompresses) {
    cw_workspace_config wanted = config();
    wanted.compressor = &cw_codec_lz4hc;
    wanted.level = 9;
    cw_workspace_pool pool;
    ASSERT_EQ(cw_workspace_pool_init(&pool, &wanted), 0);
    cw_workspace *ws = cw_workspace_get(&pool);
    const Bytes plain = text_bytes(kLen);
    const int n =
        cw_codec_lz4hc.compress(ws->ctx[CW_CODEC_LZ4], ws->stored, kLen, plain.data(), kLen);
    EXPECT_EQ(Bytes(ws->stored, ws->stored + n), compress(cw_codec_lz4hc, plain));
    Bytes out(kLen);
    EXPECT_EQ(cw_workspace_decompress(&pool, ws, CW_CODEC_LZ4, out.data(), kLen, ws->stored,
                                      static_cast<u32>(n)),
              0);
    EXPECT_EQ(out, plain);
    cw_workspace_put(&pool, ws);
    cw_workspace_pool_destroy(&pool);
}

/* Leaves nothing behind: LeakSanitizer looks on. */
TEST(CoreWorkspacePool, FailsCleanlyWhereverMemoryEnds) {
    const cw_workspace_config wanted = config();
    for (unsigned int n = 0; n < 3 * cw_cpus(); n++) {
        cw_workspace_pool pool;
        FailAllocations fail(nth_allocation(n));
        EXPECT_EQ(cw_workspace_pool_init(&pool, &wanted), -ENOMEM) << n;
        cw_workspace_pool_destroy(&pool);
    }
}

TEST(CoreWorkspacePool, DestroyAcceptsOneThatWasNeverMade) {
    cw_workspace_pool pool = {};
    cw_workspace_pool_destroy(&pool);
    EXPECT_FALSE(pool.ready);
}

TEST(CoreWorkspacePool, HasNoPlainBufferWhenNoneIsWanted) {
    cw_workspace_config wanted = config();
    wanted.plain_len = 0;
    cw_workspace_pool pool;
    ASSERT_EQ(cw_workspace_pool_init(&pool, &wanted), 0);
    EXPECT_EQ(pool.free->plain, nullptr);
    cw_workspace_pool_destroy(&pool);
}

}  // namespace
}  // namespace cloopw::test

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The file at a URL in chunks: in memory what was used last, behind that a cache on this
 * machine, behind that the server. A chunk is fetched once, however many readers want it.
 */
#ifndef CLOOPW_NET_CHUNK_STORE_H
#define CLOOPW_NET_CHUNK_STORE_H

#include <array>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "chunk_cache.h"
#include "fetcher.h"

namespace cloopw {

/* The traffic since the attach. */
struct NetStats {
    u64 requests;      /* sent to the server */
    u64 fetched_bytes; /* received from it */
    u64 cache_hits;    /* chunks found in the cache */
    u64 saved_bytes;   /* bytes of these */
};

class ChunkStore {
public:
    /* Throws Error when there is no such file, or it cannot be read in parts. */
    ChunkStore(const std::string &url, const NetSettings &settings);
    ChunkStore(const ChunkStore &) = delete;
    ChunkStore &operator=(const ChunkStore &) = delete;
    ~ChunkStore();

    u64 length() const { return version_.length; }            /* bytes of the file */
    const RemoteVersion &version() const { return version_; } /* the version of all reads */

    /* All of the range, which is within the file. 0 or -errno. Any thread. */
    int read(void *buf, size_t len, u64 off);
    /* The range is read soon: it is fetched behind what readers wait for. Any thread. */
    void will_read(u64 off, u64 len);
    /*
     * The range had wrong bytes: the next read of it goes past all caches. False: there is
     * no other source. Any thread.
     */
    bool distrust(u64 off, u64 len);
    /* See Fetcher. */
    void abandon() { fetcher_.abandon(); }
    void rest() { fetcher_.rest(); }

    NetStats stats() const; /* any thread */

private:
    enum class State { kLoading, kThere, kFailed };
    struct Chunk {
        u64 number = 0;
        State state = State::kLoading;
        int err = 0;                   /* when kFailed */
        bool ahead = false;            /* made before a reader wanted it; constant */
        bool wanted = false;           /* a reader waits for it */
        std::vector<char> bytes;       /* len_of(number), constant once kThere */
        std::shared_ptr<FetchJob> job; /* that fetches it, when there is one */
        std::list<u64> use;            /* its number, which uses_ takes over once kThere */
        std::list<u64>::iterator used; /* its place in uses_ then */
    };
    using ChunkPtr = std::shared_ptr<Chunk>;
    using Chunks = std::vector<ChunkPtr>;

    /* A reader's way along the file: what comes next is fetched ahead. */
    struct Stream {
        u64 next = 0;    /* the chunk that continues it */
        u64 window = 0;  /* chunks ahead */
        u64 fetched = 0; /* the chunk up to which that was done */
        u64 used = 0;    /* the clock of its last use; 0: no stream */
    };

    u32 len_of(u64 chunk) const;
    u64 last_chunk() const { return (version_.length - 1) / chunk_bytes_; }
    Chunks claim(u64 first, u64 last, bool ahead, Chunks *mine);
    bool take_from_cache(const ChunkPtr &chunk);
    void fetch(const Chunks &chunks, bool urgent);
    void fetch_in_runs(const Chunks &chunks, bool urgent);
    void load(const Chunks &mine, bool urgent);
    void load_claimed(const Chunks &mine, bool urgent);
    bool is_known(const ChunkPtr &chunk) const;
    void received(const Chunks &chunks, u64 at, const char *bytes, size_t len);
    void settle(const ChunkPtr &chunk, State state, int err);
    int wait_for(std::unique_lock<std::mutex> &lock, const ChunkPtr &chunk);
    int get(u64 number, ChunkPtr chunk, ChunkPtr *out);
    void use(const ChunkPtr &chunk);
    /* Chunks first to last were read. Fetches what a stream of reads comes to next. */
    void read_ahead(u64 first, u64 last);
    Stream &stream_of(u64 first);
    int read_run(u64 first, u64 last, char **buf, size_t *len, u64 *off);

    const NetSettings &settings_;
    const u32 chunk_bytes_;
    const u64 most_kept_;  /* chunks in memory that no reader has */
    const u64 most_ahead_; /* chunks in front of a stream, and in all */
    Fetcher fetcher_;
    RemoteVersion version_;             /* constant */
    std::unique_ptr<ChunkCache> cache_; /* constant; nullptr: none */

    mutable std::mutex lock_;
    std::condition_variable settled_;          /* a chunk is no more kLoading */
    std::unordered_map<u64, ChunkPtr> chunks_; /* lock_ */
    std::list<u64> uses_;                      /* lock_; kThere, the last used first */
    std::set<u64> distrusted_;                 /* lock_; fetched past caches next time */
    std::array<Stream, 8> streams_;            /* lock_ */
    u64 clock_ = 0;                            /* lock_ */
    u64 loading_ahead_ = 0;                    /* lock_; chunks no reader waits for */
    u64 cache_hits_ = 0;                       /* lock_ */
    u64 saved_bytes_ = 0;                      /* lock_ */
};

}  // namespace cloopw

#endif

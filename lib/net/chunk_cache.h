/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Chunks of one file at a URL, kept in a file of this machine. Several processes may share
 * it. Nothing is synchronized to the disk: a chunk counts only when its checksum is right,
 * so a torn or an overwritten one is fetched again.
 *
 * The file has a header, a table of slots, and the slots' data. A chunk may lie in any of
 * the few slots of its set. The one that was used least recently gives its place.
 */
#ifndef CLOOPW_NET_CHUNK_CACHE_H
#define CLOOPW_NET_CHUNK_CACHE_H

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "lib/fd.h"
#include "transfer.h"

namespace cloopw {

class ChunkCache {
public:
    struct Config {
        std::string path;      /* a file, or a directory that gets one */
        std::string url;       /* without its query */
        u64 bytes = 0;         /* room for chunks; 0: for the whole file */
        bool may_begin = true; /* else only a cache that fits is taken */
        u32 chunk = 0;         /* bytes of a chunk, a power of two */
    };

    /*
     * Opens the cache of this version of the file, or begins it anew. nullptr, after a
     * message: it can be neither read nor made, and the image is read without one. Throws
     * Error when it is in use for another image, or is another file than a cache.
     */
    static std::unique_ptr<ChunkCache> open(const Config &config, const RemoteVersion &version);

    /* The version whose chunks an existing cache of this URL holds. Throws Error. */
    static RemoteVersion remembered(const Config &config);

    /* The whole chunk, when it is there and right. Any thread. */
    bool read(u64 chunk, void *buf, u32 len);
    /* Keeps it, if that is possible at the moment. Any thread. */
    void write(u64 chunk, const void *buf, u32 len);
    /* Drops its wrong copy of the chunk. Any thread. */
    void forget(u64 chunk);

    /* How many of the file's chunks it holds, by their table. */
    u64 count();
    const std::string &path() const { return path_; }

private:
    static constexpr unsigned int kWays = 8;
    struct Entry {
        __le64 chunk; /* its number plus 1; 0: the slot is empty */
        __le64 used;  /* within a set, the highest was used last */
        __le32 len;
        __le32 data_crc;
        __le32 generation; /* the header's, when the entry was written */
        __le32 crc;        /* crc32c of the fields before */
    };
    using Set = std::array<Entry, kWays>;

    ChunkCache(std::string path, Fd fd, bool read_only)
        : path_(std::move(path)), fd_(std::move(fd)), read_only_(read_only) {}

    bool adopt_or_lock(const Config &config, const RemoteVersion &version);
    bool begin(const Config &config, const RemoteVersion &version);
    bool adopt(const Config &config, const RemoteVersion &version);
    u64 set_of(u64 chunk) const { return chunk % sets_; }
    off_t entry_offset(u64 set, unsigned int way) const;
    off_t data_offset(u64 set, unsigned int way) const;
    bool read_set(u64 set, Set *entries) const;
    bool write_entry(u64 set, unsigned int way, Entry entry) const;
    std::optional<unsigned int> find(const Set &entries, u64 chunk) const;
    bool is_valid(const Entry &entry) const;
    void touch(u64 set, Set *entries, unsigned int way) const;
    void give_up(int err);

    const std::string path_;
    const Fd fd_;
    const bool read_only_;
    u64 sets_ = 0;   /* constant once it is open */
    u64 chunks_ = 0; /* the same; of the file at the URL */
    u32 chunk_bytes_ = 0;
    u32 generation_ = 0;
    std::mutex write_lock_; /* one write at a time */
    bool full_ = false;     /* write_lock_; the disk took no more */
};

}  // namespace cloopw

#endif

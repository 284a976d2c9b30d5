// SPDX-License-Identifier: GPL-2.0
#include "chunk_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

#include "lib/error.h"
#include "lib/move_all.h"

namespace cloopw {
namespace {

constexpr char kMagic[] = "cloopw net cache"; /* without its zero */
constexpr u32 kVersion = 1;
constexpr size_t kHeadBytes = 4096;
constexpr size_t kTextBytes = 3072;
constexpr off_t kInUse = 0; /* the byte that every user has a lock on */

struct Header {
    char magic[sizeof(kMagic) - 1];
    __le32 version;
    __le32 chunk;
    __le64 sets;
    __le64 length; /* the remote file's */
    __le32 generation;
    __le32 text_len[3]; /* URL, ETag and date, one behind the other */
    char text[kTextBytes];
    __le32 crc; /* crc32c of all fields before */
};
static_assert(sizeof(Header) <= kHeadBytes);

u32 header_crc(const Header &header) { return cw_crc32c(&header, offsetof(Header, crc)); }

bool is_header(const Header &header) {
    return memcmp(header.magic, kMagic, sizeof(header.magic)) == 0;
}

bool is_right(const Header &header) {
    return is_header(header) && cw_from_le32(header.version) == kVersion &&
           cw_from_le32(header.crc) == header_crc(header);
}

struct Identity {
    std::string url;
    RemoteVersion version;
};

Identity identity_of(const Header &header) {
    std::array<std::string, 3> texts;
    size_t at = 0;
    for (size_t i = 0; i < texts.size(); i++) {
        const size_t len = std::min<size_t>(cw_from_le32(header.text_len[i]), kTextBytes - at);
        texts[i].assign(header.text + at, len);
        at += len;
    }
    return {texts[0], {cw_from_le64(header.length), texts[1], texts[2]}};
}

/* false: the texts are too long. */
bool set_identity(Header &header, const Identity &identity) {
    const std::array<const std::string *, 3> texts = {&identity.url, &identity.version.etag,
                                                      &identity.version.modified};
    size_t at = 0;
    for (size_t i = 0; i < texts.size(); i++) {
        if (texts[i]->size() > kTextBytes - at) {
            return false;
        }
        header.text_len[i] = cw_to_le32(static_cast<u32>(texts[i]->size()));
        texts[i]->copy(header.text + at, texts[i]->size());
        at += texts[i]->size();
    }
    header.length = cw_to_le64(identity.version.length);
    return true;
}

bool read_all(int fd, void *buf, size_t len, off_t off) {
    return move_all(pread, fd, static_cast<char *>(buf), len, static_cast<u64>(off)) == 0;
}

bool write_all(int fd, const void *buf, size_t len, off_t off) {
    return move_all(pwrite, fd, static_cast<const char *>(buf), len, static_cast<u64>(off)) == 0;
}

/* A lock of this open file on the bytes; none waits for it. */
bool set_lock(int fd, short type, off_t off, off_t len) {
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = off;
    lock.l_len = len;
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* How many sets give the room that is wanted. */
u64 sets_for(const ChunkCache::Config &config, u64 length, unsigned int ways) {
    const u64 wanted = config.bytes != 0 ? std::min<u64>(config.bytes, length) : length;
    return std::max<u64>(1, cw_div_up(cw_div_up(wanted, config.chunk), ways));
}

/* In a directory each URL has a file of its own. */
std::string file_of(const ChunkCache::Config &config) {
    std::error_code code;
    if (!std::filesystem::is_directory(config.path, code)) {
        return config.path;
    }
    char name[64];
    (void)snprintf(name, sizeof(name), "/%08x%08x.cloopw-net",
                   cw_crc32c(config.url.data(), config.url.size()),
                   static_cast<u32>(config.url.size()));
    return config.path + name;
}

Error no_cache(const std::string &path) {
    return Error(path + ": is no cache of a URL; name another file with --net-cache", EEXIST);
}

/* Nobody waits for a FIFO. A link could lead to another file of the user's. */
constexpr int kFlags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

/* Whoever owns a cache can fill it with blocks of his own. */
bool is_of_another(int fd) {
    struct stat st = {};
    return fstat(fd, &st) == 0 && st.st_uid != 0 && st.st_uid != geteuid();
}

/* A file of the user's must not become a cache. */
void refuse_other_file(const std::string &path, int fd) {
    struct stat st = {};
    Header header = {};
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        throw no_cache(path);
    }
    const bool read = read_all(fd, &header, sizeof(header), 0);
    if (st.st_size != 0 && (!read || !is_header(header))) {
        throw no_cache(path);
    }
}

}  // namespace

RemoteVersion ChunkCache::remembered(const Config &config) {
    const std::string path = file_of(config);
    const Fd fd(::open(path.c_str(), O_RDONLY | kFlags));
    if (fd.get() < 0) {
        throw io_error(path, "cannot be opened", errno, "without the network a cache is needed");
    }
    if (is_of_another(fd.get())) {
        throw Error(path + ": is another user's cache, and is not believed", EPERM);
    }
    Header header = {};
    if (!read_all(fd.get(), &header, sizeof(header), 0) || !is_right(header)) {
        throw no_cache(path);
    }
    const Identity identity = identity_of(header);
    if (identity.url != config.url) {
        throw Error(path + ": is the cache of another URL: " + identity.url, EINVAL);
    }
    return identity.version;
}

std::unique_ptr<ChunkCache> ChunkCache::open(const Config &config, const RemoteVersion &version) {
    const std::string path = file_of(config);
    bool read_only = false;
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | kFlags, S_IRUSR | S_IWUSR));
    if (fd.get() < 0 && (errno == EROFS || errno == EACCES)) {
        read_only = true;
        fd = Fd(::open(path.c_str(), O_RDONLY | kFlags));
    }
    if (fd.get() < 0) {
        cw_log_bad("%s: cannot be opened (%s): what is fetched is not kept", path.c_str(),
                   errno_text(errno).c_str());
        return nullptr;
    }
    if (is_of_another(fd.get())) {
        cw_log_bad("%s: is another user's, and is not believed: what is fetched is not kept",
                   path.c_str());
        return nullptr;
    }
    refuse_other_file(path, fd.get());
    std::unique_ptr<ChunkCache> cache(new ChunkCache(path, std::move(fd), read_only));
    if (cache->adopt(config, version)) {
        if (config.bytes != 0 && cache->sets_ != sets_for(config, version.length, kWays)) {
            cw_log_bad("%s: keeps room for %llu bytes, as it was made; remove it to change that",
                       path.c_str(), cache->sets_ * kWays * cache->chunk_bytes_);
        }
        return cache;
    }
    if (!config.may_begin) {
        throw Error(path +
                        ": has pieces of another size, or of another version; give the "
                        "--net-chunk that it was made with",
                    EINVAL);
    }
    if (read_only || !cache->begin(config, version)) {
        cw_log_bad("%s: cannot be written (%s): what is fetched is not kept", path.c_str(),
                   errno_text(read_only ? EROFS : errno).c_str());
        return nullptr;
    }
    return cache;
}

/* Is the file the cache of that version already? */
bool ChunkCache::adopt(const Config &config, const RemoteVersion &version) {
    Header header = {};
    struct stat st = {};
    if (!set_lock(fd_.get(), F_RDLCK, kInUse, 1) ||
        !read_all(fd_.get(), &header, sizeof(header), 0) || !is_right(header) ||
        fstat(fd_.get(), &st) != 0) {
        return false;
    }
    const Identity identity = identity_of(header);
    chunk_bytes_ = cw_from_le32(header.chunk);
    sets_ = cw_from_le64(header.sets);
    generation_ = cw_from_le32(header.generation);
    chunks_ = cw_div_up(version.length, config.chunk);
    const u64 most = static_cast<u64>(st.st_size) / (kWays * (u64{config.chunk} + sizeof(Entry)));
    return version.is_certain() && identity.url == config.url && identity.version == version &&
           chunk_bytes_ == config.chunk && sets_ != 0 && sets_ <= most;
}

/*
 * When two programs begin it at once, one does, and the other takes what that made. True:
 * there is such a cache; false: nobody else has it, and nobody gets it. Throws Error.
 */
bool ChunkCache::adopt_or_lock(const Config &config, const RemoteVersion &version) {
    constexpr int kTries = 20;
    constexpr unsigned int kSpread = 50; /* milliseconds */
    for (int i = 0; i < kTries; i++) {
        if (set_lock(fd_.get(), F_WRLCK, kInUse, 1)) {
            return false;
        }
        (void)set_lock(fd_.get(), F_UNLCK, kInUse, 1);
        std::this_thread::sleep_for(
            std::chrono::milliseconds(1 + std::random_device()() % kSpread));
        if (adopt(config, version)) {
            return true;
        }
    }
    throw Error(path_ +
                    ": is in use as the cache of another image or version; name another file "
                    "with --net-cache",
                EBUSY);
}

/* false: errno says why. */
bool ChunkCache::begin(const Config &config, const RemoteVersion &version) {
    if (adopt_or_lock(config, version)) {
        return true;
    }
    chunks_ = cw_div_up(version.length, config.chunk);
    chunk_bytes_ = config.chunk;
    sets_ = sets_for(config, version.length, kWays);
    generation_ = std::random_device()();

    Header header = {};
    memcpy(header.magic, kMagic, sizeof(header.magic));
    header.version = cw_to_le32(kVersion);
    header.chunk = cw_to_le32(chunk_bytes_);
    header.sets = cw_to_le64(sets_);
    header.generation = cw_to_le32(generation_);
    if (!set_identity(header, {config.url, version})) {
        errno = ENAMETOOLONG;
        return false;
    }
    header.crc = cw_to_le32(header_crc(header));
    /* The header first: a cut between these must not leave a file that is no cache. */
    const bool good =
        ftruncate(fd_.get(), 0) == 0 && write_all(fd_.get(), &header, sizeof(header), 0) &&
        fdatasync(fd_.get()) == 0 && ftruncate(fd_.get(), data_offset(sets_, 0)) == 0 &&
        set_lock(fd_.get(), F_RDLCK, kInUse, 1);
    if (!good) {
        const int err = errno;
        (void)!ftruncate(fd_.get(), 0);
        errno = err;
    }
    return good;
}

off_t ChunkCache::entry_offset(u64 set, unsigned int way) const {
    return static_cast<off_t>(kHeadBytes + (set * kWays + way) * sizeof(Entry));
}

off_t ChunkCache::data_offset(u64 set, unsigned int way) const {
    const u64 table = cw_div_up(sets_ * kWays * sizeof(Entry), kHeadBytes) * kHeadBytes;
    return static_cast<off_t>(kHeadBytes + table + (set * kWays + way) * chunk_bytes_);
}

bool ChunkCache::read_set(u64 set, Set *entries) const {
    return read_all(fd_.get(), entries->data(), sizeof(Set), entry_offset(set, 0));
}

bool ChunkCache::write_entry(u64 set, unsigned int way, Entry entry) const {
    entry.generation = cw_to_le32(generation_);
    entry.crc = cw_to_le32(cw_crc32c(&entry, offsetof(Entry, crc)));
    return write_all(fd_.get(), &entry, sizeof(entry), entry_offset(set, way));
}

bool ChunkCache::is_valid(const Entry &entry) const {
    const u64 chunk = cw_from_le64(entry.chunk);
    return chunk != 0 && chunk <= chunks_ && cw_from_le32(entry.len) <= chunk_bytes_ &&
           cw_from_le32(entry.generation) == generation_ &&
           cw_from_le32(entry.crc) == cw_crc32c(&entry, offsetof(Entry, crc));
}

std::optional<unsigned int> ChunkCache::find(const Set &entries, u64 chunk) const {
    for (unsigned int way = 0; way < kWays; way++) {
        if (is_valid(entries[way]) && cw_from_le64(entries[way].chunk) == chunk + 1) {
            return way;
        }
    }
    return std::nullopt;
}

/* Makes it the one of its set that was used last. */
void ChunkCache::touch(u64 set, Set *entries, unsigned int way) const {
    u64 highest = 0;
    for (unsigned int i = 0; i < kWays; i++) {
        if (i != way && is_valid((*entries)[i])) {
            highest = std::max<u64>(highest, cw_from_le64((*entries)[i].used));
        }
    }
    Entry &entry = (*entries)[way];
    if (cw_from_le64(entry.used) <= highest && !read_only_) {
        entry.used = cw_to_le64(highest + 1);
        (void)write_entry(set, way, entry);
    }
}

bool ChunkCache::read(u64 chunk, void *buf, u32 len) {
    const u64 set = set_of(chunk);
    Set entries;
    if (!read_set(set, &entries)) {
        return false;
    }
    const auto way = find(entries, chunk);
    if (!way || cw_from_le32(entries[*way].len) != len ||
        !read_all(fd_.get(), buf, len, data_offset(set, *way)) ||
        cw_crc32c(buf, len) != cw_from_le32(entries[*way].data_crc)) {
        return false;
    }
    if (sets_ * kWays < chunks_) { /* else nothing is ever evicted */
        touch(set, &entries, *way);
    }
    return true;
}

void ChunkCache::give_up(int err) {
    full_ = true;
    cw_log_bad("%s: cannot be written (%s): it keeps what it has, and no more", path_.c_str(),
               errno_text(err).c_str());
}

void ChunkCache::write(u64 chunk, const void *buf, u32 len) {
    const std::lock_guard guard(write_lock_);
    const u64 set = set_of(chunk);
    const off_t table = entry_offset(set, 0);
    Set entries;
    /* Another process that writes to this set keeps us out: then the chunk is not kept. */
    if (read_only_ || full_ || !set_lock(fd_.get(), F_WRLCK, table, sizeof(Set))) {
        return;
    }
    if (read_set(set, &entries)) {
        unsigned int victim = 0;
        u64 highest = 0;
        auto use = [&](unsigned int way) {
            return is_valid(entries[way]) ? cw_from_le64(entries[way].used) : 0;
        };
        for (unsigned int way = 0; way < kWays; way++) {
            victim = use(way) < use(victim) ? way : victim;
            highest = std::max<u64>(highest, use(way));
        }
        victim = find(entries, chunk).value_or(victim);
        Entry entry = {};
        bool good = write_entry(set, victim, entry) &&
                    write_all(fd_.get(), buf, len, data_offset(set, victim));
        entry.chunk = cw_to_le64(chunk + 1);
        entry.used = cw_to_le64(highest + 1);
        entry.len = cw_to_le32(len);
        entry.data_crc = cw_to_le32(cw_crc32c(buf, len));
        good = good && write_entry(set, victim, entry);
        if (!good) {
            give_up(errno);
        }
    }
    (void)set_lock(fd_.get(), F_UNLCK, table, sizeof(Set));
}

void ChunkCache::forget(u64 chunk) {
    const std::lock_guard guard(write_lock_);
    const u64 set = set_of(chunk);
    Set entries;
    if (read_only_ || !read_set(set, &entries)) {
        return;
    }
    if (const auto way = find(entries, chunk)) {
        (void)write_entry(set, *way, {});
    }
}

u64 ChunkCache::count() {
    u64 chunks = 0;
    Set entries;
    for (u64 set = 0; set < sets_ && read_set(set, &entries); set++) {
        chunks += static_cast<u64>(std::count_if(entries.begin(), entries.end(),
                                                 [&](const Entry &e) { return is_valid(e); }));
    }
    return chunks;
}

}  // namespace cloopw

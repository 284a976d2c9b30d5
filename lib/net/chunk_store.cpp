// SPDX-License-Identifier: GPL-2.0
#include "chunk_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "lib/error.h"
#include "lib/size.h"
#include "url.h"

namespace cloopw {
namespace {

constexpr u64 kMemory = u64{16} << 20; /* bytes of chunks that stay */
constexpr u64 kLeastKept = 8;          /* chunks */
constexpr u64 kMostInOne = 16;         /* chunks of a request */
constexpr u64 kMostAhead = 16;         /* chunks */

RemoteVersion version_of(Fetcher &fetcher, const ChunkCache::Config &cache, bool offline) {
    if (!offline) {
        return fetcher.pin();
    }
    RemoteVersion version = ChunkCache::remembered(cache);
    fetcher.pin(version);
    return version;
}

/* Without the network all has to be there. */
void want_all(ChunkCache &cache, u64 chunks, u32 chunk_bytes, const std::string &url) {
    const u64 there = cache.count();
    if (there < chunks) {
        throw Error(cache.path() + ": holds " + std::to_string(there) + " of the " +
                        std::to_string(chunks) + " pieces of " + exact_size(chunk_bytes) + " of " +
                        url + "; attach once with the network and read all of it",
                    ENODATA);
    }
}

}  // namespace

ChunkStore::ChunkStore(const std::string &url, const NetSettings &settings)
    : settings_(settings),
      chunk_bytes_(settings.chunk),
      most_kept_(std::max(kLeastKept, kMemory / chunk_bytes_)),
      most_ahead_(std::min(kMostAhead, most_kept_ / 2)), /* else they evict each other */
      fetcher_(url, settings) {
    const ChunkCache::Config config = {settings.cache, shown_name(url), settings.cache_bytes,
                                       !settings.offline, settings.chunk};
    version_ = version_of(fetcher_, config, settings.offline);
    if (version_.length == 0 || version_.length > CW_IMAGE_MAX_SIZE) {
        throw Error(shown_name(url) + ": has a length that no image has: " +
                        std::to_string(version_.length) + " bytes",
                    EINVAL);
    }
    if (!settings.cache.empty() && version_.is_certain()) {
        cache_ = ChunkCache::open(config, version_);
    } else if (!settings.cache.empty()) {
        cw_log_bad("%s: its server names no version of the file: what is fetched is not kept",
                   shown_name(url).c_str());
    }
    if (settings.offline) {
        if (!cache_) {
            throw Error(settings.cache +
                            ": cannot be read, and without the network there is "
                            "nothing else",
                        EIO);
        }
        want_all(*cache_, last_chunk() + 1, chunk_bytes_, shown_name(url));
    }
}

ChunkStore::~ChunkStore() { fetcher_.rest(); }

u32 ChunkStore::len_of(u64 chunk) const {
    return static_cast<u32>(std::min<u64>(chunk_bytes_, version_.length - chunk * chunk_bytes_));
}

NetStats ChunkStore::stats() const {
    const Fetcher::Stats fetched = fetcher_.stats();
    const std::lock_guard guard(lock_);
    return {fetched.requests, fetched.bytes, cache_hits_, saved_bytes_};
}

/*
 * Finds or makes the chunks of first to last. The new ones are in *mine: the caller loads
 * them. ahead: only so many as may be loading ahead. lock_ is held.
 */
ChunkStore::Chunks ChunkStore::claim(u64 first, u64 last, bool ahead, Chunks *mine) {
    Chunks all;
    all.reserve(last - first + 1);
    mine->reserve(last - first + 1);
    for (u64 number = first; number <= last; number++) {
        auto found = chunks_.find(number);
        if (found == chunks_.end()) {
            if (ahead && loading_ahead_ + mine->size() >= most_ahead_) {
                break;
            }
            auto chunk = std::make_shared<Chunk>();
            chunk->number = number;
            chunk->ahead = ahead;
            chunk->use.push_front(number);
            mine->push_back(chunk);
            found = chunks_.emplace(number, std::move(chunk)).first;
        }
        all.push_back(found->second);
    }
    return all;
}

/* False: distrust() or an eviction gave it up. lock_ is held. */
bool ChunkStore::is_known(const ChunkPtr &chunk) const {
    auto found = chunks_.find(chunk->number);
    return found != chunks_.end() && found->second == chunk;
}

/* lock_ is held. */
void ChunkStore::use(const ChunkPtr &chunk) {
    if (chunk->state == State::kThere && is_known(chunk)) {
        uses_.splice(uses_.begin(), uses_, chunk->used);
    }
}

/* Ends kLoading, and needs no memory for that. */
void ChunkStore::settle(const ChunkPtr &chunk, State state, int err) {
    const std::lock_guard guard(lock_);
    chunk->state = state;
    chunk->err = err;
    chunk->job.reset();
    const bool known = is_known(chunk);
    if (known && state == State::kFailed) {
        chunks_.erase(chunk->number); /* the next reader tries again */
    } else if (known) {
        chunk->used = chunk->use.begin();
        uses_.splice(uses_.begin(), chunk->use);
    }
    while (uses_.size() > most_kept_) {
        chunks_.erase(uses_.back());
        uses_.pop_back();
    }
    settled_.notify_all();
}

bool ChunkStore::take_from_cache(const ChunkPtr &chunk) {
    if (!cache_) {
        return false;
    }
    {
        const std::lock_guard guard(lock_);
        if (distrusted_.count(chunk->number) != 0) {
            return false;
        }
    }
    const u32 len = len_of(chunk->number);
    chunk->bytes.resize(len);
    if (!cache_->read(chunk->number, chunk->bytes.data(), len)) {
        return false;
    }
    {
        const std::lock_guard guard(lock_);
        cache_hits_++;
        saved_bytes_ += len;
    }
    settle(chunk, State::kThere, 0);
    return true;
}

/* Bytes of a request for chunks, which are neighbours; at: where in the request they begin. */
void ChunkStore::received(const Chunks &chunks, u64 at, const char *bytes, size_t len) {
    while (len != 0) {
        const ChunkPtr &chunk = chunks[at / chunk_bytes_];
        const u64 within = at % chunk_bytes_;
        const size_t part = std::min<size_t>(len, chunk_bytes_ - within);
        memcpy(chunk->bytes.data() + within, bytes, part);
        at += part;
        bytes += part;
        len -= part;
        if (within + part == len_of(chunk->number)) {
            std::unique_lock lock(lock_);
            const bool known = is_known(chunk); /* else its bytes may be wrong */
            lock.unlock();
            if (cache_ && known) {
                cache_->write(chunk->number, chunk->bytes.data(), len_of(chunk->number));
            }
            settle(chunk, State::kThere, 0);
        }
    }
}

/* One request for neighbours. */
void ChunkStore::fetch(const Chunks &chunks, bool urgent) {
    auto job = std::make_shared<FetchJob>();
    auto at = std::make_shared<u64>(0);
    u64 len = 0;
    job->urgent = urgent;
    for (const ChunkPtr &chunk : chunks) {
        chunk->bytes.resize(len_of(chunk->number));
        len += chunk->bytes.size();
    }
    job->range = {chunks.front()->number * chunk_bytes_, len};
    job->take = [this, chunks, at](const char *bytes, size_t got) {
        received(chunks, *at, bytes, got);
        *at += got;
    };
    job->done = [this, chunks, urgent](int err) {
        for (const ChunkPtr &chunk : chunks) {
            if (err != 0 && chunk->state == State::kLoading) { /* only this thread ends that */
                settle(chunk, State::kFailed, err);
            }
        }
        if (!urgent) {
            const std::lock_guard guard(lock_);
            loading_ahead_ -= chunks.size();
        }
    };
    {
        const std::lock_guard guard(lock_);
        for (const ChunkPtr &chunk : chunks) {
            chunk->job = job;
            job->urgent = job->urgent || chunk->wanted;
            job->past_caches = distrusted_.erase(chunk->number) != 0 || job->past_caches;
        }
        loading_ahead_ += urgent ? 0 : chunks.size();
    }
    try {
        fetcher_.submit(job);
    } catch (const std::exception &) {
        job->done(-ENOMEM);
        throw;
    }
}

/* A reader's neighbours come by one request. Chunks that are read ahead come one by one. */
void ChunkStore::fetch_in_runs(const Chunks &chunks, bool urgent) {
    Chunks run;
    for (const ChunkPtr &chunk : chunks) {
        const bool joins = !run.empty() && run.back()->number + 1 == chunk->number &&
                           run.size() < (urgent ? kMostInOne : 1);
        if (!run.empty() && !joins) {
            fetch(run, urgent);
            run.clear();
        }
        run.push_back(chunk);
    }
    if (!run.empty()) {
        fetch(run, urgent);
    }
}

void ChunkStore::load_claimed(const Chunks &mine, bool urgent) {
    Chunks missing;
    for (const ChunkPtr &chunk : mine) {
        if (!take_from_cache(chunk)) {
            missing.push_back(chunk);
        }
    }
    if (!settings_.offline) {
        fetch_in_runs(missing, urgent);
        return;
    }
    for (const ChunkPtr &chunk : missing) {
        settle(chunk, State::kFailed, -ENODATA);
    }
}

/* Without memory, chunks that nothing fetches must not look as if something did. */
void ChunkStore::load(const Chunks &mine, bool urgent) {
    try {
        load_claimed(mine, urgent);
    } catch (const std::exception &) {
        for (const ChunkPtr &chunk : mine) {
            std::unique_lock lock(lock_);
            const bool orphan = chunk->state == State::kLoading && !chunk->job;
            lock.unlock();
            if (orphan) {
                settle(chunk, State::kFailed, -ENOMEM);
            }
        }
        throw;
    }
}

int ChunkStore::wait_for(std::unique_lock<std::mutex> &lock, const ChunkPtr &chunk) {
    chunk->wanted = true; /* also for a job that is not made yet */
    if (chunk->state == State::kLoading && chunk->job) {
        const std::shared_ptr<FetchJob> job = chunk->job;
        lock.unlock();
        fetcher_.hurry(job);
        lock.lock();
    }
    settled_.wait(lock, [&] { return chunk->state != State::kLoading; });
    return chunk->state == State::kThere ? 0 : chunk->err;
}

/*
 * Waits for the chunk. One that was fetched ahead and failed, or that rest() cut off, is
 * fetched again, as one that a reader waits for.
 */
int ChunkStore::get(u64 number, ChunkPtr chunk, ChunkPtr *out) {
    std::unique_lock lock(lock_);
    for (;;) {
        const int err = wait_for(lock, chunk);
        if (err == 0) {
            use(chunk);
            *out = chunk;
            return 0;
        }
        if (err != -EAGAIN && !chunk->ahead) {
            return err;
        }
        Chunks mine;
        chunk = claim(number, number, false, &mine).front();
        lock.unlock();
        load(mine, true);
        lock.lock();
    }
}

/* Reads up to the end of chunk last, or of the range. Moves all three on. */
int ChunkStore::read_run(u64 first, u64 last, char **buf, size_t *len, u64 *off) {
    Chunks mine;
    Chunks all;
    {
        const std::lock_guard guard(lock_);
        all = claim(first, last, false, &mine);
    }
    load(mine, true);
    for (const ChunkPtr &wanted : all) {
        ChunkPtr chunk;
        const int err = get(wanted->number, wanted, &chunk);
        if (err != 0) {
            return err;
        }
        const u64 within = *off - chunk->number * chunk_bytes_;
        const size_t part = std::min<size_t>(*len, chunk->bytes.size() - within);
        memcpy(*buf, chunk->bytes.data() + within, part);
        *buf += part;
        *off += part;
        *len -= part;
    }
    return 0;
}

int ChunkStore::read(void *buf, size_t len, u64 off) {
    if (len == 0) {
        return 0;
    }
    const u64 first = off / chunk_bytes_;
    const u64 last = (off + len - 1) / chunk_bytes_;
    auto *at = static_cast<char *>(buf);
    for (u64 number = first; number <= last; number += kMostInOne) {
        const int err = read_run(number, std::min(last, number + kMostInOne - 1), &at, &len, &off);
        if (err != 0) {
            return err;
        }
    }
    try {
        read_ahead(first, last);
    } catch (const std::exception &) { /* the read itself is done */
    }
    return 0;
}

/* The stream that a read of this chunk continues, or a new one. lock_ is held. */
ChunkStore::Stream &ChunkStore::stream_of(u64 first) {
    for (Stream &stream : streams_) {
        if (stream.used != 0 && (stream.next == first || stream.next == first + 1)) {
            return stream;
        }
    }
    Stream &oldest =
        *std::min_element(streams_.begin(), streams_.end(),
                          [](const Stream &a, const Stream &b) { return a.used < b.used; });
    oldest = {};
    oldest.next = first;
    return oldest;
}

void ChunkStore::read_ahead(u64 first, u64 last) {
    u64 from = 0;
    u64 to = 0;
    {
        const std::lock_guard guard(lock_);
        Stream &stream = stream_of(first);
        if (stream.used != 0 && last + 1 > stream.next) {
            stream.window = std::min(std::max<u64>(1, stream.window * 2), most_ahead_);
        }
        stream.next = std::max(stream.next, last + 1);
        stream.used = ++clock_;
        from = std::max(stream.fetched, last) + 1;
        to = std::min(last + stream.window, last_chunk());
        stream.fetched = std::max(stream.fetched, to);
    }
    if (from <= to) {
        will_read(from * chunk_bytes_, (to - from + 1) * chunk_bytes_);
    }
}

void ChunkStore::will_read(u64 off, u64 len) {
    if (len == 0 || off >= version_.length) {
        return;
    }
    len = std::min({len, version_.length - off, most_ahead_ * chunk_bytes_});
    Chunks mine;
    {
        const std::lock_guard guard(lock_);
        (void)claim(off / chunk_bytes_, (off + len - 1) / chunk_bytes_, true, &mine);
    }
    load(mine, false);
}

bool ChunkStore::distrust(u64 off, u64 len) {
    if (settings_.offline || len == 0 || off >= version_.length) {
        return false;
    }
    const u64 last = (off + std::min(len, version_.length - off) - 1) / chunk_bytes_;
    for (u64 number = off / chunk_bytes_; number <= last; number++) {
        if (cache_) {
            cache_->forget(number);
        }
        const std::lock_guard guard(lock_);
        distrusted_.insert(number);
        auto found = chunks_.find(number);
        if (found == chunks_.end()) {
            continue;
        }
        if (found->second->state == State::kThere) {
            uses_.erase(found->second->used);
        }
        chunks_.erase(found); /* one that is loading may come from a cache, too */
    }
    return true;
}

}  // namespace cloopw

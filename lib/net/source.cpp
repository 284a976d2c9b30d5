// SPDX-License-Identifier: GPL-2.0
#include "source.h"

#include <cerrno>
#include <map>
#include <memory>
#include <mutex>

#include "lib/error.h"
#include "url.h"

namespace cloopw {
namespace {

struct UrlIo {
    cw_io io = {};
    std::string name;
    u64 offset = 0; /* the window's first byte in the file */
    u64 size = 0;   /* bytes of the window */
    std::shared_ptr<ChunkStore> store;
};

/* All ios of a URL share one store, and so one version of the file. */
std::shared_ptr<ChunkStore> store_of(const std::string &url) {
    /* No destructor may run in a process that has forked a server. */
    static auto *const lock = new std::mutex;
    static auto *const stores = new std::map<std::string, std::weak_ptr<ChunkStore>>;
    const std::lock_guard guard(*lock);
    std::weak_ptr<ChunkStore> &known = (*stores)[url];
    std::shared_ptr<ChunkStore> store = known.lock();
    if (!store) {
        store = std::make_shared<ChunkStore>(url, net_settings());
        known = store;
    }
    return store;
}

UrlIo *to_url_io(const cw_io *io) {
    /* io is the first member */
    return reinterpret_cast<UrlIo *>(const_cast<cw_io *>(io));
}

/* Exceptions must not reach the engine. */
template <typename Function>
int guarded(Function function) {
    try {
        return function();
    } catch (const std::exception &) {
        return -ENOMEM;
    }
}

int url_pread(cw_io *io, void *buf, size_t len, u64 off) {
    UrlIo *url = to_url_io(io);
    if (cw_outside(off, len, url->size)) {
        return -EIO;
    }
    return guarded([&] { return url->store->read(buf, len, url->offset + off); });
}

void url_will_read(cw_io *io, u64 off, u64 len) {
    UrlIo *url = to_url_io(io);
    if (!cw_outside(off, len, url->size)) {
        (void)guarded([&] {
            url->store->will_read(url->offset + off, len);
            return 0;
        });
    }
}

bool url_distrust(cw_io *io, u64 off, u64 len) {
    UrlIo *url = to_url_io(io);
    bool again = false;
    (void)guarded([&] {
        again = !cw_outside(off, len, url->size) && url->store->distrust(url->offset + off, len);
        return 0;
    });
    return again;
}

int url_pwrite(cw_io *, const void *, size_t, u64) { return -EROFS; }

int url_flush(cw_io *) { return 0; }

int url_punch(cw_io *, u64, u64) { return -EOPNOTSUPP; }

int url_size(cw_io *io, u64 *size) {
    *size = to_url_io(io)->size;
    return 0;
}

cw_io_ops make_ops() {
    cw_io_ops ops = {};
    ops.pread = url_pread;
    ops.will_read = url_will_read;
    ops.distrust = url_distrust;
    ops.pwrite = url_pwrite;
    ops.flush = url_flush;
    ops.punch = url_punch;
    ops.size = url_size;
    return ops;
}

const cw_io_ops kUrlOps = make_ops();

bool is_url_io(const cw_io &io) { return io.ops == &kUrlOps; }

Io open_url(const std::string &name, u64 offset, u64 limit) {
    check_url(name);
    auto url = std::make_unique<UrlIo>();
    url->name = shown_name(name);
    url->store = store_of(name);
    const u64 length = url->store->length();
    url->offset = std::min(offset, length);
    url->size = length - url->offset;
    if (limit != 0) {
        url->size = std::min(url->size, limit);
    }
    url->io.ops = &kUrlOps;
    url->io.name = url->name.c_str();
    const time_t modified = curl_library().getdate(url->store->version().modified.c_str(), nullptr);
    url->io.mtime = modified > 0 ? modified : 0;
    return Io::take(&url.release()->io, [](cw_io *io) { delete to_url_io(io); });
}

}  // namespace

Io open_source(const std::string &name, u64 offset, u64 limit) {
    if (is_remote(name)) {
        return open_url(name, offset, limit);
    }
    return Io::open(without_file_scheme(name), Io::Mode::kRead, offset, limit);
}

std::optional<NetStats> net_stats(const cw_io &io) {
    return is_url_io(io) ? std::optional(to_url_io(&io)->store->stats()) : std::nullopt;
}

u64 version_sum(const cw_io &io) {
    constexpr unsigned int kHalf = 32;
    if (!is_url_io(io)) {
        return 0;
    }
    const RemoteVersion &version = to_url_io(&io)->store->version();
    const std::string texts = strong_tag(version.etag) + "\n" + version.modified;
    return u64{cw_crc32c(texts.data(), texts.size())} << kHalf |
           cw_crc32c(&version.length, sizeof(version.length));
}

void abandon_source(const cw_io &io) {
    if (is_url_io(io)) {
        to_url_io(&io)->store->abandon();
    }
}

void rest_source(const cw_io &io) {
    if (is_url_io(io)) {
        to_url_io(&io)->store->rest();
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "new_log.h"

#include <sys/stat.h>

#include <cerrno>
#include <new>

namespace cloopw {

CachePtr make_cache() {
    CachePtr cache(cw_cache_create(CW_DEFAULT_CACHE_BYTES));
    if (!cache) {
        throw std::bad_alloc();
    }
    return cache;
}

void want_file(const OutputFile &output, const std::string &name) {
    if (output.is_device()) {
        throw Error(name + ": is a block device; name a file, and copy that", EINVAL);
    }
}

u64 space_of(const std::string &path) {
    struct stat st = {};
    return stat(path.c_str(), &st) == 0 ? static_cast<u64>(st.st_blocks) * CW_SECTOR_SIZE : 0;
}

NewLog::NewLog(const Io &io, const cw_cow_base &base) : cache_(make_cache()) {
    cw_cow *cow = nullptr;
    cw_report report = {};
    int err = cw_cow_open(&io.get(), cache_.get(), true, &base, &cow, &report);
    if (err != 0) {
        throw error_of(report, err, io.name());
    }
    cow_.reset(cow);
}

void NewLog::write(const u8 *buf, u32 len, u64 off) {
    check(cow_->format->write(cow_.get(), off, len, buf), "cannot be written");
}

void NewLog::zero(u64 off, u64 len) {
    check(cow_->format->zero(cow_.get(), off, len), "cannot be written");
}

bool NewLog::set_limit(u64 bytes) {
    const int err = cow_->format->set_limit(cow_.get(), bytes);
    check(err == -ENOSPC ? 0 : err, "cannot be given its limit");
    return err == 0;
}

void NewLog::freeze(const Uuid &uuid) {
    cow_->format->settle(cow_.get());
    check(cow_->format->freeze(cow_.get(), uuid.data()), "cannot be frozen");
}

void NewLog::finish() {
    if (!cow_->frozen) {
        check(cow_->format->flush(cow_.get()), "cannot be flushed");
    }
    cow_.reset();
}

u64 NewLog::plain_bytes() const {
    cw_cow_stat stat = {};
    cow_->format->stat(cow_.get(), &stat);
    return stat.plain_bytes;
}

void NewLog::check(int err, const char *what) const {
    if (err != 0) {
        throw io_error(cow_->io->name, what, err);
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "history.h"

#include <algorithm>
#include <stdexcept>

namespace cloopw::crash {

/* ---- recording ---- */

const cw_io_ops RecordIo::kOps = {
    .pread = do_pread,
    .pread_two = nullptr,
    .will_read = nullptr,
    .pwrite = do_pwrite,
    .flush = do_flush,
    .allocate = do_allocate,
    .punch = do_punch,
    .size = do_size,
    .capacity = nullptr,
};

RecordIo::RecordIo(Image *image, RecordIo *first, u32 file)
    : cw_io{}, first_(first != nullptr ? first : this), file_(file), image_(image) {
    static const char *const kNames[Files::kCount] = {"cow", "cow1", "cow2"};
    this->ops = &kOps;
    this->name = kNames[file];
}

u32 RecordIo::mark() {
    std::lock_guard<std::mutex> hold(lock_);
    events_.push_back({.kind = Event::Kind::kMark});
    return static_cast<u32>(events_.size());
}

u32 RecordIo::count() {
    std::lock_guard<std::mutex> hold(lock_);
    return static_cast<u32>(events_.size());
}

int RecordIo::do_pread(cw_io *io, void *buf, size_t len, u64 off) {
    RecordIo &file = self(io);
    std::lock_guard<std::mutex> hold(file.first_->lock_);
    return file.image_->read(off, buf, len) ? 0 : -EIO;
}

int RecordIo::do_pwrite(cw_io *io, const void *buf, size_t len, u64 off) {
    RecordIo &file = self(io);
    RecordIo &all = *file.first_;
    if (off + len > all.max) {
        return -ENOSPC;
    }
    const int err = all.on_write ? all.on_write() : 0;
    const u8 *from = static_cast<const u8 *>(buf);
    const size_t part = err != 0 ? len / 2 / CW_SECTOR_SIZE * CW_SECTOR_SIZE : len;
    size_t n;
    {
        std::lock_guard<std::mutex> hold(all.lock_);
        file.image_->write(off, from, part);
        n = all.events_.size();
        all.events_.push_back(
            {Event::Kind::kWrite, off, part, file.file_, Bytes(from, from + part)});
    }
    std::lock_guard<std::mutex> hold(all.lock_);
    all.events_[n].done = static_cast<u32>(all.on_write ? all.events_.size() : n + 1);
    return err;
}

int RecordIo::do_flush(cw_io *io) {
    RecordIo &file = self(io);
    RecordIo &all = *file.first_;
    const u32 begun = all.mark();
    std::lock_guard<std::mutex> hold(all.lock_);
    all.events_.push_back({.kind = Event::Kind::kFlush, .file = file.file_, .begun = begun});
    return 0;
}

int RecordIo::do_allocate(cw_io *io, u64 off, u64 len) {
    RecordIo &file = self(io);
    RecordIo &all = *file.first_;
    if (off + len > all.max) {
        return -ENOSPC;
    }
    std::lock_guard<std::mutex> hold(all.lock_);
    file.image_->extend(off + len);
    const u32 done = static_cast<u32>(all.events_.size() + 1);
    all.events_.push_back({Event::Kind::kAllocate, off, len, file.file_, {}, done});
    return 0;
}

int RecordIo::do_punch(cw_io *io, u64 off, u64 len) {
    RecordIo &file = self(io);
    RecordIo &all = *file.first_;
    std::lock_guard<std::mutex> hold(all.lock_);
    file.image_->punch(off, len);
    const u32 done = static_cast<u32>(all.events_.size() + 1);
    all.events_.push_back({Event::Kind::kPunch, off, len, file.file_, {}, done});
    return 0;
}

int RecordIo::do_size(cw_io *io, u64 *size) {
    RecordIo &file = self(io);
    std::lock_guard<std::mutex> hold(file.first_->lock_);
    *size = file.image_->size();
    return 0;
}

/* ---- crashes ---- */

namespace {

void apply(const Event &event, Files *files) {
    Image *image = &(*files)[event.file];
    switch (event.kind) {
        case Event::Kind::kWrite:
            image->write(event.off, event.data.data(), event.len);
            break;
        case Event::Kind::kPunch:
            image->punch(event.off, event.len);
            break;
        case Event::Kind::kAllocate:
            image->extend(event.off + event.len);
            break;
        default:
            break;
    }
}

/* Some of the sectors of a write, some of the blocks of a hole. */
void apply_torn(const Event &event, Random *random, Files *files) {
    Image *image = &(*files)[event.file];
    const bool prefix = (*random)() % 2 == 0;
    const u64 unit = event.kind == Event::Kind::kPunch ? Image::kBlock : CW_SECTOR_SIZE;
    const u64 units = event.len / unit;
    const u64 keep = (*random)() % (units + 1);
    if (event.kind == Event::Kind::kAllocate) {
        image->extend(event.off + keep * unit);
        return;
    }
    for (u64 i = 0; i < units; i++) {
        if (prefix ? i >= keep : (*random)() % 2 == 0) {
            continue;
        }
        if (event.kind == Event::Kind::kPunch) {
            image->punch(event.off + i * unit, unit);
        } else {
            image->write(event.off + i * unit, event.data.data() + i * unit, unit);
        }
    }
}

}  // namespace

void Replay::go_to(u32 at) {
    for (; at_ < at; at_++) {
        const Event &event = events_[at_];
        if (event.kind == Event::Kind::kMark) {
            continue;
        }
        if (event.kind != Event::Kind::kFlush) {
            pending_.push_back(at_);
            continue;
        }
        /* It covers what had returned when it was called. */
        auto covered = [&](u32 n) {
            return events_[n].file == event.file && events_[n].done <= event.begun;
        };
        for (u32 n : pending_) {
            if (covered(n)) {
                apply(events_[n], &durable_);
            }
        }
        std::erase_if(pending_, covered);
    }
}

void Replay::crash(Mode mode, Random *random, Files *out) const {
    std::vector<u32> left = pending_;
    if (mode == Mode::kNone) {
        return;
    }
    if (mode == Mode::kPrefix && !left.empty()) {
        left.resize((*random)() % left.size());
    }
    const u64 chance = 1 + (*random)() % 15; /* of 16 */
    if (mode == Mode::kSubset || mode == Mode::kTorn) {
        std::erase_if(left, [&](u32) { return (*random)() % 16 >= chance; });
        if ((*random)() % 4 == 0) {
            std::shuffle(left.begin(), left.end(), *random);
        }
    }
    for (size_t i = 0; i < left.size(); i++) {
        const bool last = i + 1 == left.size();
        const bool torn =
            mode == Mode::kTorn ? (*random)() % 3 == 0 : mode == Mode::kPrefix && last;
        if (torn) {
            apply_torn(events_[left[i]], random, out);
        } else {
            apply(events_[left[i]], out);
        }
    }
}

/* ---- keeping ---- */

namespace {

void put(FILE *file, const void *data, size_t len) {
    if (fwrite(data, 1, len, file) != len) {
        throw std::runtime_error("cannot write the history");
    }
}

void get(FILE *file, void *data, size_t len) {
    if (fread(data, 1, len, file) != len) {
        throw std::runtime_error("cannot read the history");
    }
}

}  // namespace

void save_events(FILE *file, const Events &events) {
    const u64 count = events.size();
    put(file, &count, sizeof(count));
    for (const Event &event : events) {
        const u64 len = event.data.size();
        put(file, &event.kind, sizeof(event.kind));
        put(file, &event.off, sizeof(event.off));
        put(file, &event.len, sizeof(event.len));
        put(file, &event.file, sizeof(event.file));
        put(file, &event.done, sizeof(event.done));
        put(file, &event.begun, sizeof(event.begun));
        put(file, &len, sizeof(len));
        put(file, event.data.data(), len);
    }
}

Events load_events(FILE *file) {
    u64 count;
    get(file, &count, sizeof(count));
    Events events(count);
    for (Event &event : events) {
        u64 len;
        get(file, &event.kind, sizeof(event.kind));
        get(file, &event.off, sizeof(event.off));
        get(file, &event.len, sizeof(event.len));
        get(file, &event.file, sizeof(event.file));
        if (event.file >= Files::kCount) {
            throw std::runtime_error("the history names a file that there is not");
        }
        get(file, &event.done, sizeof(event.done));
        get(file, &event.begun, sizeof(event.begun));
        get(file, &len, sizeof(len));
        event.data.resize(len);
        get(file, event.data.data(), len);
    }
    return events;
}

}  // namespace cloopw::crash

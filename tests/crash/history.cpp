// SPDX-License-Identifier: GPL-2.0
#include "history.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

namespace cloopw::crash {

/* ---- recording ---- */

const cw_io_ops RecordIo::kOps = {
    .pread = do_pread,
    .pread_two = nullptr,
    .will_read = nullptr,
    .distrust = nullptr,
    .pwrite = do_pwrite,
    .flush = do_flush,
    .allocate = do_allocate,
    .punch = do_punch,
    .size = do_size,
    .capacity = nullptr,
    .next_data = nullptr,
};

RecordIo::RecordIo(Image *image, RecordIo *first, u32 file)
    : cw_io{},
      first_(first != nullptr ? first : this),
      file_(file),
      image_(image),
      disk_(image->below()) {
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

Events RecordIo::take_events() {
    trouble = nullptr;
    tracks_disk = false;
    return std::exchange(events_, {});
}

void RecordIo::leave_disk() {
    dirty_.clear();
    lost_.clear();
}

/* With lock_ of the first. */
void RecordIo::add(Event event) {
    Events &events = first_->events_;
    event.file = file_;
    if (event.done == kNever) {
        event.done = static_cast<u32>(events.size() + 1);
    }
    events.push_back(std::move(event));
}

/* A thread that has the lock itself waits in vain. Others give it back soon. */
void RecordIo::look_for_lock() {
    using Clock = std::chrono::steady_clock;
    cw_mutex *const lock = forbidden;
    if (lock == nullptr) {
        return;
    }
    const auto end = Clock::now() + std::chrono::seconds(10);
    while (!cw_mutex_trylock(lock)) {
        if (Clock::now() > end) {
            std::lock_guard<std::mutex> hold(first_->lock_);
            first_->complaint_ = "a file is read or written with the log's lock held";
            forbidden = nullptr;
            return;
        }
        std::this_thread::yield();
    }
    cw_mutex_unlock(lock);
}

int RecordIo::before(Call call) {
    look_for_lock();
    return first_->trouble ? first_->trouble->before(call) : 0;
}

/* Makes the content in memory the disk's again. */
void RecordIo::reload(const Event &event) {
    const u64 first = event.off / Image::kBlock * Image::kBlock;
    Bytes bytes(Image::kBlock);
    for (u64 off = first; off < event.off + event.len; off += Image::kBlock) {
        const u64 inside = std::min(Image::kBlock, disk_.size() - std::min(disk_.size(), off));
        std::fill(bytes.begin(), bytes.end(), u8{0});
        if (inside != 0 && disk_.read(off, bytes.data(), inside)) {
            image_->write(off, bytes.data(), inside);
        } else {
            image_->punch(off, Image::kBlock);
        }
    }
}

/* With lock_ of the first. */
void RecordIo::lose_some() {
    for (u32 &n : dirty_) {
        if (first_->trouble->flip()) {
            add({.kind = Event::Kind::kLost, .begun = n});
            lost_.push_back(n);
            n = kNever;
            error_ = -EIO;
        }
    }
}

/* With lock_ of the first. */
void RecordIo::write_back(bool fails) {
    const Events &events = first_->events_;
    if (fails) {
        lose_some();
    }
    for (u32 n : dirty_) {
        if (n != kNever) {
            disk_.write(events[n].off, events[n].data.data(), events[n].len);
        }
    }
    dirty_.clear();
    if (!fails || !first_->trouble->flip()) {
        return;
    }
    for (u32 n : lost_) {
        reload(events[n]);
    }
    lost_.clear();
}

void RecordIo::forget_lost() {
    std::lock_guard<std::mutex> hold(first_->lock_);
    write_back(false);
    for (u32 n : lost_) {
        reload(first_->events_[n]);
    }
    lost_.clear();
    error_ = 0;
}

int RecordIo::do_pread(cw_io *io, void *buf, size_t len, u64 off) {
    RecordIo &file = self(io);
    if (const int err = file.before(Call::kRead); err != 0) {
        return err;
    }
    std::lock_guard<std::mutex> hold(file.first_->lock_);
    return file.image_->read(off, buf, len) ? 0 : -EIO;
}

int RecordIo::do_pwrite(cw_io *io, const void *buf, size_t len, u64 off) {
    RecordIo &file = self(io);
    RecordIo &all = *file.first_;
    if (off + len > all.max) {
        return -ENOSPC;
    }
    const int err = file.before(Call::kWrite);
    const u8 *from = static_cast<const u8 *>(buf);
    const size_t part = err != 0 ? len / 2 / CW_SECTOR_SIZE * CW_SECTOR_SIZE : len;
    size_t n;
    {
        std::lock_guard<std::mutex> hold(all.lock_);
        file.image_->write(off, from, part);
        n = all.events_.size();
        if (all.tracks_disk) {
            file.dirty_.push_back(static_cast<u32>(n));
        }
        file.add({Event::Kind::kWrite, off, part, file.file_, Bytes(from, from + part)});
    }
    if (all.trouble) {
        all.trouble->pause();
    }
    std::lock_guard<std::mutex> hold(all.lock_);
    all.events_[n].done = static_cast<u32>(all.trouble ? all.events_.size() : n + 1);
    if (all.trouble && all.trouble->loses()) {
        file.write_back(true);
    }
    return err;
}

/* The first caller gets the error, and nobody else. */
int RecordIo::do_flush(cw_io *io) {
    RecordIo &file = self(io);
    RecordIo &all = *file.first_;
    file.look_for_lock();
    const u32 begun = all.mark();
    {
        std::lock_guard<std::mutex> hold(all.lock_);
        file.write_back(all.trouble && all.trouble->loses());
    }
    if (all.trouble) {
        all.trouble->pause();
    }
    int err;
    {
        std::lock_guard<std::mutex> hold(all.lock_);
        err = std::exchange(file.error_, 0);
        if (err == 0) {
            file.add({.kind = Event::Kind::kFlush, .begun = begun});
        }
    }
    if (err != 0 && all.trouble) {
        all.trouble->pause();
    }
    return err;
}

int RecordIo::do_allocate(cw_io *io, u64 off, u64 len) {
    RecordIo &file = self(io);
    RecordIo &all = *file.first_;
    if (off + len > all.max) {
        return -ENOSPC;
    }
    if (const int err = file.before(Call::kAllocate); err != 0) {
        return err;
    }
    std::lock_guard<std::mutex> hold(all.lock_);
    file.image_->extend(off + len);
    file.disk_.extend(off + len);
    file.add({Event::Kind::kAllocate, off, len});
    return 0;
}

/* Forgets the range's content in memory. */
int RecordIo::do_punch(cw_io *io, u64 off, u64 len) {
    RecordIo &file = self(io);
    RecordIo &all = *file.first_;
    if (const int err = file.before(Call::kPunch); err != 0) {
        return err;
    }
    std::lock_guard<std::mutex> hold(all.lock_);
    file.write_back(false);
    file.image_->punch(off, len);
    file.disk_.punch(off, len);
    file.add({Event::Kind::kPunch, off, len});
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

/* The medium's blocks that are lost with the data written to them. */
struct Destroyed {
    u32 file;
    u64 off;
};

/* Chooses the destroyed blocks of those that a write touches. */
void destroy_some(const Event &event, u64 block, Random *random, std::vector<Destroyed> *out) {
    const u64 first = event.off / block;
    const u64 blocks = cw_div_up(event.off + event.len, block) - first;
    if (event.len == 0 || (*random)() % 2 == 0) {
        return;
    }
    for (u64 i = 0; i < 1 + (*random)() % 3; i++) {
        out->push_back({event.file, (first + (*random)() % blocks) * block});
    }
}

/* Other bytes than any that were there, or zeros. */
void destroy(const Destroyed &lost, u64 block, Random *random, Files *files) {
    Image *image = &(*files)[lost.file];
    Bytes junk(std::min(block, image->size() - std::min(image->size(), lost.off)));
    if ((*random)() % 4 != 0) {
        std::generate(junk.begin(), junk.end(), [&] { return static_cast<u8>((*random)()); });
    }
    image->write(lost.off, junk.data(), junk.size());
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
        if (event.kind == Event::Kind::kLost) {
            std::erase(pending_, event.begun);
            continue;
        }
        if (event.kind != Event::Kind::kFlush) {
            pending_.push_back(at_);
            continue;
        }
        /* A flush covers the calls that had returned before it. */
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

void Replay::crash(Mode mode, u64 block, Random *random, Files *out) const {
    std::vector<u32> left = pending_;
    if (mode == Mode::kNone) {
        return;
    }
    if (mode == Mode::kPrefix && !left.empty()) {
        left.resize((*random)() % left.size());
    }
    const u64 chance = 1 + (*random)() % 15; /* sixteenths */
    if (mode == Mode::kSubset || mode == Mode::kTorn) {
        std::erase_if(left, [&](u32) { return (*random)() % 16 >= chance; });
        if ((*random)() % 4 == 0) {
            std::shuffle(left.begin(), left.end(), *random);
        }
    }
    std::vector<Destroyed> destroyed;
    for (size_t i = 0; i < left.size(); i++) {
        const Event &event = events_[left[i]];
        const bool last = i + 1 == left.size();
        const bool torn =
            mode == Mode::kTorn ? (*random)() % 3 == 0 : mode == Mode::kPrefix && last;
        if (!torn) {
            apply(event, out);
            continue;
        }
        apply_torn(event, random, out);
        if (event.kind == Event::Kind::kWrite) {
            destroy_some(event, block, random, &destroyed);
        }
    }
    for (const Destroyed &lost : destroyed) {
        destroy(lost, block, random, out);
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

// SPDX-License-Identifier: GPL-2.0
#include "workload.h"

#include <algorithm>
#include <cstring>

extern "C" {
#include "layers.h"
#include "log/log.h"
}

namespace cloopw::crash {

/*
 * Some devices are used around a place where a number or a table of the log ends. The map has
 * a directory page for 1 GiB, and a root for 512 GiB. The others are 2^32 bytes and 2^31
 * sectors.
 */
static u64 choose_origin(Random *random) {
    static constexpr u64 kGiB = u64{1} << 30;
    static constexpr u64 kEdges[] = {kGiB, 4 * kGiB, 512 * kGiB, 1024 * kGiB};
    if ((*random)() % 8 != 0) {
        return 0;
    }
    return kEdges[(*random)() % std::size(kEdges)] - (*random)() % 256 * CW_PAGE_SIZE;
}

/* Kinds 0 to 4 differ in what is written. */
static void choose_writes(u64 kind, Random &random, Shape &shape) {
    constexpr u64 kMiB = u64{1} << 20;
    if (kind < 3) { /* much is rewritten: segments die, are cleaned and used again */
        shape.device_bytes += (1 + random() % 2) * kMiB;
        shape.noise = 12 + static_cast<u32>(random() % 5);
        shape.max_pages = 8 + static_cast<u32>(random() % 25);
        shape.ops = 300 + static_cast<u32>(random() % 500);
        shape.limit = random() % 2 == 0 ? 0 : (9 + random() % 4) * kMiB;
    } else if (kind == 3) { /* it does not fit */
        shape.device_bytes += 4 * kMiB;
        shape.noise = 16;
        shape.ops = 300 + static_cast<u32>(random() % 300);
        shape.limit = (7 + random() % 3) * kMiB;
    } else if (kind == 4) { /* records of few sectors, so that they meet by chance */
        shape.max_pages = 2;
        shape.noise = 0;
        shape.ops = 300 + static_cast<u32>(random() % 1500);
    }
}

Shape Shape::from(u64 seed, const std::string &codec) {
    static const char *const kCodecs[] = {"lz4", "none", "zstd", "zlib", "lz4", "none"};
    constexpr u64 kMiB = u64{1} << 20;
    Random random(seed);
    Shape shape{};
    const u64 kind = random() % 8;
    shape.codec = codec.empty() ? kCodecs[random() % 6] : codec;
    shape.device_bytes = (1 + random() % 256) * CW_PAGE_SIZE - random() % 8 * CW_SECTOR_SIZE;
    shape.threads = random() % 3 == 0 ? 2 + static_cast<u32>(random() % 3) : 1;
    shape.ops = 60 + static_cast<u32>(random() % 200);
    shape.max_pages = 1 + static_cast<u32>(random() % 32);
    shape.flush_every = 3 + static_cast<u32>(random() % 30);
    shape.noise = static_cast<u32>(random() % 17);
    shape.file_max = u64{1} << 40;
    choose_writes(kind, random, shape);
    if (kind == 5) { /* records of one length, so that a lost one fits where others are written */
        shape.device_bytes += 3 * kMiB;
        shape.codec = codec.empty() ? "none" : codec;
        shape.uniform = true;
        shape.threads = 1;
        shape.max_pages = CW_LOG_EXTENT_PAGES;
        shape.noise = 17;
        shape.flush_every = 20 + static_cast<u32>(random() % 80);
    } else if (random() % 10 == 0) {
        shape.file_max = (5 + random() % 6) * kMiB;
    }
    shape.troubles.thin = random() % 12 == 0;
    shape.snapshots = random() % 4 == 0 ? 1 + static_cast<u32>(random() % 2) : 0;
    shape.ops = shape.ops / shape.threads + 1;
    shape.whole_pages = random() % 3 == 0;
    shape.attaches = shape.snapshots == 0 && random() % 3 == 0 ? 1 + random() % 3 : 0;
    shape.most_bytes = shape.device_bytes;
    if (shape.threads == 1 && random() % 3 == 0) {
        shape.device_bytes = cw_round_up(shape.device_bytes, CW_PAGE_SIZE);
        shape.most_bytes = shape.device_bytes + (1 + random() % 1024) * CW_PAGE_SIZE;
    }
    shape.resets = shape.threads == 1 && random() % 4 == 0;
    shape.origin = choose_origin(&random);
    shape.block = random() % 2 == 0 ? CW_SECTOR_SIZE : 4096;
    shape.troubles.delays = shape.threads > 1;
    shape.troubles.errors = random() % 4 == 0;
    shape.troubles.writeback = random() % 4 == 0;
    return shape;
}

/* Each content is unlike any other, unless it is zeros. */
void fill_page(u8 *page, u64 len, u32 noise, Random *random) {
    const u64 kind = (*random)() % 16;
    if (kind == 15 && noise <= 16) {
        memset(page, 0, len);
        return;
    }
    const u64 seed = (*random)();
    u64 state = seed;
    for (u64 i = 0; i < len; i += sizeof(state)) {
        state = state * 6364136223846793005 + 1442695040888963407;
        const u64 word = kind < noise || i % 512 == 0 ? state ^ state >> 29 : seed;
        memcpy(page + i, &word, std::min<u64>(sizeof(word), len - i));
    }
}

Attached::Attached(cw_io *base, RecordedFiles *files, const char *when, u64 origin)
    : files_(files), origin_(origin) {
    find_layers(files);
    std::vector<cw_io *> layers;
    for (u32 i = layers_; i-- > 0;) {
        layers.push_back(files->io[i].get());
    }
    const cw_device_config config = {
        .base = base,
        .format = &cw_image_raw,
        .layers = layers.data(),
        .nr_layers = layers_,
        .read_only = false,
        .record = false,
        .cache_bytes = 1 << 20,
        .cache_budget = nullptr,
    };
    cw_report report = {};
    if (cw_device_open(&config, &device_, &report) != 0) {
        throw Violation(std::string("cannot be attached ") + when + ": " + report.text);
    }
    forbid_locks(true);
}

/* Forbids each log's own lock, while the log is in use. */
void Attached::forbid_locks(bool forbid) {
    const cw_layers *layers = cw_device_layers(device_);
    for (u32 i = 0; i < layers->nr; i++) {
        cw_log *log = static_cast<cw_log *>(layers->layer[layers->nr - 1 - i]->priv);
        files_->io[i].forbidden = forbid ? &log->lock : nullptr;
    }
}

void Attached::find_layers(RecordedFiles *files) {
    auto id = std::make_unique<cw_cow_identity>();
    do {
        cw_report report = {};
        if (cw_cow_identify(files->io[layers_].get(), id.get(), &report) != 0) {
            throw Violation("says nothing of itself: " + std::string(report.text));
        }
        layers_++;
    } while (id->frozen && layers_ < Files::kCount);
    if (id->frozen) {
        throw Violation("the last layer is frozen, too");
    }
}

void Attached::snapshot(RecordedFiles *files, Model *model, std::vector<FlushCall> *flushes) {
    auto id = std::make_unique<cw_cow_identity>();
    if (!may_snapshot_ || layers_ == Files::kCount ||
        cw_cow_identify(files->io[layers_].get(), id.get(), nullptr) != 0 || !id->unused ||
        id->size != origin_ + size()) {
        return;
    }
    const u32 start = files->first().mark();
    cw_report report = {};
    const Trouble *trouble = files->first().trouble.get();
    const int err = cw_device_snapshot(device_, files->io[layers_].get(), &report);
    if (err == 0) {
        layers_++;
        forbid_locks(true);
        model->put_layer_over();
        flushes->push_back({start, files->first().mark()});
    } else if (err == -ENOSPC || (trouble != nullptr && trouble->may_fail())) {
        may_snapshot_ = false; /* the file is not as new any more */
    } else {
        throw Violation("a snapshot failed: " + std::string(report.text));
    }
}

Attached::~Attached() {
    (void)cw_device_close(device_);
    for (RecordIo &file : files_->io) {
        file.forbidden = nullptr;
    }
}

u64 Attached::size() const {
    cw_device_info info;
    cw_device_get_info(device_, &info);
    return info.size - origin_;
}

Bytes Attached::read_all(u64 len) const {
    Bytes all(len);
    if (cw_device_read(device_, origin_, static_cast<u32>(std::min(len, size())), all.data()) !=
        0) {
        throw Violation("cannot be read");
    }
    return all;
}

Worker::Worker(const Shape &shape, u32 thread, u64 seed, RecordIo *io, Model *model)
    : shape_(shape), io_(io), model_(model), random_(seed * 977 + thread) {
    first_ = model->pages() * thread / shape.threads;
    count_ = model->pages() * (thread + 1) / shape.threads - first_;
}

void Worker::run(cw_device *device, u32 ops) {
    may_have_ended_ = may_have_ended_ && device == device_;
    device_ = device;
    for (u32 i = 0; i < ops && count() != 0 && !violation_; i++) {
        step();
    }
}

void Worker::step() {
    /* Half of it near the beginning, so that pages are written again soon. */
    const u64 there = count();
    const u64 range = random_() % 2 == 0 ? there : 1 + there / 8;
    const u64 at = random_() % range;
    const u64 most = shape_.uniform ? shape_.max_pages : 1 + random_() % shape_.max_pages;
    const u64 pages = std::min<u64>(most, there - at);
    const u64 page = first_ + at;
    if (random_() % shape_.flush_every == 0) {
        flush();
        return;
    }
    if (there < count_ && random_() % 32 == 0) {
        grow();
        return;
    }
    if (shape_.resets && random_() % 64 == 0) {
        reset();
        return;
    }
    switch (random_() % 16) {
        case 0:
            zero(page, pages);
            break;
        case 1:
            discard(page, pages);
            break;
        case 2:
            write_part(page);
            break;
        case 3:
            read(page, pages);
            break;
        case 4:
            discard(page, std::min<u64>(pages * 16, there - at));
            break;
        default:
            write(page, pages);
    }
}

/* The device has so many of its pages by now. A thread of several has all of them. */
u64 Worker::count() const {
    cw_device_info info;
    cw_device_get_info(device_, &info);
    return shape_.threads > 1 ? count_ : cw_div_up(info.size - shape_.origin, CW_PAGE_SIZE);
}

void Worker::grow() {
    const u64 more = 1 + random_() % (count_ - count());
    Growth growth = {(count() + more) * CW_PAGE_SIZE, io_->mark()};
    const int err = cw_device_resize(device_, shape_.origin + growth.size, nullptr);
    if (err == 0) {
        growth.done = io_->mark();
    } else if (err != -ENOSPC && !shape_.troubles.may_fail()) {
        violation_ = "the device did not grow: error " + std::to_string(-err);
    }
    model_->grow(growth);
}

/* On success that is durable, like what a flush covers. */
void Worker::reset() {
    const u64 pages = count();
    if (!is_known_below(0, pages)) {
        return;
    }
    ResetCall call = {io_->mark()};
    buf_.assign(pages * CW_PAGE_SIZE, 0); /* for a look after a failure */
    for (u64 page = 0; page < pages; page++) {
        model_->begin(page, model_->below(page), call.start);
    }
    const int err = cw_device_reset(device_, nullptr);
    may_have_ended_ = may_have_ended_ || err != 0;
    finish(0, pages, err);
    if (err == 0) {
        call.done = io_->mark();
        flushes_.push_back({call.done, call.done});
    }
    model_->reset(call);
}

u64 Worker::place_of(u64 page) const { return shape_.origin + page * CW_PAGE_SIZE; }

u64 Worker::bytes_of(u64 page, u64 pages) const {
    return std::min(pages * CW_PAGE_SIZE, model_->size() - page * CW_PAGE_SIZE);
}

/* The model learns that the pages have the content of buf_. */
void Worker::change(u64 page, u64 pages) {
    const u32 start = io_->mark();
    for (u64 i = 0; i < pages; i++) {
        model_->begin(page + i, buf_.data() + i * CW_PAGE_SIZE, start);
    }
}

void Worker::finish(u64 page, u64 pages, int err) {
    if (err == 0) {
        const u32 done = io_->mark();
        for (u64 i = 0; i < pages; i++) {
            model_->end(page + i, done);
        }
        return;
    }
    if (err != -ENOSPC && !shape_.troubles.may_fail()) {
        violation_ = "a change failed with error " + std::to_string(-err);
        return;
    }
    look(page, pages);
}

/* Which state is there after a failed change? */
void Worker::look(u64 page, u64 pages) {
    const u64 len = bytes_of(page, pages);
    if (cw_device_read(device_, place_of(page), static_cast<u32>(len), buf_.data()) != 0) {
        for (u64 i = 0; i < pages; i++) {
            model_->forget(page + i);
        }
        if (!shape_.troubles.may_fail()) {
            violation_ = "cannot be read after a change failed";
        }
        return;
    }
    for (u64 i = 0; i < pages; i++) {
        if (!model_->resolve(page + i, buf_.data() + i * CW_PAGE_SIZE)) {
            violation_ = "a change that failed left page " + std::to_string(page + i) +
                         " neither old nor new";
        }
    }
}

/* Would the model know the pages' content after a discard? */
bool Worker::is_known_below(u64 page, u64 pages) const {
    for (u64 i = 0; i < pages; i++) {
        if (model_->is_unknown_below(page + i)) {
            return false;
        }
    }
    return true;
}

void Worker::write(u64 page, u64 pages) {
    buf_.assign(pages * CW_PAGE_SIZE, 0);
    for (u64 i = 0; i < pages; i++) {
        fill_page(buf_.data() + i * CW_PAGE_SIZE, model_->page_len(page + i), shape_.noise,
                  &random_);
    }
    change(page, pages);
    finish(page, pages,
           cw_device_write(device_, place_of(page), static_cast<u32>(bytes_of(page, pages)),
                           buf_.data()));
}

void Worker::write_part(u64 page) {
    if (model_->is_unknown(page)) {
        return;
    }
    const u64 len = model_->page_len(page);
    const u64 skip = random_() % len;
    const u64 part = 1 + random_() % (len - skip);
    Bytes fresh(CW_PAGE_SIZE);
    fill_page(fresh.data(), len, shape_.noise, &random_);
    buf_.assign(CW_PAGE_SIZE, 0);
    memcpy(buf_.data(), model_->now(page), len);
    memcpy(buf_.data() + skip, fresh.data() + skip, part);
    change(page, 1);
    finish(page, 1,
           cw_device_write(device_, place_of(page) + skip, static_cast<u32>(part),
                           fresh.data() + skip));
}

void Worker::zero(u64 page, u64 pages) {
    buf_.assign(pages * CW_PAGE_SIZE, 0);
    change(page, pages);
    finish(page, pages, cw_device_zero(device_, place_of(page), bytes_of(page, pages)));
}

/* A page of which the device has a part only keeps its data. */
void Worker::discard(u64 page, u64 pages) {
    while (pages != 0 && model_->page_len(page + pages - 1) < CW_PAGE_SIZE) {
        pages--;
    }
    if (pages == 0 || !is_known_below(page, pages)) {
        return;
    }
    buf_.assign(pages * CW_PAGE_SIZE, 0);
    memcpy(buf_.data(), model_->below(page), pages * CW_PAGE_SIZE);
    change(page, pages);
    finish(page, pages, cw_device_discard(device_, place_of(page), pages * CW_PAGE_SIZE));
}

void Worker::flush() {
    const u32 start = io_->mark();
    const int err = cw_device_flush(device_);
    if (err == 0) {
        flushes_.push_back({start, io_->mark()});
    } else if (!shape_.troubles.may_fail() && !may_have_ended_) {
        violation_ = "a flush failed with error " + std::to_string(-err);
    }
}

bool Worker::may_be(u64 page, const u8 *content) {
    if (model_->is_unknown(page)) {
        return model_->resolve(page, content);
    }
    return memcmp(content, model_->now(page), model_->page_len(page)) == 0;
}

void Worker::read(u64 page, u64 pages) {
    const u64 len = bytes_of(page, pages);
    buf_.assign(pages * CW_PAGE_SIZE, 0);
    if (cw_device_read(device_, place_of(page), static_cast<u32>(len), buf_.data()) != 0) {
        if (!shape_.troubles.may_fail()) {
            violation_ = "cannot be read";
        }
        return;
    }
    for (u64 i = 0; i < pages; i++) {
        if (!may_be(page + i, buf_.data() + i * CW_PAGE_SIZE)) {
            violation_ = "reads other data than was written, at page " + std::to_string(page + i);
        }
    }
}

}  // namespace cloopw::crash

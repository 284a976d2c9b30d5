// SPDX-License-Identifier: GPL-2.0
#include "simulator.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "lib/cow/log_writer.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw::crash {

/* The base: bytes that never change. */
struct Case::Base {
    Bytes bytes;
    Image image;
    RecordIo io{&image};
};

void Case::open_base() {
    Random random(seed_);
    base_ = std::make_unique<Base>();
    base_->bytes.resize(shape_.device_bytes);
    for (u64 off = 0; off < shape_.device_bytes; off += CW_PAGE_SIZE) {
        fill_page(base_->bytes.data() + off, std::min<u64>(CW_PAGE_SIZE, shape_.device_bytes - off),
                  8, &random);
    }
    base_->image.begin_with_zeros(shape_.origin);
    base_->image.write(shape_.origin, base_->bytes.data(), base_->bytes.size());
    base_->bytes.resize(shape_.most_bytes); /* zeros follow */
}

/* All logs are there and durable from the start. The layers are for the longest device. */
static void make_logs(const Shape &shape, Files *files) {
    for (u32 i = 0; i < Files::kCount; i++) {
        LogCowConfig config;
        config.size = shape.origin + (i == 0 ? shape.device_bytes : shape.most_bytes);
        config.codec = shape.codec;
        config.limit = shape.limit;
        config.uuid.fill(static_cast<u8>(100 + i));
        config.over_layer = i > 0;
        config.base_uuid.fill(static_cast<u8>(i)); /* UUID of the file below, once it is frozen */
        cw_disk_log_super super;
        encode_log_super(&super, config);
        (*files)[i].write(0, &super, sizeof(super));
        (*files)[i].extend(kLogCowEmptyLen);
    }
}

/* From here on, until trouble is none again. */
static void disturb(const Troubles &troubles, u64 seed, RecordIo *io) {
    if (troubles.any()) {
        io->trouble = std::make_shared<Trouble>(seed, troubles);
    }
}

Case::Case(u64 seed, const std::string &codec)
    : seed_(seed), codec_(codec), shape_(Shape::from(seed, codec)) {
    open_base();
    make_logs(shape_, &start_);
    model_ = std::make_unique<Model>(&base_->bytes, base_->bytes);
    model_->grow({shape_.device_bytes, 0, 0});
    record();
    replay_ = std::make_unique<Replay>(events_, &start_);
}

Case::~Case() = default;

static void run_workers(std::vector<Worker> *workers, cw_device *device, u32 ops) {
    if (workers->size() == 1) {
        workers->front().run(device, ops);
        return;
    }
    std::vector<std::thread> threads;
    for (Worker &worker : *workers) {
        threads.emplace_back([&worker, device, ops] { worker.run(device, ops); });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
}

static void check_locks(RecordedFiles *files) {
    if (!files->first().complaint().empty()) {
        throw Violation(files->first().complaint());
    }
}

static void judge(const Model &model, u64 size, const Bytes &all, u32 place) {
    const u32 flushed = model.flushed(place);
    const std::string wrong = model.judge_size(size, place);
    if (!wrong.empty()) {
        throw Violation(wrong);
    }
    for (u64 page = 0; page < model.pages(); page++) {
        const std::string why = model.judge(page, all.data() + page * CW_PAGE_SIZE, place, flushed);
        if (!why.empty()) {
            throw Violation("page " + std::to_string(page) + " " + why);
        }
    }
    const std::string torn = model.judge_resets(all, place, flushed);
    if (!torn.empty()) {
        throw Violation(torn);
    }
}

/* Takes over the content after an attach, if the model allows it. */
static void adopt(const Attached &device, RecordIo *io, Model *model) {
    const Bytes all = device.read_all(model->size());
    const u32 place = io->mark();
    judge(*model, device.size(), all, place);
    for (u64 page = 0; page < model->pages(); page++) {
        model->adopt(page, all.data() + page * CW_PAGE_SIZE, place);
    }
}

/* One attach of the device, from its first to its last request. */
void Case::use(RecordedFiles *files, std::vector<Worker> *workers, u32 attach) {
    RecordIo &io = files->first();
    std::vector<FlushCall> snapshots;
    {
        Attached device(base_->io.get(), files, attach == 0 ? "when it is new" : "again",
                        shape_.origin);
        if (attach != 0) {
            adopt(device, &io, model_.get());
        }
        disturb(shape_.troubles, seed_ + attach, &io);
        for (u32 i = 0; i <= shape_.snapshots; i++) {
            if (i != 0) {
                device.snapshot(files, model_.get(), &snapshots);
            }
            run_workers(workers, device.get(),
                        shape_.ops / (shape_.snapshots + shape_.attaches + 1));
        }
        if (!shape_.troubles.may_fail()) {
            io.trouble = nullptr;
        }
    }
    io.trouble = nullptr;
    files->forget_lost();
    model_->add_flushes(snapshots);
}

void Case::record() {
    Files files(&start_);
    RecordedFiles recorded(&files, shape_.whole_pages, shape_.block);
    RecordIo &io = recorded.first();
    io.max = shape_.file_max;
    io.tracks_disk = shape_.troubles.writeback;
    std::vector<Worker> workers;
    workers.reserve(shape_.threads);
    for (u32 i = 0; i < shape_.threads; i++) {
        workers.emplace_back(shape_, i, seed_, &io, model_.get());
    }
    for (u32 i = 0; i <= shape_.attaches; i++) {
        use(&recorded, &workers, i);
        for (Worker &worker : workers) {
            model_->add_flushes(worker.take_flushes());
            if (worker.violation()) {
                throw Violation(*worker.violation() + ", without a crash");
            }
        }
    }
    check_locks(&recorded);
    events_ = recorded.take_events();
}

/* Many anywhere, many where something becomes durable or is given free. */
std::vector<u32> Case::places(u32 cuts) const {
    Random random(seed_ ^ 0x637574);
    const u32 end = static_cast<u32>(events_.size());
    std::vector<u32> interesting;
    for (u32 i = 0; i < end; i++) {
        if (events_[i].kind == Event::Kind::kFlush || events_[i].kind == Event::Kind::kPunch ||
            (events_[i].kind == Event::Kind::kWrite && events_[i].off < CW_LOG_START)) {
            interesting.push_back(i);
        }
    }
    std::vector<u32> places;
    for (u32 i = 0; i < cuts; i++) {
        u64 place = random() % (end + 1);
        if (random() % 2 == 0 && !interesting.empty()) {
            place = interesting[random() % interesting.size()] + random() % 4;
        }
        places.push_back(static_cast<u32>(std::min<u64>(place, end)));
    }
    std::sort(places.begin(), places.end());
    return places;
}

static Replay::Mode choose_mode(Random *random) {
    static constexpr Replay::Mode kModes[] = {
        Replay::Mode::kAll,    Replay::Mode::kNone,   Replay::Mode::kPrefix, Replay::Mode::kSubset,
        Replay::Mode::kSubset, Replay::Mode::kSubset, Replay::Mode::kTorn,   Replay::Mode::kTorn,
    };
    return kModes[(*random)() % std::size(kModes)];
}

/* An attach that meets errors leaves nothing worse behind, whether it works or not. */
static void attach_in_trouble(cw_io *base, u64 origin, u64 seed, RecordedFiles *files) {
    RecordIo &io = files->first();
    disturb({.errors = true, .writeback = seed % 2 == 0}, seed, &io);
    try {
        Attached device(base, files, "in trouble", origin);
    } catch (const Violation &) {
        /* Not now. */
    }
    io.trouble = nullptr;
    files->forget_lost();
}

/*
 * Power that is cut during the write of the first superblock can take its beginning. The
 * engine refuses the file with a remedy: cloopwck -y. That makes it a copy of the second
 * one, which is the valid one.
 */
static bool mend_beginning(Image *image) {
    cw_disk_log_super super{};
    if (!image->read(0, &super, sizeof(super)) ||
        memcmp(super.magic, CW_LOG_MAGIC, sizeof(super.magic)) == 0 ||
        !image->read(CW_LOG_SUPER_STRIDE, &super, sizeof(super)) ||
        !cw_log_super_is_sound(&super)) {
        return false;
    }
    image->write(0, &super, sizeof(super));
    return true;
}

/* Power is cut where the replay is. */
void Case::crash(const Replay &replay, Random *random, Files *out) {
    replay.crash(choose_mode(random), shape_.block, random, out);
    for (u32 i = 0; i < Files::kCount; i++) {
        mended_ += mend_beginning(&(*out)[i]) ? 1 : 0;
    }
}

u32 Case::cut(u32 number, u32 place) {
    Random random(seed_ * 1000003 + number);
    replay_->go_to(place);
    Files crashed(&replay_->durable());
    crash(*replay_, &random, &crashed);
    Bytes survived;
    u64 size = 0;
    {
        Files files(&crashed);
        RecordedFiles recorded(&files, shape_.whole_pages, shape_.block);
        recorded.first().max = shape_.file_max;
        recorded.first().tracks_disk = true;
        if (random() % 8 == 0) {
            attach_in_trouble(base_->io.get(), shape_.origin, random(), &recorded);
        }
        Attached device(base_->io.get(), &recorded, "after a crash", shape_.origin);
        survived = device.read_all(model_->size());
        size = device.size();
        check_locks(&recorded);
    }
    judge(*model_, size, survived, place);
    return 1 + (random() % 2 == 0 ? crash_again(random(), crashed, survived) : 0);
}

/* Reads the content of the layers below the top. */
static Bytes read_below(cw_io *base, u64 origin, const Bytes &bytes, RecordedFiles *recorded,
                        u32 layers) {
    if (layers < 2) {
        return bytes;
    }
    std::vector<cw_io *> below;
    for (u32 i = layers - 1; i-- > 0;) {
        below.push_back(recorded->io[i].get());
    }
    const cw_device_config config = {
        .base = base,
        .format = &cw_image_raw,
        .layers = below.data(),
        .nr_layers = layers - 1,
        .read_only = true,
        .record = false,
        .cache_bytes = 1 << 20,
        .cache_budget = nullptr,
    };
    cw_device *device = nullptr;
    cw_report report = {};
    Bytes all(bytes.size());
    const int err = cw_device_open(&config, &device, &report) != 0 ||
                    cw_device_read(device, origin, static_cast<u32>(all.size()), all.data()) != 0;
    (void)cw_device_close(device);
    if (err) {
        throw Violation("the layers below cannot be read: " + std::string(report.text));
    }
    all.resize(cw_round_up(all.size(), CW_PAGE_SIZE));
    return all;
}

/* Crashes at three places of what a recovered device did, and judges what is left. */
u32 Case::crash_once_more(const Events &events, const Files &files, const Model &model,
                          Random *random) {
    Replay replay(events, &files);
    std::vector<u32> places(3);
    for (u32 &place : places) {
        place = static_cast<u32>((*random)() % (events.size() + 1));
    }
    std::sort(places.begin(), places.end());
    for (u32 place : places) {
        replay.go_to(place);
        Files crashed(&replay.durable());
        crash(replay, random, &crashed);
        RecordedFiles recorded(&crashed, shape_.whole_pages, shape_.block);
        recorded.first().max = shape_.file_max;
        Attached device(base_->io.get(), &recorded, "after a second crash", shape_.origin);
        try {
            judge(model, device.size(), device.read_all(model.size()), place);
        } catch (const Violation &violation) {
            throw Violation("after a second crash " + violation.what());
        }
    }
    return static_cast<u32>(places.size());
}

/* Recovers, works on, and crashes a second time somewhere in all that. */
u32 Case::crash_again(u64 seed, const Files &files, const Bytes &survived) {
    Random random(seed);
    Shape shape = shape_;
    shape.threads = 1;
    shape.troubles = {.errors = random() % 8 == 0, .writeback = random() % 8 == 0};
    Events events;
    Bytes below;
    std::unique_ptr<Model> model;
    {
        Files running(&files);
        RecordedFiles recorded(&running, shape.whole_pages, shape.block);
        RecordIo &io = recorded.first();
        io.max = shape.file_max;
        io.tracks_disk = shape.troubles.writeback;
        Attached device(base_->io.get(), &recorded, "once more", shape_.origin);
        below =
            read_below(base_->io.get(), shape_.origin, base_->bytes, &recorded, device.layers());
        model = std::make_unique<Model>(&below, survived);
        model->grow({device.size(), 0, 0});
        Worker worker(shape, 0, seed, &io, model.get());
        std::vector<FlushCall> snapshots;
        disturb(shape.troubles, seed, &io);
        worker.run(device.get(), static_cast<u32>(random() % (shape.uniform ? 80 : 40)));
        if (random() % 8 == 0) {
            device.snapshot(&recorded, model.get(), &snapshots);
            worker.run(device.get(), static_cast<u32>(random() % 20));
        }
        if (worker.violation()) {
            throw Violation(*worker.violation() + ", after a crash");
        }
        model->add_flushes(snapshots);
        model->add_flushes(worker.take_flushes());
        check_locks(&recorded);
        events = recorded.take_events();
    }
    return crash_once_more(events, files, *model, &random);
}

/* ---- keeping ---- */

namespace {

struct FileCloser {
    void operator()(FILE *file) const { (void)fclose(file); }
};
using File = std::unique_ptr<FILE, FileCloser>;

File open_file(const std::string &name, const char *mode) {
    File file(fopen(name.c_str(), mode));
    if (!file) {
        throw std::runtime_error("cannot open " + name);
    }
    return file;
}

}  // namespace

void Case::save(const std::string &name) const {
    File file = open_file(name, "wb");
    char codec[16] = {};
    codec_.copy(codec, sizeof(codec) - 1);
    if (fwrite(&seed_, sizeof(seed_), 1, file.get()) != 1 ||
        fwrite(codec, sizeof(codec), 1, file.get()) != 1) {
        throw std::runtime_error("cannot write " + name);
    }
    save_events(file.get(), events_);
    model_->save(file.get());
}

Case::Case(const std::string &name) {
    File file = open_file(name, "rb");
    char codec[16];
    if (fread(&seed_, sizeof(seed_), 1, file.get()) != 1 ||
        fread(codec, sizeof(codec), 1, file.get()) != 1) {
        throw std::runtime_error("cannot read " + name);
    }
    codec_ = codec;
    shape_ = Shape::from(seed_, codec_);
    open_base();
    make_logs(shape_, &start_);
    events_ = load_events(file.get());
    model_ = std::make_unique<Model>(Model::load(file.get(), &base_->bytes));
    replay_ = std::make_unique<Replay>(events_, &start_);
}

}  // namespace cloopw::crash

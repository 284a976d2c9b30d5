// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on a device with up to three COW logs, in any order and with errors at any of
 * them. They are writes, discards, flushes, snapshots, limits, growth, resets and attaches. A
 * crash may come before an attach. The model of the crash simulator says which states each page may have.
 */
#include <algorithm>
#include <cstring>

#include "lib/cow/log_writer.h"
#include "workload.h"

extern "C" {
#include "log/log_record.h"
}

namespace {

using namespace cloopw;
using namespace cloopw::crash;

constexpr u64 kPages = 640;          /* pages of the device: two pages of the map */
constexpr u64 kGrownPages = 900;     /* after growth: three pages of the map */
constexpr u64 kMost = u64{12} << 20; /* bytes a file may have */
constexpr u64 kMostOps = 100;

[[noreturn]] void die(const std::string &why) {
    (void)fprintf(stderr, "%s\n", why.c_str());
    abort();
}

class Input {
public:
    Input(const u8 *data, size_t size) : data_(data), size_(size) {}
    bool is_over() const { return at_ >= size_; }
    u64 byte() { return is_over() ? 0 : data_[at_++]; }
    u64 word() { return byte() | byte() << 8; }

private:
    const u8 *data_;
    size_t size_;
    size_t at_ = 0;
};

/* size: of the lowest; most: of the layers over it */
void make_logs(const char *codec, u64 size, u64 most, Files *files) {
    for (u32 i = 0; i < Files::kCount; i++) {
        LogCowConfig config;
        config.size = i == 0 ? size : most;
        config.codec = codec;
        config.uuid.fill(static_cast<u8>(100 + i));
        config.over_layer = i > 0;
        config.base_uuid.fill(static_cast<u8>(i));
        cw_disk_log_super super;
        encode_log_super(&super, config);
        (*files)[i].write(0, &super, sizeof(super));
        (*files)[i].extend(kLogCowEmptyLen);
    }
}

/* One device and all that it goes through. */
class Session {
public:
    explicit Session(Input *in)
        : in_(*in),
          how_(in->byte()),
          base_bytes_(kGrownPages * CW_PAGE_SIZE),
          base_io_(&base_),
          model_(&base_bytes_, Bytes(most())) {
        static const char *const kCodecs[] = {"none", "lz4", "zstd", "zlib"};
        block_ = how_ & 4 ? 4096 : CW_SECTOR_SIZE;
        whole_pages_ = how_ & 8;
        base_.write(0, base_bytes_.data(), size_);
        make_logs(kCodecs[how_ & 3], size_, how_ & 32 ? most() : size_, &start_);
        model_.grow({size_, 0, 0});
        open_files();
        attach("when it is new");
    }

    void run() {
        for (u64 n = 0; n < kMostOps && !in_.is_over(); n++) {
            step();
        }
        calm();
        device_.reset();
    }

private:
    RecordIo &io() { return files_->first(); }
    bool grows() const { return (how_ & 16) != 0; }
    /* That the device may have. Only one of whole pages grows. */
    u64 most() const {
        return grows() ? kGrownPages * CW_PAGE_SIZE : kPages * CW_PAGE_SIZE - 3 * CW_SECTOR_SIZE;
    }
    u64 pages() const { return cw_div_up(size_, CW_PAGE_SIZE); }

    void open_files() {
        memory_ = std::make_unique<Files>(&start_);
        files_ = std::make_unique<RecordedFiles>(memory_.get(), whole_pages_, block_);
        io().max = kMost;
        io().tracks_disk = true;
    }
    void attach(const char *when) {
        device_ = std::make_unique<Attached>(base_io_.get(), files_.get(), when);
    }
    void calm() { io().trouble = nullptr; }

    /* The content after an attach becomes the model's. */
    void adopt() {
        const Bytes all = device_->read_all(model_.size());
        const u32 place = io().mark();
        const u32 flushed = model_.flushed(place);
        size_ = device_->size();
        want(model_.judge_size(size_, place));
        want(model_.judge_resets(all, place, flushed));
        for (u64 page = 0; page < model_.pages(); page++) {
            const u8 *content = all.data() + page * CW_PAGE_SIZE;
            const std::string why = model_.judge(page, content, place, flushed);
            want(why.empty() ? why : "page " + std::to_string(page) + " " + why);
            model_.adopt(page, content, place);
        }
    }
    static void want(const std::string &why) {
        if (!why.empty()) {
            die(why);
        }
    }
    void attach_again() {
        device_.reset();
        calm();
        files_->forget_lost();
        attach("again");
        adopt();
    }

    u64 len_of(u64 page, u64 pages) const {
        return std::min(pages * CW_PAGE_SIZE, size_ - page * CW_PAGE_SIZE);
    }
    /* The device's pages get the content of buf_; false: or perhaps not. */
    template <typename F>
    bool change(u64 page, u64 pages, F call) {
        const u32 start = io().mark();
        for (u64 i = 0; i < pages; i++) {
            model_.begin(page + i, buf_.data() + i * CW_PAGE_SIZE, start);
        }
        const int err = call();
        const u32 done = io().mark();
        for (u64 i = 0; err == 0 && i < pages; i++) {
            model_.end(page + i, done);
        }
        if (err == 0) {
            return true;
        }
        if (err != -ENOSPC && !ever_troubled_) {
            die("a change failed with error " + std::to_string(-err));
        }
        for (u64 i = 0; i < pages; i++) {
            model_.forget(page + i);
        }
        read(page, pages);
        return false;
    }
    void read(u64 page, u64 pages) {
        const u64 len = len_of(page, pages);
        Bytes bytes(pages * CW_PAGE_SIZE);
        if (cw_device_read(device_->get(), page * CW_PAGE_SIZE, static_cast<u32>(len),
                           bytes.data()) != 0) {
            if (!ever_troubled_) {
                die("cannot be read");
            }
            return;
        }
        for (u64 i = 0; i < pages; i++) {
            const u8 *content = bytes.data() + i * CW_PAGE_SIZE;
            const bool right = model_.is_unknown(page + i) ? model_.resolve(page + i, content)
                                                           : memcmp(content, model_.now(page + i),
                                                                    model_.page_len(page + i)) == 0;
            if (!right) {
                die("page " + std::to_string(page + i) + " is what it never was");
            }
        }
    }
    void write(u64 page, u64 pages, u64 noise) {
        Random random(++contents_);
        buf_.assign(pages * CW_PAGE_SIZE, 0);
        for (u64 i = 0; i < pages; i++) {
            fill_page(buf_.data() + i * CW_PAGE_SIZE, model_.page_len(page + i),
                      static_cast<u32>(noise % 18), &random);
        }
        change(page, pages, [&] {
            return cw_device_write(device_->get(), page * CW_PAGE_SIZE,
                                   static_cast<u32>(len_of(page, pages)), buf_.data());
        });
    }
    void write_part(u64 page, u64 skip, u64 len) {
        if (model_.is_unknown(page)) {
            return;
        }
        skip %= model_.page_len(page);
        len = 1 + len % (model_.page_len(page) - skip);
        buf_.assign(CW_PAGE_SIZE, 0);
        memcpy(buf_.data(), model_.now(page), model_.page_len(page));
        const Bytes part(len, static_cast<u8>(++contents_));
        memcpy(buf_.data() + skip, part.data(), len);
        change(page, 1, [&] {
            return cw_device_write(device_->get(), page * CW_PAGE_SIZE + skip,
                                   static_cast<u32>(len), part.data());
        });
    }
    void zero(u64 page, u64 pages) {
        buf_.assign(pages * CW_PAGE_SIZE, 0);
        change(page, pages, [&] {
            return cw_device_zero(device_->get(), page * CW_PAGE_SIZE, len_of(page, pages));
        });
    }
    void discard(u64 page, u64 pages) {
        pages = std::min(pages, this->pages() - 1 - std::min(this->pages() - 1, page));
        if (pages == 0 || below_is_unknown_) {
            return;
        }
        buf_.assign(pages * CW_PAGE_SIZE, 0);
        memcpy(buf_.data(), model_.below(page), pages * CW_PAGE_SIZE);
        change(page, pages, [&] {
            return cw_device_discard(device_->get(), page * CW_PAGE_SIZE, pages * CW_PAGE_SIZE);
        });
    }
    void flush() {
        const u32 start = io().mark();
        if (cw_device_flush(device_->get()) == 0) {
            model_.add_flush({start, io().mark()});
        } else if (!ever_troubled_) {
            die("a flush failed");
        }
    }
    bool has_unknown() const {
        for (u64 page = 0; page < model_.pages(); page++) {
            if (model_.is_unknown(page)) {
                return true;
            }
        }
        return false;
    }
    void grow(u64 more) {
        if (!grows()) { /* to the size of its file, which it has */
            (void)cw_device_resize(device_->get(), 0, nullptr);
            return;
        }
        Growth growth = {std::min(size_ + more * CW_PAGE_SIZE, most()), io().mark()};
        const int err = cw_device_resize(device_->get(), growth.size, nullptr);
        if (err == 0) {
            growth.done = io().mark();
            size_ = growth.size;
        } else if (err != -ENOSPC && !ever_troubled_ && growth.size != size_) {
            die("the device did not grow: error " + std::to_string(-err));
        }
        model_.grow(growth);
    }
    /* It changes all pages at once, and what it did is durable. */
    void reset() {
        if (below_is_unknown_) {
            return;
        }
        buf_.assign(pages() * CW_PAGE_SIZE, 0);
        for (u64 page = 0; page < pages(); page++) {
            memcpy(buf_.data() + page * CW_PAGE_SIZE, model_.below(page), model_.page_len(page));
        }
        ResetCall call = {io().mark()};
        const bool done =
            change(0, pages(), [&] { return cw_device_reset(device_->get(), nullptr); });
        if (done) {
            call.done = io().mark();
            model_.add_flush({call.done, call.done});
        }
        model_.reset(call);
    }
    void snapshot() {
        std::vector<FlushCall> flushes;
        const u32 before = device_->layers();
        if (has_unknown()) {
            return; /* the content below would be unknown */
        }
        try {
            device_->snapshot(files_.get(), &model_, &flushes);
        } catch (const Violation &) {
            if (!ever_troubled_) {
                throw;
            }
        }
        model_.add_flushes(flushes);
        /* Perhaps it is frozen all the same, which the next attach tells. */
        below_is_unknown_ = below_is_unknown_ || (device_->layers() == before && ever_troubled_);
    }
    void make_trouble(u64 seed, u64 kinds) {
        Troubles troubles;
        troubles.thin = kinds & 1;
        troubles.errors = kinds & 2;
        troubles.writeback = kinds & 4;
        ever_troubled_ = true;
        io().trouble = std::make_shared<Trouble>(seed, troubles);
    }

    void step() {
        const u64 op = in_.byte() % 18;
        const u64 page = in_.word() % this->pages();
        const u64 pages = std::min(1 + in_.byte() % 40, this->pages() - page);
        switch (op) {
            case 0:
            case 1:
            case 2:
            case 3:
                return write(page, pages, in_.byte());
            case 4:
                return write_part(page, in_.word(), in_.word());
            case 5:
                return zero(page, pages * 8 > this->pages() - page ? pages : pages * 8);
            case 6:
            case 7:
                return discard(page, std::min(pages * 16, this->pages() - page));
            case 8:
                return flush();
            case 9:
                return read(page, pages);
            case 10:
                return snapshot();
            case 11:
                return attach_again();
            case 12:
                return make_trouble(page, pages);
            case 13:
                return calm();
            case 14:
                (void)cw_device_set_limit(device_->get(), in_.byte() % 14 << 20);
                return;
            case 15:
                return cw_device_tend(device_->get());
            case 16:
                return grow(pages);
            default:
                return reset();
        }
    }

    Input &in_;
    const u64 how_; /* bits that choose the device's kind */
    u64 size_ = grows() ? kPages * CW_PAGE_SIZE : most();
    u32 block_ = CW_SECTOR_SIZE;
    bool whole_pages_ = false;
    bool ever_troubled_ = false;
    bool below_is_unknown_ = false;
    u64 contents_ = 0;
    Bytes base_bytes_;
    Image base_;
    RecordIo base_io_;
    Files start_;
    std::unique_ptr<Files> memory_;
    std::unique_ptr<RecordedFiles> files_;
    Model model_;
    std::unique_ptr<Attached> device_;
    Bytes buf_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    cw_log_bad_quiet(true);
    Input in(data, size);
    try {
        Session(&in).run();
    } catch (const Violation &violation) {
        die(violation.what());
    }
    return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* Images of every format: whatever the bytes are, opening and reading ends. */
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "fields.h"
#include "lib/check/image_check.h"

namespace {

using namespace cloopw;
using cloopw::fuzz::Field;

constexpr u64 kMostBytes = u64{1} << 20; /* bytes read of one image */
constexpr u32 kMostPages = 64;           /* index pages whose checksums are fixed */

struct Enough {};

bool is_native(const u8 *file, size_t size) {
    return size >= sizeof(cw_disk_super) && memcmp(file, CW_IMAGE_MAGIC, 8) == 0;
}

/* Goes through the index of a cloopw image, as far as there is one. */
class Index {
public:
    Index(u8 *file, size_t size) : file_(file), size_(size) {}

    /* The numbers in its pages and superblock. */
    std::vector<Field> fields() {
        for (const Field &field : {Field{8, 4},
                                   {16, 8},
                                   {24, 8},
                                   {32, 8},
                                   {56, 8},
                                   {64, 8},
                                   {72, 4},
                                   {76, 4},
                                   {80, 4},
                                   {84, 4},
                                   {88, 4}}) {
            fields_.push_back(field);
        }
        walk(false);
        return std::move(fields_);
    }
    /* All checksums, from the blocks up. */
    void fix() {
        walk(true);
        cw_disk_super super;
        memcpy(&super, file_, sizeof(super));
        super.crc = cw_to_le32(0);
        super.crc = cw_to_le32(cw_crc32c(&super, sizeof(super)));
        memcpy(file_, &super, sizeof(super));
    }

private:
    void walk(bool fixes) {
        cw_disk_super super;
        memcpy(&super, file_, sizeof(super));
        fixes_ = fixes;
        pages_ = 0;
        reference(offsetof(cw_disk_super, root),
                  std::min<u32>(cw_from_le32(super.levels), CW_INDEX_MAX_LEVELS));
    }
    /* A reference leads to a page of level - 1, or to a block. */
    void reference(size_t at, u32 level) {
        cw_disk_ref ref;
        memcpy(&ref, file_ + at, sizeof(ref));
        const u64 off = cw_from_le64(ref.where) & ((u64{1} << CW_REF_OFFSET_BITS) - 1);
        const u64 len = level != 0 ? CW_INDEX_PAGE_LEN : cw_from_le32(ref.stored);
        if (cw_from_le32(ref.stored) == 0) {
            return;
        }
        if (!fixes_) {
            fields_.insert(fields_.end(), {{at, 8}, {at + 8, 4}, {at + 6, 1}});
        }
        if (cw_outside(off, len, size_) || off < CW_SUPER_LEN) {
            return;
        }
        if (level != 0 && pages_++ < kMostPages) {
            for (u32 i = 0; i < CW_INDEX_FANOUT; i++) {
                reference(off + i * sizeof(ref), level - 1);
            }
        }
        if (fixes_) {
            ref.crc = cw_to_le32(cw_crc32c(file_ + off, len));
            memcpy(file_ + at, &ref, sizeof(ref));
        }
    }

    u8 *file_;
    size_t size_;
    bool fixes_ = false;
    u32 pages_ = 0;
    std::vector<Field> fields_;
};

/* The fields of a cloop file: the header, and the first entries of the index behind it. */
std::vector<Field> cloop_fields(size_t head, size_t index, u32 entry) {
    std::vector<Field> fields = {{head + 128, 4, true}, {head + 132, 4, true}};
    for (size_t i = 0; i < 8; i++) {
        fields.push_back({index + i * entry, entry, true});
    }
    return fields;
}

std::vector<Field> fields_of(u8 *file, size_t size) {
    if (is_native(file, size)) {
        return Index(file, size).fields();
    }
    constexpr size_t kHead = sizeof(cw_disk_cloop_head);
    if (size > kHead && memcmp(file, "#!", 2) == 0) {
        return cloop_fields(0, kHead, memcmp(file + 11, "V", 1) == 0 ? 8 : 4);
    }
    if (size > kHead) { /* header and index are at the end */
        const u64 blocks = fuzz::get(file, {size - 4, 4, true});
        const u64 index = std::min<u64>((blocks + 1) * 8, size - kHead);
        return cloop_fields(size - kHead, size - kHead - index, 8);
    }
    return {};
}

/* The same file, and one read of it fails. */
class Flaky : private cw_io {
public:
    Flaky(cw_io &below, u64 nth) : cw_io{}, below_(below), left_(nth) {
        calls_.pread = do_pread;
        calls_.size = [](cw_io *io, u64 *size) { return cw_size(&self(io).below_, size); };
        this->ops = &calls_;
        this->name = "image";
    }
    cw_io &get() { return *this; }

private:
    static Flaky &self(cw_io *io) { return *static_cast<Flaky *>(io); }
    static int do_pread(cw_io *io, void *buf, size_t len, u64 off) {
        return self(io).left_-- == 0 ? -EIO : cw_pread(&self(io).below_, buf, len, off);
    }

    cw_io_ops calls_{};
    cw_io &below_;
    u64 left_;
};

/* Reads like a device, also the last bytes and beyond. */
void use(cw_image &image) {
    std::array<u8, 3 * CW_SECTOR_SIZE> buf{};
    const u64 size = image.size;
    const u64 near_end = size - std::min<u64>(size, 700);
    for (u64 off : {u64{0}, size / 2, near_end}) {
        (void)cw_image_read(&image, off, buf.size(), buf.data());
        (void)cw_image_read_cached(&image, off, CW_SECTOR_SIZE, buf.data());
    }
    cw_image_will_read(&image, 0, std::min<u64>(size, kMostBytes));
    u64 n = 0;
    (void)cw_image_is_zero(&image, 0, size, &n);
    if (image.format->locate != nullptr) {
        cw_extent extent;
        std::vector<u8> stored(image.max_stored);
        (void)cw_image_read_stored(&image, image.blocks - 1, &extent, stored.data());
        (void)cw_image_read(&image, 0, std::min<u32>(image.block_size, buf.size()), buf.data());
    }
    (void)cw_image_resize(&image, nullptr);
}

void visit(cw_image &image) {
    u64 done = 0;
    try {
        (void)visit_image(image, {}, [&](const ImagePart &part) {
            done += part.state == ImagePart::State::kStored ? part.range.len : 0;
            if (done > kMostBytes) {
                throw Enough();
            }
        });
    } catch (const Enough &) {
    }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size,
                                          unsigned int seed) {
    fuzz::Random random(seed);
    size = fuzz::mutate_fields(data, size, max_size, fields_of(data, size), &random);
    if (is_native(data, size)) {
        Index(data, size).fix();
    }
    return size;
}

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size) {
    const std::vector<u8> file(data, data + size);
    cw_log_bad_quiet(true);
    Io io = Io::memory("image", file);
    OpenedImage image(io.get(), "");
    if (!image.refusal().empty()) {
        return 0;
    }
    visit(image.get());
    use(image.get());
    if (size % 4 == 0) {
        Flaky flaky(io.get(), size / 4 % 16);
        OpenedImage again(flaky.get(), "");
        if (again.refusal().empty()) {
            use(again.get());
        }
    }
    return 0;
}

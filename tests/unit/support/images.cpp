// SPDX-License-Identifier: GPL-2.0
#include "support/images.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace cloopw::test {

Bytes compress(const cw_codec &codec, const Bytes &plain) {
    if (codec.id == CW_CODEC_NONE) {
        return plain;
    }
    const u32 len = static_cast<u32>(plain.size());
    Bytes out(plain.size() + plain.size() / 16 + 128);
    void *ctx = nullptr;
    if (codec.create(&ctx, codec.default_level, len) != 0) {
        throw std::runtime_error("no context");
    }
    const int n = codec.compress(ctx, out.data(), static_cast<u32>(out.size()), plain.data(), len);
    codec.destroy(ctx);
    if (n <= 0) {
        throw std::runtime_error("does not compress");
    }
    out.resize(static_cast<size_t>(n));
    return out;
}

/* ---- cloopw version 1 ---- */

namespace {

u64 pages_of_level(u64 blocks, u32 level) {
    for (u32 i = 0; i <= level; i++) {
        blocks = cw_div_up(blocks, CW_INDEX_FANOUT);
    }
    return blocks;
}

void seal(cw_disk_super *super) {
    super->crc = cw_to_le32(0);
    super->crc = cw_to_le32(cw_crc32c(super, sizeof(*super)));
}

}  // namespace

NativeBuilder::NativeBuilder(u64 size, u32 block_size) : super{}, file_(CW_SUPER_LEN) {
    u32 levels = 1;
    while (pages_of_level(cw_div_up(size, block_size), levels - 1) > 1) {
        levels++;
    }
    memcpy(super.magic, CW_IMAGE_MAGIC, sizeof(super.magic));
    super.version = cw_to_le32(CW_IMAGE_VERSION);
    super.size = cw_to_le64(size);
    super.block_size = cw_to_le32(block_size);
    super.levels = cw_to_le32(levels);
}

cw_disk_ref NativeBuilder::store(const Bytes &stored, u8 codec) {
    cw_disk_ref ref = {};
    ref.where = cw_to_le64(file_.size() | u64{codec} << CW_REF_CODEC_SHIFT);
    ref.stored = cw_to_le32(static_cast<u32>(stored.size()));
    ref.crc = cw_to_le32(cw_crc32c(stored.data(), stored.size()));
    file_.insert(file_.end(), stored.begin(), stored.end());
    return ref;
}

void NativeBuilder::add(u64 n, const Bytes &plain, const cw_codec &codec) {
    Bytes stored = compress(codec, plain);
    u8 id = codec.id;
    if (stored.size() >= plain.size()) {
        stored = plain;
        id = CW_CODEC_NONE;
    }
    super.codecs = cw_to_le32(cw_from_le32(super.codecs) | CW_CODEC_BIT(id));
    refs[n] = store(stored, id);
}

Bytes NativeBuilder::finish() {
    std::map<u64, cw_disk_ref> below = refs;
    const u32 levels = cw_from_le32(super.levels);
    for (u32 level = 0; level < levels; level++) {
        std::map<u64, cw_disk_index_page> pages;
        for (const auto &[n, ref] : below) {
            pages[n / CW_INDEX_FANOUT].ref[n % CW_INDEX_FANOUT] = ref;
        }
        below.clear();
        for (auto &[n, page] : pages) {
            if (on_page) {
                on_page(level, n, &page);
            }
            const u8 *bytes = reinterpret_cast<const u8 *>(&page);
            below[n] = store(Bytes(bytes, bytes + sizeof(page)), CW_CODEC_NONE);
            if (on_page_ref) {
                on_page_ref(level, n, &below[n]);
            }
        }
    }
    if (!below.empty()) {
        super.root = below.begin()->second;
    }
    if (super.file_bytes == 0) {
        super.file_bytes = cw_to_le64(file_.size());
    }
    seal(&super);
    memcpy(file_.data(), &super, sizeof(super));
    return file_;
}

Bytes native_image(const Bytes &plain, u32 block_size, const cw_codec &codec) {
    NativeBuilder builder(plain.size(), block_size);
    for (u64 off = 0; off < plain.size(); off += block_size) {
        const u64 end = std::min<u64>(off + block_size, plain.size());
        builder.add(off / block_size, Bytes(plain.data() + off, plain.data() + end), codec);
    }
    return builder.finish();
}

void change_super(Bytes *image, const std::function<void(cw_disk_super *)> &change) {
    cw_disk_super super;
    memcpy(&super, image->data(), sizeof(super));
    change(&super);
    seal(&super);
    memcpy(image->data(), &super, sizeof(super));
}

/* ---- big-endian fields ---- */

void put_be32(Bytes *file, u64 off, u32 value) {
    const __be32 disk = cw_to_be32(value);
    memcpy(file->data() + off, &disk, sizeof(disk));
}

void put_be64(Bytes *file, u64 off, u64 value) {
    const __be64 disk = cw_to_be64(value);
    memcpy(file->data() + off, &disk, sizeof(disk));
}

u64 get_be64(const Bytes &file, u64 off) {
    __be64 disk;
    memcpy(&disk, file.data() + off, sizeof(disk));
    return cw_from_be64(disk);
}

/* ---- cloop ---- */

namespace {

constexpr u64 kCloopHead = sizeof(cw_disk_cloop_head);

u64 entry_len(const CloopSpec &spec) { return spec.version == 0 ? 4 : 8; }

/* The preambles of the original tools. */
std::string preamble(const CloopSpec &spec) {
    const std::string name =
        spec.version == 0 ? "" : "#V" + std::to_string(spec.version) + ".0 Format\n";
    return "#!/bin/sh\n" + name + "insmod cloop.o file=$0 && mount -r /dev/cloop $1\nexit $?\n";
}

Bytes cloop_head(const CloopSpec &spec, u64 blocks) {
    Bytes head(kCloopHead);
    const std::string text = preamble(spec);
    memcpy(head.data(), text.data(), text.size());
    put_be32(&head, 128, spec.block_size);
    put_be32(&head, 132, static_cast<u32>(blocks));
    return head;
}

void put_entry(const CloopSpec &spec, Bytes *index, u64 n, u64 value) {
    if (spec.version == 0) {
        put_be32(index, 4 * n, static_cast<u32>(value));
    } else {
        put_be64(index, 8 * n, value);
    }
}

Bytes joined(const std::vector<Bytes> &parts) {
    Bytes all;
    for (const Bytes &part : parts) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

const std::map<u8, u64> kCloop4Flags = {{CW_CODEC_ZLIB, CW_CLOOP4_ZLIB},
                                        {CW_CODEC_NONE, CW_CLOOP4_NONE},
                                        {CW_CODEC_XZ, CW_CLOOP4_XZ},
                                        {CW_CODEC_LZ4, CW_CLOOP4_LZ4},
                                        {CW_CODEC_LZO, CW_CLOOP4_LZO}};

}  // namespace

bool is_in_cloop4(const cw_codec &codec) { return kCloop4Flags.count(codec.id) != 0; }

u64 cloop4_flags(const cw_codec &codec) {
    return kCloop4Flags.at(codec.id) << CW_CLOOP4_OFFSET_BITS;
}

u64 cloop_entry(const CloopSpec &spec, const Bytes &file, u64 blocks, u64 n) {
    const u64 index = (blocks + 1) * entry_len(spec);
    const u64 at = spec.trailing ? file.size() - kCloopHead - index : kCloopHead;
    return at + n * entry_len(spec);
}

Bytes cloop_image(const CloopSpec &spec, const Bytes &plain) {
    const u64 blocks = cw_div_up(plain.size(), spec.block_size);
    const u64 begin = spec.trailing ? 0 : kCloopHead + (blocks + 1) * entry_len(spec);
    Bytes index((blocks + 1) * entry_len(spec));
    Bytes data;
    for (u64 n = 0; n < blocks; n++) {
        const u64 off = n * spec.block_size;
        const u64 end = std::min<u64>(off + spec.block_size, plain.size());
        const cw_codec &codec = *spec.codecs[n % spec.codecs.size()];
        Bytes block(plain.data() + off, plain.data() + end);
        block.resize(spec.block_size); /* the old tools pad the last one */
        put_entry(spec, &index, n,
                  (begin + data.size()) | (spec.version == 4 ? cloop4_flags(codec) : 0));
        const Bytes stored = compress(codec, block);
        data.insert(data.end(), stored.begin(), stored.end());
    }
    put_entry(spec, &index, blocks, begin + data.size());

    const Bytes head = cloop_head(spec, blocks);
    return spec.trailing ? joined({data, index, head}) : joined({head, index, data});
}

u64 cloop2_entry(u64 n) { return kCloopHead + n * sizeof(__be64); }

Bytes cloop2_image(const Bytes &plain, u32 block_size) {
    return cloop_image({.version = 2, .block_size = block_size}, plain);
}

/* ---- User-mode Linux COW ---- */

namespace {

u64 up(u64 value, u64 alignment) { return cw_div_up(value, alignment) * alignment; }

/* The header's fields one behind the other, big-endian unless it says else. */
class UmlHead {
public:
    explicit UmlHead(bool little) : little_(little) {}

    UmlHead &number(u64 value, u32 len) {
        for (u32 i = 0; i < len; i++) {
            const u32 shift = 8 * (little_ ? i : len - 1 - i);
            bytes_.push_back(static_cast<u8>(value >> shift));
        }
        return *this;
    }
    UmlHead &name(const std::string &text, size_t len) {
        bytes_.insert(bytes_.end(), text.begin(), text.end());
        bytes_.resize(bytes_.size() + len - text.size());
        return *this;
    }
    const Bytes &bytes() const { return bytes_; }

private:
    bool little_;
    Bytes bytes_;
};

Bytes uml_head(const UmlSpec &spec) {
    UmlHead head(spec.little);
    head.number(CW_UML_MAGIC, 4).number(static_cast<u32>(spec.version), 4);
    if (spec.version < 3) {
        head.name(spec.base, spec.version == 1 ? 256 : 4096);
        return head.number(spec.mtime, 4).number(spec.size, 8).number(spec.sector_size, 4).bytes();
    }
    head.number(spec.mtime, 4).number(0, spec.padded ? 4 : 0).number(spec.size, 8);
    head.number(spec.sector_size, 4).number(spec.alignment, 4).number(CW_UML_FORMAT_BITMAP, 4);
    return head.name(spec.base, spec.padded ? 4096 + 4 : 4096).bytes();
}

}  // namespace

u64 uml_bitmap_offset(const UmlSpec &spec) {
    return up(uml_head(spec).size(), spec.version < 3 ? 1 : spec.alignment);
}

u64 uml_data_offset(const UmlSpec &spec) {
    const u64 sectors = cw_div_up(spec.size, spec.sector_size);
    if (spec.version < 3) {
        return up(uml_bitmap_offset(spec) + sectors / 8, spec.sector_size);
    }
    return up(uml_bitmap_offset(spec) + cw_div_up(sectors, 8), spec.alignment);
}

Bytes uml_cow(const UmlSpec &spec) {
    Bytes file = uml_head(spec);
    file.resize(uml_data_offset(spec) + spec.size);
    return file;
}

/* ---- engine objects ---- */

OpenImage::OpenImage(TestIo *io, const cw_image_format *format, u64 cache_bytes)
    : cache_(cw_cache_create(cache_bytes)) {
    err_ = cw_image_open(io->get(), cache_, format, &image_, &report_);
}

OpenImage::~OpenImage() {
    cw_image_close(image_);
    cw_cache_destroy(cache_);
}

int OpenImage::read(u64 off, u32 len, Bytes *out) const {
    out->reserve(1); /* a place, also for no bytes */
    out->assign(len, 0xa5);
    return cw_image_read(image_, off, len, out->data());
}

OpenDevice::OpenDevice(TestIo *base, const std::vector<TestIo *> &layers, const Options &options) {
    std::vector<cw_io *> ios;
    for (TestIo *layer : layers) {
        ios.push_back(layer->get());
    }
    const cw_device_config config = {
        .base = base->get(),
        .format = options.format,
        .layers = ios.data(),
        .nr_layers = static_cast<u32>(ios.size()),
        .read_only = options.read_only,
        .record = false,
        .cache_bytes = options.cache_bytes,
        .cache_budget = nullptr,
    };
    err_ = cw_device_open(&config, &device_, &report_);
}

OpenDevice::~OpenDevice() { (void)cw_device_close(device_); }

u64 OpenDevice::size() const {
    cw_device_info info;
    cw_device_get_info(device_, &info);
    return info.size;
}

int OpenDevice::read(u64 off, u32 len, Bytes *out) const {
    out->reserve(1); /* a place, also for no bytes */
    out->assign(len, 0xa5);
    return cw_device_read(device_, off, len, out->data());
}

int OpenDevice::write(u64 off, const Bytes &bytes) const {
    return cw_device_write(device_, off, static_cast<u32>(bytes.size()), bytes.data());
}

Bytes OpenDevice::contents() const {
    Bytes all;
    if (read(0, static_cast<u32>(size()), &all) != 0) {
        all.clear();
    }
    return all;
}

int OpenDevice::close() {
    cw_device *device = device_;
    device_ = nullptr;
    return cw_device_close(device);
}

}  // namespace cloopw::test

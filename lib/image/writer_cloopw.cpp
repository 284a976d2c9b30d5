// SPDX-License-Identifier: GPL-2.0
/*
 * The native image, version 1: docs/reference/format.md, format.h.
 *
 * Blocks and index pages go into one stream behind the superblock's place; a
 * page is written when it is full. With a boot area, all pages follow the
 * blocks. The superblock is written last, behind a flush: before, the file
 * begins with zeros and is no image.
 */
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "append_stream.h"
#include "image_writer.h"
#include "scratch_file.h"

namespace cloopw {

namespace {

/* The place of stored bytes; stored == 0: no place, because they are zeros. */
struct Ref {
    u64 offset = 0;
    u32 stored = 0;
    u32 crc = 0;
    u8 codec = CW_CODEC_NONE;
};

cw_disk_ref encode_ref(const Ref &ref) {
    cw_disk_ref disk = {};
    if (ref.stored != 0) {
        disk.where = cw_to_le64(ref.offset | u64{ref.codec} << CW_REF_CODEC_SHIFT);
        disk.stored = cw_to_le32(ref.stored);
        disk.crc = cw_to_le32(ref.crc);
    }
    return disk;
}

/* Builds the radix tree from the left to the right, one open page a level. */
class IndexBuilder {
public:
    explicit IndexBuilder(AppendStream &stream) : stream_(stream) {}

    void add(const Ref &ref) { add_at(0, ref); }

    /* Closes all pages; the number of blocks determines levels. */
    Ref finish(u32 levels) {
        for (u32 level = 0; level + 1 < levels; level++) {
            add_at(level + 1, close(level));
        }
        return close(levels - 1);
    }

private:
    struct Page {
        cw_disk_index_page disk = {};
        u32 used = 0;
        bool zero = true; /* so far */
    };

    void add_at(u32 level, const Ref &ref) {
        if (level >= CW_INDEX_MAX_LEVELS) {
            throw Error("the image is too large for its block size", EFBIG);
        }
        if (level == pages_.size()) {
            pages_.push_back(std::make_unique<Page>());
        }
        /* Only now, so that a full root is not put below another one. */
        if (pages_[level]->used == CW_INDEX_FANOUT) {
            add_at(level + 1, close(level));
        }
        Page &page = *pages_[level];
        page.disk.ref[page.used++] = encode_ref(ref);
        page.zero = page.zero && ref.stored == 0;
    }

    Ref close(u32 level) {
        Page &page = *pages_[level];
        Ref ref;
        if (!page.zero) {
            ref.offset = stream_.append(&page.disk, sizeof(page.disk));
            ref.stored = sizeof(page.disk);
            ref.crc = cw_crc32c(&page.disk, sizeof(page.disk));
        }
        page = Page();
        return ref;
    }

    AppendStream &stream_;
    std::vector<std::unique_ptr<Page>> pages_;
};

/*
 * References of blocks that are stored before their turn in the index comes.
 * There may be as many as the image has blocks, so they wait in a file.
 */
class EarlyRefs {
public:
    void put(u64 number, const Ref &ref) {
        if (!file_) {
            file_ = open_scratch_file("the index of an image in another order");
        }
        cw_disk_ref disk = ref.stored != 0 ? encode_ref(ref) : kZeros;
        file_->write(&disk, sizeof(disk), number * sizeof(disk));
        size_ = std::max(size_, (number + 1) * sizeof(disk));
        if (number / kPage == page_) {
            refs_[number % kPage] = disk;
        }
    }

    /* nullopt: the block has not come yet. Cheap in rising order. */
    std::optional<Ref> get(u64 number) {
        if (number * sizeof(cw_disk_ref) >= size_) {
            return {};
        }
        if (number / kPage != page_) {
            load(number / kPage);
        }
        const cw_disk_ref &disk = refs_[number % kPage];
        u64 where = cw_from_le64(disk.where);
        u32 stored = cw_from_le32(disk.stored);
        if (stored == 0) {
            return where != 0 ? std::optional<Ref>(Ref()) : std::nullopt;
        }
        return Ref{where & ((u64{1} << CW_REF_OFFSET_BITS) - 1), stored, cw_from_le32(disk.crc),
                   static_cast<u8>(where >> CW_REF_CODEC_SHIFT)};
    }

private:
    static constexpr u64 kPage = 4096 / sizeof(cw_disk_ref); /* references read at once */
    static constexpr cw_disk_ref kZeros = {1, 0, 0};         /* no place, and yet known */

    void load(u64 page) {
        refs_.fill({});
        u64 off = page * sizeof(refs_);
        file_->read(refs_.data(), cw_min(sizeof(refs_), size_ - off), off);
        page_ = page;
    }

    std::optional<Io> file_; /* a block's ref is at its number; a missing one is zero */
    u64 size_ = 0;           /* bytes of the file */
    u64 page_ = UINT64_MAX;  /* number of the page in refs_ */
    std::array<cw_disk_ref, kPage> refs_ = {};
};

/* The places of earlier blocks, in a table of fixed size that forgets. */
class DedupeTable {
public:
    struct Entry {
        std::array<u64, 2> hash = {};
        Ref ref; /* stored == 0: empty */
    };

    DedupeTable() : entries_(kEntries) {}

    /* The only entry that can have the block. */
    Entry &slot(const Block &block) { return entries_[block.hash[0] % kEntries]; }

    static bool matches(const Entry &entry, const Block &block) {
        return entry.ref.stored == block.stored_len && entry.ref.codec == block.codec &&
               entry.hash == block.hash;
    }

private:
    static constexpr size_t kEntries = size_t{1} << 18;

    std::vector<Entry> entries_;
};

/* The source of the UUID: every stored block, then the options. */
class Fingerprint {
public:
    Fingerprint() : state_(XXH3_createState()) {
        if (!state_) {
            throw std::bad_alloc();
        }
        XXH3_128bits_reset(state_.get());
    }

    void add(u64 value) {
        __le64 disk = cw_to_le64(value);
        XXH3_128bits_update(state_.get(), &disk, sizeof(disk));
    }

    void add(const std::string &text) {
        add(text.size());
        XXH3_128bits_update(state_.get(), text.data(), text.size());
    }

    Uuid uuid() const {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
        Uuid uuid;
        std::memcpy(uuid.data(), canonical.digest, uuid.size());
        uuid[6] = static_cast<u8>((uuid[6] & 0x0f) | 0x80); /* version 8: our own making */
        uuid[8] = static_cast<u8>((uuid[8] & 0x3f) | 0x80);
        return uuid;
    }

private:
    std::unique_ptr<XXH3_state_t, CDeleter<XXH3_freeState>> state_;
};

u32 levels_for(u64 blocks) {
    u32 levels = 0;
    do {
        blocks = cw_div_up(blocks, CW_INDEX_FANOUT);
        levels++;
    } while (blocks > 1);
    return levels;
}

class NativeWriter : public ImageWriter {
public:
    NativeWriter(const Io &io, const ImageWriterOptions &options)
        : io_(io), options_(options), stream_(io, CW_SUPER_LEN), index_(stream_) {
        /* The former image in this file is none from now on. */
        cw_disk_super none = {};
        io_.write(&none, sizeof(none), 0);
        if (options_.dedupe) {
            dedupe_ = std::make_unique<DedupeTable>();
        }
    }

    void encode(Codec &codec, Block &block) const override;
    void append(const Block &block) override;
    void finish() override;
    Uuid uuid() const override { return uuid_; }

private:
    void compress(Codec &codec, Block &block) const;
    void index(u64 number, const Ref &ref);
    void index_early();
    Ref place(const Block &block);
    Ref store(const Block &block);
    cw_disk_super make_super(const Ref &root, u32 levels) const;

    const Io &io_;
    const ImageWriterOptions options_;
    AppendStream stream_;
    IndexBuilder index_;
    std::unique_ptr<DedupeTable> dedupe_;
    u64 indexed_ = 0; /* blocks in the index: the first so many */
    u64 boot_end_ = CW_SUPER_LEN;
    EarlyRefs early_;
    Fingerprint fingerprint_;
    u32 codecs_ = 0; /* that occur */
    Uuid uuid_ = {};
};

void NativeWriter::encode(Codec &codec, Block &block) const {
    block.hash = {};
    if (!block.copied) {
        compress(codec, block);
    }
    if (block.stored_len != 0) {
        XXH128_hash_t hash = XXH3_128bits(block.stored.data(), block.stored_len);
        block.hash = {hash.low64, hash.high64};
    }
}

void NativeWriter::compress(Codec &codec, Block &block) const {
    block.stored_len = 0;
    block.codec = CW_CODEC_NONE;
    block.crc = 0;
    if (block.zero || all_zero(block.plain.data(), block.plain_len)) {
        return;
    }

    if (block.stored.size() < options_.block_size) {
        block.stored.resize(options_.block_size);
    }
    block.stored_len = codec.compress(block.stored.data(), block.plain_len - 1, block.plain.data(),
                                      block.plain_len);
    block.codec = codec.info().id;
    if (block.stored_len == 0) {
        block.plain.swap(block.stored);
        block.stored_len = block.plain_len;
        block.codec = CW_CODEC_NONE;
    }
    block.crc = cw_crc32c(block.stored.data(), block.stored_len);
}

Ref NativeWriter::store(const Block &block) {
    DedupeTable::Entry *seen = dedupe_ ? &dedupe_->slot(block) : nullptr;
    if (seen != nullptr && DedupeTable::matches(*seen, block) &&
        stream_.equals(seen->ref.offset, block.stored.data(), block.stored_len)) {
        stats_.duplicate_blocks++;
        return seen->ref;
    }

    Ref ref;
    ref.offset = stream_.append(block.stored.data(), block.stored_len);
    ref.stored = block.stored_len;
    ref.crc = block.crc;
    ref.codec = block.codec;
    if (stream_.end() >> CW_REF_OFFSET_BITS != 0) {
        throw Error(std::string(io_.name()) + ": the image is too large", EFBIG);
    }
    if (seen != nullptr) {
        *seen = {block.hash, ref};
    }
    return ref;
}

Ref NativeWriter::place(const Block &block) {
    if (block.stored_len == 0) {
        stats_.zero_blocks++;
        return {};
    }
    stats_.raw_blocks += block.codec == CW_CODEC_NONE ? 1 : 0;
    stats_.copied_blocks += block.copied ? 1 : 0;
    codecs_ |= CW_CODEC_BIT(block.codec);
    return store(block);
}

void NativeWriter::append(const Block &block) {
    stats_.blocks++;
    stats_.input_bytes += block.plain_len;
    fingerprint_.add(block.stored_len | u64{block.codec} << 32);
    fingerprint_.add(block.hash[0]);
    fingerprint_.add(block.hash[1]);
    index(block.number, place(block));
    if (stats_.blocks == options_.boot_blocks) {
        boot_end_ = stream_.end();
    }
}

/* With a boot area, the index waits for the end. */
void NativeWriter::index(u64 number, const Ref &ref) {
    if (number != indexed_ || options_.boot_blocks != 0) {
        early_.put(number, ref);
        return;
    }
    index_.add(ref);
    indexed_++;
    index_early();
}

void NativeWriter::index_early() {
    while (std::optional<Ref> next = early_.get(indexed_)) {
        index_.add(*next);
        indexed_++;
    }
}

cw_disk_super NativeWriter::make_super(const Ref &root, u32 levels) const {
    cw_disk_super super = {};
    std::memcpy(super.magic, CW_IMAGE_MAGIC, sizeof(super.magic));
    super.version = cw_to_le32(CW_IMAGE_VERSION);
    std::copy(uuid_.begin(), uuid_.end(), super.uuid);
    super.size = cw_to_le64(stats_.input_bytes);
    super.file_bytes = cw_to_le64(stream_.end());
    super.block_size = cw_to_le32(options_.block_size);
    super.levels = cw_to_le32(levels);
    super.codecs = cw_to_le32(codecs_);
    super.codec = cw_to_le32(options_.codec->id);
    super.level = cw_to_le32(static_cast<u32>(options_.level));
    super.created = cw_to_le64(options_.created);
    super.root = encode_ref(root);
    std::copy(options_.label.begin(), options_.label.end(), super.label);
    super.boot_bytes = cw_to_le64(boot_end_ - CW_SUPER_LEN);
    super.crc = cw_to_le32(cw_crc32c(&super, sizeof(super)));
    return super;
}

void NativeWriter::finish() {
    if (stats_.blocks == 0) {
        throw Error("there is nothing to make an image of", EINVAL);
    }
    index_early();
    if (indexed_ != stats_.blocks) {
        throw Error(std::string(io_.name()) + ": block " + std::to_string(indexed_) + " is missing",
                    EINVAL);
    }
    u32 levels = levels_for(stats_.blocks);
    Ref root = index_.finish(levels);

    uuid_ = options_.uuid;
    if (uuid_ == Uuid{}) {
        fingerprint_.add(stats_.input_bytes);
        fingerprint_.add(options_.block_size);
        fingerprint_.add(options_.codec->id);
        fingerprint_.add(static_cast<u32>(options_.level));
        fingerprint_.add(options_.created);
        fingerprint_.add(options_.label);
        uuid_ = fingerprint_.uuid();
    }
    cw_disk_super super = make_super(root, levels);
    stream_.write_out();
    stats_.output_bytes = pad_to_page(io_, stream_.end());
    io_.flush();
    io_.write(&super, sizeof(super), 0);
    io_.flush();
}

std::unique_ptr<ImageWriter> create(const Io &io, const ImageWriterOptions &options) {
    return std::make_unique<NativeWriter>(io, options);
}

}  // namespace

const ImageWriterFormat image_writer_cloopw = {
    .name = "cloopw",
    .default_codec = "zstd",
    .min_block_size = CW_NATIVE_MIN_BLOCK,
    .max_block_size = CW_NATIVE_MAX_BLOCK,
    .block_size_multiple = CW_NATIVE_MIN_BLOCK,
    .power_of_two = true,
    .has_label = true,
    .any_order = true,
    .copies_from = &cw_image_cloopw,
    .codecs = CW_CODEC_BIT(CW_CODEC_IDS) - 1, /* all */
    .create = create,
};

}  // namespace cloopw

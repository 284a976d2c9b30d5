// SPDX-License-Identifier: GPL-2.0
/*
 * cloop V2.0: a 128-byte preamble, block size and count, big-endian offsets,
 * zlib streams. For old media and old tools: extract_compressed_fs reads the
 * streams one behind the other from where the offsets end, so they are stored
 * in order and without gaps, also when blocks are equal.
 */
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "append_stream.h"
#include "image_writer.h"

namespace cloopw {

namespace {

/*
 * A script, since images were once executable. Ours only says what it is. Old
 * drivers look for V2.0 at CW_CLOOP_SIGNATURE_AT.
 */
constexpr char kPreamble[] =
    "#!/bin/sh\n"
    "#V2.0 Format\n"
    "echo \"$0: compressed disk image; attach it with cloopwsetup\" >&2\n"
    "exit 1\n";
static_assert(sizeof(kPreamble) <= CW_CLOOP_PREAMBLE_LEN);

/* What the old tools have room for. */
u32 max_stored(u32 block_size) { return block_size + block_size / 1000 + 16; }

u64 index_len(u64 blocks) { return (blocks + 1) * sizeof(__be64); }

class Cloop2Writer : public ImageWriter {
public:
    Cloop2Writer(const Io &io, const ImageWriterOptions &options)
        : io_(io),
          options_(options),
          room_(options.size ? index_len(cw_div_up(*options.size, options.block_size)) : 0),
          stream_(io, sizeof(cw_disk_cloop_head) + room_) {
        cw_disk_cloop_head none = {};
        io_.write(&none, sizeof(none), 0);
        make_zero_stream();
    }

    void encode(Codec &codec, Block &block) const override;
    void append(const Block &block) override;
    void finish() override;

private:
    void make_zero_stream();
    void compress(Codec &codec, Block &block) const;
    void make_room(u64 by);
    void write_index();
    void write_head();

    const Io &io_;
    const ImageWriterOptions options_;
    const u64 room_; /* left for the index; 0: the number of blocks is not known */
    AppendStream stream_;
    std::vector<u32> lengths_; /* of the streams */
    Block zero_;               /* a block of zeros, compressed */
};

void Cloop2Writer::compress(Codec &codec, Block &block) const {
    u32 cap = max_stored(options_.block_size);
    /* Codecs like to have more room than what they write takes in the end. */
    if (block.stored.size() < cap + 64) {
        block.stored.resize(cap + 64);
    }
    block.stored_len =
        codec.compress(block.stored.data(), cap + 64, block.plain.data(), options_.block_size);
    if (block.stored_len == 0 || block.stored_len > cap) {
        throw Error("a block takes more room than cloop has for it", EFBIG);
    }
    block.codec = codec.info().id;
}

void Cloop2Writer::make_zero_stream() {
    Codec codec(*options_.codec, options_.level, options_.block_size);
    zero_.plain.resize(options_.block_size);
    zero_.plain_len = options_.block_size;
    compress(codec, zero_);
}

void Cloop2Writer::encode(Codec &codec, Block &block) const {
    if (block.zero || all_zero(block.plain.data(), block.plain_len)) {
        block.zero = true;
        block.stored_len = zero_.stored_len;
        block.codec = zero_.codec;
        return;
    }
    std::fill(block.plain.begin() + block.plain_len, block.plain.begin() + options_.block_size, 0);
    compress(codec, block);
}

void Cloop2Writer::append(const Block &block) {
    if (lengths_.size() == UINT32_MAX) {
        throw Error(std::string(io_.name()) + ": too many blocks for cloop; take larger ones",
                    EFBIG);
    }
    stats_.blocks++;
    stats_.input_bytes += block.plain_len;
    stats_.zero_blocks += block.zero ? 1 : 0;
    stats_.raw_blocks += block.stored_len >= options_.block_size ? 1 : 0;
    lengths_.push_back(block.stored_len);
    stream_.append(block.zero ? zero_.stored.data() : block.stored.data(), block.stored_len);
}

/* Moves the streams towards the end of the file, the last bytes first. */
void Cloop2Writer::make_room(u64 by) {
    std::vector<u8> buffer(1 << 20);
    u64 begin = sizeof(cw_disk_cloop_head);
    for (u64 at = stream_.end(); at > begin;) {
        size_t len = cw_min(buffer.size(), at - begin);
        at -= len;
        io_.read(buffer.data(), len, at);
        io_.write(buffer.data(), len, at + by);
    }
}

void Cloop2Writer::write_index() {
    AppendStream index(io_, sizeof(cw_disk_cloop_head));
    u64 at = sizeof(cw_disk_cloop_head) + index_len(lengths_.size());
    __be64 entry = cw_to_be64(at);
    index.append(&entry, sizeof(entry));
    for (u32 len : lengths_) {
        at += len;
        entry = cw_to_be64(at);
        index.append(&entry, sizeof(entry));
    }
    index.write_out();
    stats_.output_bytes = at;
}

void Cloop2Writer::write_head() {
    cw_disk_cloop_head head = {};
    std::memcpy(head.preamble, kPreamble, sizeof(kPreamble) - 1);
    head.block_size = cw_to_be32(options_.block_size);
    head.blocks = cw_to_be32(static_cast<u32>(lengths_.size()));
    io_.write(&head, sizeof(head), 0);
}

void Cloop2Writer::finish() {
    if (stats_.blocks == 0) {
        throw Error("there is nothing to make an image of", EINVAL);
    }
    stream_.write_out();
    if (room_ == 0) {
        make_room(index_len(lengths_.size()));
    } else if (room_ != index_len(lengths_.size())) {
        throw Error("the input is not as long as it said", EIO);
    }
    write_index();
    io_.flush();
    write_head();
    io_.flush();
}

std::unique_ptr<ImageWriter> create(const Io &io, const ImageWriterOptions &options) {
    return std::make_unique<Cloop2Writer>(io, options);
}

}  // namespace

const ImageWriterFormat image_writer_cloop2 = {
    .name = "cloop2",
    .default_codec = "zlib",
    .min_block_size = CW_IMAGE_MIN_BLOCK,
    .max_block_size = CW_IMAGE_MAX_BLOCK,
    .block_size_multiple = CW_SECTOR_SIZE,
    .power_of_two = false,
    .has_label = false,
    .any_order = false,
    .copies_from = nullptr,
    .codecs = CW_CODEC_BIT(CW_CODEC_ZLIB),
    .create = create,
};

}  // namespace cloopw

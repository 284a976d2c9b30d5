// SPDX-License-Identifier: GPL-2.0
/*
 * cloop: a 128-byte preamble, block size and count, big-endian offsets, streams. For old
 * media and old tools. extract_compressed_fs reads the streams one behind the other from
 * where the offsets end. So the streams are stored in order and without gaps, also when
 * blocks are equal.
 */
#include "cloop_writer.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "append_stream.h"
#include "scratch_file.h"

namespace cloopw {

namespace {

/* The room that the old tools have. */
u32 max_stored(u32 block_size) { return block_size + block_size / 1000 + 16; }

u64 index_len(u64 blocks) { return (blocks + 1) * sizeof(__be64); }

class CloopWriter : public ImageWriter {
public:
    CloopWriter(const Io &io, const ImageWriterOptions &options, const CloopVersion &version)
        : io_(io),
          version_(version),
          options_(options),
          room_(options.size ? index_len(cw_div_up(*options.size, options.block_size)) : 0),
          stream_(io, sizeof(cw_disk_cloop_head) + room_),
          index_file_(room_ != 0 ? std::nullopt
                                 : std::optional<Io>(open_scratch_file("the index of the image"))),
          index_(index_file_ ? *index_file_ : io, index_file_ ? 0 : sizeof(cw_disk_cloop_head)) {
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
    void add_entry(u8 codec);
    void make_room(u64 by);
    void move_index(u64 by);
    void write_head();

    const Io &io_;
    const CloopVersion &version_;
    const ImageWriterOptions options_;
    const u64 room_; /* left for the index; 0: the number of blocks is not known */
    AppendStream stream_;
    std::optional<Io> index_file_; /* for the index, where there is no room for it yet */
    AppendStream index_;           /* in its place, or there with offsets too small by its length */
    Block zero_;                   /* a block of zeros, compressed */
};

void CloopWriter::compress(Codec &codec, Block &block) const {
    u32 cap = version_.stores_plain ? options_.block_size - 1 : max_stored(options_.block_size);
    /* Codecs like to have more room than their result needs. */
    u32 room = options_.block_size + options_.block_size / 1000 + 80;
    if (block.stored.size() < room) {
        block.stored.resize(room);
    }
    block.stored_len =
        codec.compress(block.stored.data(), room, block.plain.data(), options_.block_size);
    block.codec = codec.info().id;
    if (block.stored_len != 0 && block.stored_len <= cap) {
        return;
    }
    if (!version_.stores_plain) {
        throw Error("a block takes more room than cloop has for it", EFBIG);
    }
    std::swap(block.plain, block.stored);
    block.stored_len = options_.block_size;
    block.codec = CW_CODEC_NONE;
}

void CloopWriter::make_zero_stream() {
    Codec codec(*options_.codec, options_.level, options_.block_size);
    zero_.plain.resize(options_.block_size);
    zero_.plain_len = options_.block_size;
    compress(codec, zero_);
}

void CloopWriter::encode(Codec &codec, Block &block) const {
    if (block.zero || all_zero(block.plain.data(), block.plain_len)) {
        block.zero = true;
        block.stored_len = zero_.stored_len;
        block.codec = zero_.codec;
        return;
    }
    std::fill(block.plain.begin() + block.plain_len, block.plain.begin() + options_.block_size, 0);
    compress(codec, block);
}

void CloopWriter::append(const Block &block) {
    if (stats_.blocks == UINT32_MAX) {
        throw Error(std::string(io_.name()) + ": too many blocks for cloop; take larger ones",
                    EFBIG);
    }
    stats_.blocks++;
    stats_.input_bytes += block.plain_len;
    stats_.zero_blocks += block.zero ? 1 : 0;
    stats_.raw_blocks += block.stored_len >= options_.block_size ? 1 : 0;
    add_entry(block.codec);
    stream_.append(block.zero ? zero_.stored.data() : block.stored.data(), block.stored_len);
}

/* Adds the entry of the next stream. */
void CloopWriter::add_entry(u8 codec) {
    __be64 entry = cw_to_be64(stream_.end() | version_.flags(codec));
    index_.append(&entry, sizeof(entry));
}

/* Moves the streams towards the end of the file, the last bytes first. */
void CloopWriter::make_room(u64 by) {
    std::vector<u8> buffer(1 << 20);
    u64 begin = sizeof(cw_disk_cloop_head);
    for (u64 at = stream_.end(); at > begin;) {
        size_t len = cw_min(buffer.size(), at - begin);
        at -= len;
        io_.read(buffer.data(), len, at);
        io_.write(buffer.data(), len, at + by);
    }
}

/* Copies the index to its place, and adapts its offsets to make_room(). */
void CloopWriter::move_index(u64 by) {
    AppendStream index(io_, sizeof(cw_disk_cloop_head));
    std::vector<__be64> entries(1 << 15);
    u64 len = index_len(stats_.blocks);
    for (u64 at = 0; at < len;) {
        u64 part = cw_min(entries.size() * sizeof(__be64), len - at);
        index_file_->read(entries.data(), part, at);
        for (u64 i = 0; i < part / sizeof(__be64); i++) {
            entries[i] = cw_to_be64(cw_from_be64(entries[i]) + by);
        }
        index.append(entries.data(), part);
        at += part;
    }
    index.write_out();
}

void CloopWriter::write_head() {
    cw_disk_cloop_head head = {};
    version_.preamble.copy(reinterpret_cast<char *>(head.preamble), sizeof(head.preamble));
    head.block_size = cw_to_be32(options_.block_size);
    head.blocks = cw_to_be32(static_cast<u32>(stats_.blocks));
    io_.write(&head, sizeof(head), 0);
}

void CloopWriter::finish() {
    if (stats_.blocks == 0) {
        throw Error("there is nothing to make an image of", EINVAL);
    }
    u64 len = index_len(stats_.blocks);
    if (room_ != 0 && room_ != len) {
        throw Error("the input is not as long as it said", EIO);
    }
    add_entry(CW_CODEC_ZLIB); /* the last entry: the end of the streams */
    stream_.write_out();
    index_.write_out();
    if (index_file_) {
        make_room(len);
        move_index(len);
    }
    stats_.output_bytes = pad_to_page(io_, stream_.end() + (index_file_ ? len : 0));
    io_.flush();
    write_head();
    io_.flush();
}

}  // namespace

std::unique_ptr<ImageWriter> create_cloop_writer(const Io &io, const ImageWriterOptions &options,
                                                 const CloopVersion &version) {
    return std::make_unique<CloopWriter>(io, options, version);
}

}  // namespace cloopw

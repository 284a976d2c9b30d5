/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes compressed images. A format is one file and one row of image_writer_formats(). The
 * format says how and where a block is stored. The caller reads the input and spreads the
 * work over threads.
 *
 *     auto writer = format.create(io, options);
 *     for each block, in any thread:  writer->encode(codec, block)
 *     for each block, in order:       writer->append(block)
 *     writer->finish()
 */
#ifndef CLOOPW_LIB_IMAGE_WRITER_H
#define CLOOPW_LIB_IMAGE_WRITER_H

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/cloopw.h"
#include "lib/names.h"
#include "lib/uuid.h"

namespace cloopw {

struct ImageWriterOptions {
    u32 block_size = 65536;
    const cw_codec *codec = nullptr;
    int level = 0;
    bool dedupe = true;      /* if the format can */
    Uuid uuid = {};          /* zeros: derived from content and options */
    std::string label;       /* up to CW_LABEL_LEN bytes */
    u64 created = 0;         /* seconds since 1970; 0: not recorded */
    std::optional<u64> size; /* bytes of the image, if known beforehand */
    /*
     * The first so many blocks that come are those that a boot reads, in the order of their
     * use. 0: that is not known. Only for formats with any_order.
     */
    u64 boot_blocks = 0;
};

struct ImageWriterStats {
    u64 input_bytes = 0;
    u64 output_bytes = 0; /* set by finish */
    u64 blocks = 0;
    u64 zero_blocks = 0;
    u64 duplicate_blocks = 0;
    u64 raw_blocks = 0;    /* did not shrink */
    u64 copied_blocks = 0; /* came in their stored form; without zero_blocks */
};

/* A block on its way. Buffers are recycled, so they only ever grow. */
struct Block {
    /* The caller sets these. */
    u64 number = 0;
    std::vector<u8> plain; /* at least plain_len bytes */
    u32 plain_len = 0;
    bool zero = false; /* known to be zeros: plain may be unset */
    /*
     * stored, stored_len, codec and crc are set and sound, so plain may be unset. Only for
     * formats with copies_from.
     */
    bool copied = false;

    /* encode sets these. */
    std::vector<u8> stored;
    u32 stored_len = 0; /* 0: nothing to store */
    u8 codec = CW_CODEC_NONE;
    u32 crc = 0;
    std::array<u64, 2> hash = {}; /* hash of the stored bytes */
};

class ImageWriter {
public:
    virtual ~ImageWriter() = default;
    ImageWriter(const ImageWriter &) = delete;
    ImageWriter &operator=(const ImageWriter &) = delete;

    /*
     * Compresses plain into stored, and may swap the two. Any thread; each has a codec of
     * its own, of the options' codec and level. Throws Error.
     */
    virtual void encode(Codec &codec, Block &block) const = 0;

    /*
     * Stores the next block. One thread at a time, each number once. The numbers rise,
     * unless the format has any_order. All blocks but the last have block_size bytes.
     * Throws Error.
     */
    virtual void append(const Block &block) = 0;

    /*
     * Completes the image; without finish the file is none. Flushes. Throws Error, also
     * when the image would be empty.
     */
    virtual void finish() = 0;

    const ImageWriterStats &stats() const { return stats_; } /* the blocks until now */
    virtual Uuid uuid() const { return {}; }                 /* after finish; zeros: has none */

protected:
    ImageWriter() = default;

    ImageWriterStats stats_;
};

struct ImageWriterFormat {
    const char *name; /* argument of --format */
    const char *default_codec;
    u32 min_block_size;
    u32 max_block_size;
    u32 block_size_multiple;
    bool power_of_two; /* block sizes must be one */
    bool has_label;    /* and a UUID and a date */
    bool any_order;    /* append takes blocks in any order */
    /* A format whose stored blocks this one can take over, or nullptr. */
    const cw_image_format *copies_from;
    u32 codecs; /* CW_CODEC_BIT()s it can store */

    /* Borrows io, which must be readable and writable, and the codec. */
    std::unique_ptr<ImageWriter> (*create)(const Io &io, const ImageWriterOptions &options);
};

extern const ImageWriterFormat image_writer_cloopw;
extern const ImageWriterFormat image_writer_cloop2;
extern const ImageWriterFormat image_writer_cloop4;

/* All formats that can be written. */
std::span<const ImageWriterFormat *const> image_writer_formats();
Names image_writer_names();
/* nullptr when there is none */
const ImageWriterFormat *image_writer_format(std::string_view name);

/* Returns the fault of the options for this format; empty: there is none. */
std::string check_options(const ImageWriterFormat &format, const ImageWriterOptions &options);

/* Would encoding a block of this image give its stored form? */
bool can_copy_blocks(const ImageWriterFormat &format, const ImageWriterOptions &options,
                     const cw_image &image);

/* true when all are zero */
bool all_zero(const u8 *bytes, size_t len);

}  // namespace cloopw

#endif

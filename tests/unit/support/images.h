/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes images of each format byte by byte, good ones and bad ones, from the
 * description in docs/reference/format.md and without the library's writer.
 */
#ifndef CLOOPW_TESTS_IMAGES_H
#define CLOOPW_TESTS_IMAGES_H

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "support/test_io.h"

namespace cloopw::test {

/* The result of the codec at its default level; with "none", the bytes. */
Bytes compress(const cw_codec &codec, const Bytes &plain);

/* ---- cloopw version 1 ---- */

class NativeBuilder {
public:
    NativeBuilder(u64 size, u32 block_size);

    /* Stores block n, uncompressed if the codec does not shrink it. */
    void add(u64 n, const Bytes &plain, const cw_codec &codec);
    /* Stores these bytes and returns a reference to them with their crc. */
    cw_disk_ref store(const Bytes &stored, u8 codec);

    /* For faults, before finish(): references to blocks, */
    std::map<u64, cw_disk_ref> refs;
    /* each index page before it is stored, */
    std::function<void(u32 level, u64 n, cw_disk_index_page *page)> on_page;
    /* each reference to an index page, also the root's, */
    std::function<void(u32 level, u64 n, cw_disk_ref *ref)> on_page_ref;
    /* and the superblock, whose checksum is made afterwards. */
    cw_disk_super super;

    Bytes finish();

private:
    Bytes file_;
};

/* All blocks of plain in order, with one codec. */
Bytes native_image(const Bytes &plain, u32 block_size, const cw_codec &codec);
/* Changes the superblock and fixes its checksum. */
void change_super(Bytes *image, const std::function<void(cw_disk_super *)> &change);

/* ---- cloop V0.68, V2.0, V4.0 ---- */

struct CloopSpec {
    int version = 4;       /* 0: V0.68 */
    bool trailing = false; /* header and index at the end */
    u32 block_size = 4096;
    std::vector<const cw_codec *> codecs = {&cw_codec_zlib}; /* the blocks', in turn */
};

Bytes cloop_image(const CloopSpec &spec, const Bytes &plain);
/* Place of block n's entry in a file of that many blocks. */
u64 cloop_entry(const CloopSpec &spec, const Bytes &file, u64 blocks, u64 n);
bool is_in_cloop4(const cw_codec &codec);
/* The top bits of an entry of V4.0 for this codec, which is one of cloop's. */
u64 cloop4_flags(const cw_codec &codec);

Bytes cloop2_image(const Bytes &plain, u32 block_size);
/* Place of block n's offset in the file. */
u64 cloop2_entry(u64 n);
void put_be32(Bytes *file, u64 off, u32 value);
void put_be64(Bytes *file, u64 off, u64 value);
u64 get_be64(const Bytes &file, u64 off);

/* ---- User-mode Linux COW ---- */

struct UmlSpec {
    u64 size = 0;
    u32 mtime = 0;
    u32 sector_size = 512;
    u32 alignment = 4096;
    std::string base = "base";
    int version = 3;
    bool padded = false; /* version 3 of some 64-bit programs */
    bool little = false; /* version 1 of a little-endian machine */
};

/* Header, empty bitmap and a hole of zeros, with uml_mkcow's length. */
Bytes uml_cow(const UmlSpec &spec);
u64 uml_bitmap_offset(const UmlSpec &spec);
u64 uml_data_offset(const UmlSpec &spec);

/* ---- engine objects that end with the test ---- */

class OpenImage {
public:
    explicit OpenImage(TestIo *io, const cw_image_format *format = nullptr,
                       u64 cache_bytes = u64{1} << 20);
    ~OpenImage();
    OpenImage(const OpenImage &) = delete;
    OpenImage &operator=(const OpenImage &) = delete;

    int err() const { return err_; }
    std::string why() const { return report_.text; }
    unsigned int code() const { return report_.code; }
    cw_image *operator->() const { return image_; }
    cw_image *get() const { return image_; }
    /* Returns the result of a read of the range, and its bytes when that is 0. */
    int read(u64 off, u32 len, Bytes *out) const;

private:
    cw_cache *cache_;
    cw_image *image_ = nullptr;
    cw_report report_ = {};
    int err_;
};

class OpenDevice {
public:
    struct Options {
        bool read_only = false;
        const cw_image_format *format = nullptr;
        u64 cache_bytes = 0;
    };

    /* layers: the top first */
    OpenDevice(TestIo *base, const std::vector<TestIo *> &layers, const Options &options);
    OpenDevice(TestIo *base, const std::vector<TestIo *> &layers)
        : OpenDevice(base, layers, Options()) {}
    ~OpenDevice();
    OpenDevice(const OpenDevice &) = delete;
    OpenDevice &operator=(const OpenDevice &) = delete;

    int err() const { return err_; }
    std::string why() const { return report_.text; }
    unsigned int code() const { return report_.code; }
    cw_device *get() const { return device_; }
    u64 size() const;
    int read(u64 off, u32 len, Bytes *out) const;
    int write(u64 off, const Bytes &bytes) const;
    /* The whole content; empty when a read fails. */
    Bytes contents() const;
    /* Closes early. Returns the result of that. */
    int close();

private:
    cw_device *device_ = nullptr;
    cw_report report_ = {};
    int err_;
};

}  // namespace cloopw::test

#endif

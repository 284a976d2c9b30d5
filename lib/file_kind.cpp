// SPDX-License-Identifier: GPL-2.0
#include "file_kind.h"

#include <blkid/blkid.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "error.h"

namespace cloopw {
namespace {

using namespace std::string_view_literals;

struct Magic {
    std::string_view bytes;
    s64 at; /* negative: from the end */
    const char *name;
    const char *command; /* after which come the file and the output */
};

constexpr const char *kConvert = "qemu-img convert -O raw FILE RAW";

constexpr auto kMagics = std::to_array<Magic>({
    {"QFI\xfb"sv, 0, "a qcow2 image", kConvert},
    {"QED\0"sv, 0, "a QED image", kConvert},
    {"KDMV"sv, 0, "a VMDK image", kConvert},
    {"COWD"sv, 0, "a VMDK image", kConvert},
    {"# Disk DescriptorFile"sv, 0, "the description of a VMDK image", kConvert},
    {"vhdxfile"sv, 0, "a VHDX image", kConvert},
    {"conectix"sv, 0, "a VHD image", "qemu-img convert -f vpc -O raw FILE RAW"},
    {"conectix"sv, -512, "a VHD image", "qemu-img convert -f vpc -O raw FILE RAW"},
    {"conectix"sv, -511, "a VHD image", "qemu-img convert -f vpc -O raw FILE RAW"},
    {"\x7f\x10\xda\xbe"sv, 64, "a VDI image", kConvert},
    {"WithoutFreeSpace"sv, 0, "a Parallels image", kConvert},
    {"WithouFreSpacExt"sv, 0, "a Parallels image", kConvert},
    {"koly"sv, -512, "a DMG image", "qemu-img convert -f dmg -O raw FILE RAW"},
    {"\x3a\xff\x26\xed"sv, 0, "an Android sparse image", "simg2img FILE RAW"},
    {"partclone-image"sv, 0, "a partclone image", "partclone.restore -C -s FILE -O RAW"},
    {"MSWIM\0\0\0"sv, 0, "a WIM archive", "wimlib-imagex apply FILE 1 DIR"},
    {"\x1f\x8b"sv, 0, "compressed with gzip", "gzip -dc FILE >RAW"},
    {"\xfd"
     "7zXZ\0"sv,
     0, "compressed with xz", "xz -dc FILE >RAW"},
    {"\x28\xb5\x2f\xfd"sv, 0, "compressed with zstd", "zstd -dc FILE >RAW"},
    {"BZh"sv, 0, "compressed with bzip2", "bzip2 -dc FILE >RAW"},
    {"\x04\x22\x4d\x18"sv, 0, "compressed with lz4", "lz4 -dc FILE >RAW"},
    {"LZIP"sv, 0, "compressed with lzip", "lzip -dc FILE >RAW"},
    {"\x89LZO\0"sv, 0, "compressed with lzop", "lzop -dc FILE >RAW"},
    {"PK\x03\x04"sv, 0, "a zip archive", "unzip -p FILE >RAW"},
    {"7z\xbc\xaf\x27\x1c"sv, 0, "a 7z archive", "7z x -so FILE >RAW"},
    {"Rar!\x1a\x07"sv, 0, "a RAR archive", "unrar p -inul FILE >RAW"},
    {"ustar"sv, 257, "a tar archive", "tar -xf FILE -C DIR"},
    {"070701"sv, 0, "a cpio archive", "cpio -i <FILE"},
    {"!<arch>\n"sv, 0, "an archive of ar", ""},
    {"\x7f"
     "ELF"sv,
     0, "a program", ""},
    {"%PDF-"sv, 0, "a PDF document", ""},
    {"\x89PNG\r\n"sv, 0, "a picture", ""},
    {"\xff\xd8\xff"sv, 0, "a picture", ""},
});

/* So many bytes of the file as there are, up to the length. */
std::vector<u8> bytes_at(const Io &io, u64 off, u64 len) {
    const u64 size = io.size();
    std::vector<u8> bytes(off < size ? std::min(len, size - off) : 0);
    if (!bytes.empty()) {
        io.read(bytes.data(), bytes.size(), off);
    }
    return bytes;
}

bool has(const Io &io, const Magic &magic) {
    const auto from_end = static_cast<u64>(-magic.at);
    if (magic.at < 0 && io.size() < from_end) {
        return false;
    }
    const u64 off = magic.at < 0 ? io.size() - from_end : static_cast<u64>(magic.at);
    const std::vector<u8> bytes = bytes_at(io, off, magic.bytes.size());
    return std::ranges::equal(bytes, magic.bytes,
                              [](u8 a, char b) { return a == static_cast<u8>(b); });
}

bool is_text_byte(u8 byte) {
    return (byte >= 0x20 && byte != 0x7f) || byte == '\n' || byte == '\r' || byte == '\t';
}

/*
 * Is it an error page instead of a download? Such a page begins like HTML, XML or JSON, or
 * is shorter than a sector.
 */
bool is_page(const Io &io) {
    constexpr u64 kShort = 512;
    const std::vector<u8> head = bytes_at(io, 0, CW_HEAD_LEN);
    if (!std::ranges::all_of(head, is_text_byte)) {
        return false;
    }
    auto first = std::ranges::find_if(head, [](u8 byte) {
        return byte > 0x20 && byte != 0xef && byte != 0xbb && byte != 0xbf; /* UTF-8's mark */
    });
    return io.size() < kShort || first == head.end() || *first == '<' || *first == '{' ||
           *first == '[';
}

bool ends_with(const std::string &path, std::string_view ending) {
    return path.size() >= ending.size() &&
           std::equal(ending.rbegin(), ending.rend(), path.rbegin(), [](char a, char b) {
               return a == std::tolower(static_cast<unsigned char>(b));
           });
}

[[noreturn]] void refuse(const Io &io, const std::string &what, const std::string &insist) {
    throw Error(
        std::string(io.name()) + ": " + what + "; '" + insist + "' takes its bytes as they are",
        EINVAL);
}

}  // namespace

std::optional<ForeignKind> foreign_kind(const Io &io) {
    for (const Magic &magic : kMagics) {
        if (has(io, magic)) {
            return ForeignKind{magic.name, magic.command};
        }
    }
    if (is_page(io)) {
        return ForeignKind{"a page of text", ""};
    }
    return std::nullopt;
}

std::string image_kind(const Io &io) {
    auto ends = std::make_unique<cw_image_ends>();
    const u64 size = io.size();
    ends->head_len = static_cast<u32>(std::min<u64>(size, CW_HEAD_LEN));
    ends->tail_len = static_cast<u32>(std::min<u64>(size, CW_TAIL_LEN));
    io.read(ends->head, ends->head_len, 0);
    io.read(ends->tail, ends->tail_len, size - ends->tail_len);
    for (unsigned int i = 0; i < cw_image_formats_count; i++) {
        const cw_image_format *format = cw_image_formats[i];
        if (format != &cw_image_raw && format->probe(ends.get())) {
            return format->name;
        }
    }
    return "";
}

bool is_cow_file(const Io &io) {
    const std::vector<u8> head = bytes_at(io, 0, CW_HEAD_LEN);
    return std::any_of(cw_cow_formats, cw_cow_formats + cw_cow_formats_count,
                       [&](const cw_cow_format *format) {
                           return format->probe(head.data(), static_cast<u32>(head.size()));
                       });
}

std::string disk_signature(const Io &io) {
    const std::unique_ptr<blkid_struct_probe, void (*)(blkid_probe)> probe(blkid_new_probe(),
                                                                           blkid_free_probe);
    if (!probe || blkid_probe_set_device(probe.get(), io.fd(), 0, 0) != 0) {
        throw Error(std::string(io.name()) + ": cannot be looked at for a file system", errno);
    }
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_enable_partitions(probe.get(), 1);
    const int result = blkid_do_safeprobe(probe.get());
    const char *name = nullptr;
    for (const char *key : {"TYPE", "PTTYPE"}) {
        if (result == 0 && blkid_probe_lookup_value(probe.get(), key, &name, nullptr) == 0) {
            return name;
        }
    }
    /* -2: several, of which one may be left from before. */
    return result == 0 || result == -2 ? "more than one file system" : "";
}

void refuse_unlikely_raw(const Io &io, const std::string &insist) {
    const std::string path = io.name();
    if (is_cow_file(io)) {
        refuse(io, "is a COW file, not an image: name it with the image that lies below it",
               insist);
    }
    if (auto kind = foreign_kind(io)) {
        refuse(io,
               "is " + kind->name + ", not an image that cloopw reads" +
                   (kind->command.empty() ? "" : ": '" + kind->command + "' unpacks it"),
               insist);
    }
    if (ends_with(path, ".cloop") || ends_with(path, ".cloopw")) {
        refuse(io,
               "is named as a compressed image, but has no header of one: it is damaged, or does "
               "not begin there",
               insist);
    }
}

void refuse_unknown_raw(const Io &io, const std::string &insist) {
    refuse_unlikely_raw(io, insist);
    if (disk_signature(io).empty()) {
        refuse(io, "is nothing that is known: no image, no file system, no partition table",
               insist);
    }
}

}  // namespace cloopw

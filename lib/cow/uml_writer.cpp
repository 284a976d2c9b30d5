// SPDX-License-Identifier: GPL-2.0
#include "uml_writer.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>

#include "cow_header.h"
#include "lib/core.h"
#include "lib/error.h"
#include "lib/net/url.h"

namespace cloopw {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint32_t kSectorSize = CW_SECTOR_SIZE;
constexpr uint32_t kAlignment = 4096; /* uml_mkcow's: its machine's page */

}  // namespace

UmlCowLayout uml_cow_layout(uint64_t size) {
    if (size == 0) {
        throw Error("a COW file for a device of 0 bytes makes no sense", EINVAL);
    }
    if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / 2) {
        throw Error("a device of " + std::to_string(size) + " bytes is too large for a COW file",
                    EFBIG);
    }
    UmlCowLayout layout = {};
    layout.size = cw_round_up(size, kSectorSize);
    layout.bitmap_offset = cw_round_up(sizeof(struct cw_disk_uml3), kAlignment);
    layout.bitmap_len = cw_div_up(layout.size / kSectorSize, 8);
    layout.data_offset = cw_round_up(layout.bitmap_offset + layout.bitmap_len, kAlignment);
    layout.file_len = layout.data_offset + layout.size;
    return layout;
}

std::string uml_base_path(const std::string &path) {
    namespace fs = std::filesystem;
    if (is_url(path)) {
        return path;
    }
    fs::path given(path);
    std::error_code code;
    fs::path dir = fs::canonical(given.has_parent_path() ? given.parent_path() : ".", code);
    if (code) {
        throw io_error(path, "cannot tell its absolute path", code.value());
    }
    return (dir / given.filename()).string();
}

void write_uml_cow(int fd, const std::string &name, const UmlCowBase &base) {
    const UmlCowLayout layout = uml_cow_layout(base.size);
    auto head = std::make_unique<struct cw_disk_uml3>();

    if (base.path.size() >= sizeof(head->base)) {
        throw Error(name + ": the path of its base is longer than the " +
                        std::to_string(sizeof(head->base) - 1) + " bytes a COW file can hold",
                    ENAMETOOLONG);
    }
    head->magic = cw_to_be32(CW_UML_MAGIC);
    head->version = cw_to_be32(kVersion);
    head->mtime = cw_to_be32(static_cast<uint32_t>(base.mtime));
    head->size = cw_to_be64(layout.size);
    head->sector_size = cw_to_be32(kSectorSize);
    head->alignment = cw_to_be32(kAlignment);
    head->cow_format = cw_to_be32(CW_UML_FORMAT_BITMAP);
    memcpy(head->base, base.path.data(), base.path.size());
    write_cow_header(fd, name, head.get(), sizeof(*head));
    if (ftruncate(fd, static_cast<off_t>(layout.file_len)) != 0) {
        throw io_error(
            name, "cannot extend it to " + std::to_string(layout.file_len) + " bytes", errno,
            errno == EFBIG ? "put it on a file system that takes files of that size" : "");
    }
}

}  // namespace cloopw

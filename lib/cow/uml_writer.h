/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes empty User-mode Linux COW files of version 3, byte for byte like uml_mkcow. The
 * source arch/um/drivers/cow_user.c of the Linux kernel and struct cw_disk_uml3 describe
 * the layout.
 */
#ifndef CLOOPW_LIB_UML_COW_WRITER_H
#define CLOOPW_LIB_UML_COW_WRITER_H

#include <cstdint>
#include <string>

namespace cloopw {

/* A COW file's description of the file below. */
struct UmlCowBase {
    std::string path;  /* absolute */
    int64_t mtime = 0; /* st_mtime of that path, also of a block device's node */
    uint64_t size = 0; /* bytes of the device; the file rounds it up to sectors */
};

struct UmlCowLayout {
    uint64_t size; /* bytes of the device, whole sectors */
    uint64_t bitmap_offset;
    uint64_t bitmap_len;
    uint64_t data_offset;
    uint64_t file_len;
};

/* Throws Error when the file would be longer than files can be. */
UmlCowLayout uml_cow_layout(uint64_t size);

/*
 * The path in uml_mkcow's form: a resolved directory, and the given last component. Throws
 * Error when there is no such directory.
 */
std::string uml_base_path(const std::string &path);

/*
 * Writes the header and sets the length of the empty file fd; bitmap and data are holes.
 * Does not sync. name is for messages. Throws Error.
 */
void write_uml_cow(int fd, const std::string &name, const UmlCowBase &base);

}  // namespace cloopw

#endif

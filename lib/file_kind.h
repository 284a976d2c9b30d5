/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kind of a file, by its content. Any file can be a raw image, so the user must insist
 * on an unlikely one.
 */
#ifndef CLOOPW_LIB_FILE_KIND_H
#define CLOOPW_LIB_FILE_KIND_H

#include <optional>
#include <string>

#include "cloopw.h"

namespace cloopw {

/* A file of other programs, or a page of text. */
struct ForeignKind {
    std::string name;    /* "a qcow2 image" */
    std::string command; /* makes what we read of FILE; empty: none */
};

/*
 * nullopt: none of these. Throws Error for a file that cannot be read, like all of these.
 */
std::optional<ForeignKind> foreign_kind(const Io &io);

/* The name of a compressed image's format; empty: it is no such image. */
std::string image_kind(const Io &io);

/* Does it begin like a COW file of any format? */
bool is_cow_file(const Io &io);

/* "ext4", "gpt", "swap"..: the content of a disk, by libblkid's name; empty: none. */
std::string disk_signature(const Io &io);

/*
 * Throws Error for a file that is most likely no raw image. That is a COW file, a file of
 * another program's format, a page of text, or a file named like a compressed image.
 * insist: the option with which the user takes it all the same, "-I raw".
 */
void refuse_unlikely_raw(const Io &io, const std::string &insist);

/* The same, and throws for a file without a signature of a disk. */
void refuse_unknown_raw(const Io &io, const std::string &insist);

}  // namespace cloopw

#endif

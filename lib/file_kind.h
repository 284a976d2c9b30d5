/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a file is, by its content. Anything can be a raw image, so what is likely a
 * mistake has to be insisted on.
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
    std::string command; /* that makes what we read of FILE; empty: there is none */
};

std::optional<ForeignKind> foreign_kind(const Io &io);

/* The name of a compressed image's format; empty: it is none. */
std::string image_kind(const Io &io);

/* Does it begin as a COW file of any format? */
bool is_cow_file(const Io &io);

/* "ext4", "gpt", "swap".., what disks have, as libblkid names it; empty: nothing of that. */
std::string disk_signature(const Io &io);

/*
 * Throws Error for what is most likely no raw image: a COW file, what other programs have
 * formats for, a page of text, what is only named as a compressed image. insist: what the
 * user may say to have it all the same, "-I raw".
 */
void refuse_unlikely_raw(const Io &io, const std::string &insist);

/* The same, and for what shows nothing that disks have. */
void refuse_unknown_raw(const Io &io, const std::string &insist);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Makes empty COW logs, the native COW format: docs/reference/format.md, format.h. */
#ifndef CLOOPW_LIB_LOG_COW_WRITER_H
#define CLOOPW_LIB_LOG_COW_WRITER_H

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/core.h"

namespace cloopw {

struct LogCowConfig {
    uint64_t size = 0;                            /* bytes of the device, whole sectors */
    uint64_t base_size = 0;                       /* bytes of the device below; 0: the same */
    std::array<uint8_t, CW_UUID_LEN> uuid{};      /* UUID of the log */
    std::array<uint8_t, CW_UUID_LEN> base_uuid{}; /* UUID of the file below; zeros: it has none */
    /* digest of its content; none: the engine sets it */
    std::optional<uint64_t> base_digest;
    int64_t base_mtime = 0;    /* mtime of the file below; 0: not checked */
    bool over_layer = false;   /* the file below is a COW layer */
    std::string parent;        /* path of the file below, a hint */
    std::string codec = "lz4"; /* for new data */
    int level = 0;             /* 0: the codec's default */
    uint64_t limit = 0;        /* bytes that the log may have; 0: any number */
    /* above all generations that the file still holds */
    uint64_t first_generation = 1;
};

/* Bytes of an empty log. */
constexpr uint64_t kLogCowEmptyLen = CW_LOG_START;

/*
 * Writes the superblock into the empty file, or block device, fd. The caller syncs. On a
 * device the first sector is durable before the rest is written, so that a torn superblock
 * has a name (is_unfinished_log()). name is for messages. Throws Error.
 */
void write_log_cow(int fd, const std::string &name, const LogCowConfig &config);

/* The superblock alone, before there is a file for it. Throws Error. */
void encode_log_super(struct cw_disk_log_super *super, const LogCowConfig &config);

}  // namespace cloopw

#endif

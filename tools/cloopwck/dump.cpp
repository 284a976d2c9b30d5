// SPDX-License-Identifier: GPL-2.0
#include "dump.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <memory>

#include "file_check.h"
#include "lib/escape.h"
#include "lib/uuid.h"

extern "C" {
#include "cow_uml_head.h"
}

namespace cloopw {

namespace {

template <typename T>
void field(std::ostream &out, const char *name, const T &value) {
    out << fmt::format("  {:<14}{}\n", name, escaped(fmt::format("{}", value)));
}

std::string bounded(const char *text, size_t room) { return {text, strnlen(text, room)}; }

std::string range_of(u64 first, u64 count) {
    return count == 1 ? std::to_string(first) : fmt::format("{}..{}", first, first + count - 1);
}

std::string codec_text(unsigned int id) {
    const cw_codec *codec = cw_codec_by_id(id);
    return codec != nullptr ? codec->name : std::to_string(id);
}

/* ---- images ---- */

void dump_image_super(std::ostream &out, const Io &io) {
    cw_disk_super super = {};
    if (cw_pread(&io.get(), &super, sizeof(super), 0) != 0) {
        return;
    }
    const u32 crc = cw_from_le32(super.crc);
    super.crc = cw_to_le32(0);
    const bool sound = cw_crc32c(&super, sizeof(super)) == crc;
    out << "superblock" << (sound ? "" : " (checksum is wrong)") << "\n";
    field(out, "version", cw_from_le32(super.version));
    field(out, "uuid", format_uuid(super.uuid));
    field(out, "label", bounded(reinterpret_cast<const char *>(super.label), sizeof(super.label)));
    field(out, "size", cw_from_le64(super.size));
    field(out, "file_bytes", cw_from_le64(super.file_bytes));
    field(out, "block_size", cw_from_le32(super.block_size));
    field(out, "levels", cw_from_le32(super.levels));
    field(out, "codecs", fmt::format("{:#x}", cw_from_le32(super.codecs)));
    field(out, "codec", codec_text(cw_from_le32(super.codec)));
    field(out, "level", static_cast<s32>(cw_from_le32(super.level)));
    field(out, "created", cw_from_le64(super.created));
    field(out, "compat", fmt::format("{:#x}", cw_from_le64(super.compat)));
    field(out, "ro_compat", fmt::format("{:#x}", cw_from_le64(super.ro_compat)));
    field(out, "incompat", fmt::format("{:#x}", cw_from_le64(super.incompat)));
    field(out, "root",
          fmt::format("{:#x} stored {} crc {:08x}", cw_from_le64(super.root.where),
                      cw_from_le32(super.root.stored), cw_from_le32(super.root.crc)));
}

void dump_index(std::ostream &out, cw_image &image, const CheckOptions &options) {
    out << "index\n";
    u64 looks = 0;
    for (u64 n = 0; n < image.blocks && looks++ <= image.io_size / 4;) {
        cw_extent extent = {};
        const int err = cw_image_locate(&image, n, &extent);
        const std::string blocks = range_of(n, extent.alike);
        if (err != 0) {
            out << fmt::format("  {}: cannot be located\n", blocks);
        } else if (extent.stored == 0) {
            out << fmt::format("  {}: zeros\n", blocks);
        } else {
            out << fmt::format("  {}: at {}, {} bytes, {}{}\n", blocks, extent.offset,
                               extent.stored, codec_text(extent.codec),
                               extent.has_crc ? fmt::format(", crc {:08x}", extent.crc) : "");
        }
        n += extent.alike;
        options.advance(0);
    }
}

/* ---- logs ---- */

const char *copy_name(LogSupers::Copy copy) {
    switch (copy) {
        case LogSupers::Copy::kSound:
            return "sound";
        case LogSupers::Copy::kEmpty:
            return "never written";
        case LogSupers::Copy::kDamaged:
            return "damaged";
        default:
            return "unreadable";
    }
}

std::string entry_text(u64 word) {
    log_entry entry{};
    cw_log_entry_decode(word, &entry);
    switch (entry.state) {
        case CW_LOG_ABSENT:
            return "absent";
        case CW_LOG_ZERO:
            return "zeros";
        case CW_LOG_DATA:
            return fmt::format("page {} of {} at sector {}, {} sectors, {}", entry.index,
                               entry.pages, entry.sector, entry.sectors, codec_text(entry.codec));
        default:
            return fmt::format("{:#x}", word);
    }
}

void dump_log_super(std::ostream &out, const cw_disk_log_super &super) {
    field(out, "version", cw_from_le32(super.version));
    field(out, "seq", cw_from_le64(super.seq));
    field(out, "uuid", format_uuid(super.uuid));
    field(out, "size", cw_from_le64(super.size));
    field(out, "compat", fmt::format("{:#x}", cw_from_le64(super.compat)));
    field(out, "ro_compat", fmt::format("{:#x}", cw_from_le64(super.ro_compat)));
    field(out, "incompat", fmt::format("{:#x}", cw_from_le64(super.incompat)));
    field(out, "parent", bounded(super.parent, sizeof(super.parent)));
    field(out, "base_uuid", format_uuid(super.base_uuid));
    field(out, "base_digest", fmt::format("{:#x}", cw_from_le64(super.base_digest)));
    field(out, "base_mtime", static_cast<s64>(cw_from_le64(super.base_mtime)));
    field(out, "codec", codec_text(cw_from_le32(super.codec)));
    field(out, "codec_level", static_cast<s32>(cw_from_le32(super.codec_level)));
    field(out, "codec_hc", cw_from_le32(super.codec_hc));
    field(out, "limit", cw_from_le64(super.limit));
    field(out, "gen_limit", cw_from_le64(super.gen_limit));
    field(out, "segments", cw_from_le64(super.segments));
    field(out, "log_gen", cw_from_le64(super.log_gen));
    field(out, "log_seq", cw_from_le64(super.log_seq));
    field(out, "log_segment", cw_from_le32(super.log_segment));
    field(out, "log_sector", cw_from_le32(super.log_sector));
    field(out, "meta_segment", cw_from_le32(super.meta_segment));
    field(out, "meta_sector", cw_from_le32(super.meta_sector));
    field(out, "plain_pages", cw_from_le64(super.plain_pages));
    for (u32 i = 0; i < CW_LOG_MAP_ROOTS; i++) {
        if (const u64 word = cw_from_le64(super.map_root[i]); word != 0) {
            field(out, fmt::format("map_root {}", i).c_str(), entry_text(word));
        }
    }
    for (u32 i = 0; i < CW_LOG_USAGE_ROOTS; i++) {
        if (const u64 word = cw_from_le64(super.usage_root[i]); word != 0) {
            field(out, fmt::format("usage_root {}", i).c_str(), entry_text(word));
        }
    }
}

std::string record_text(const log_record &record) {
    const std::string pages = range_of(record.page, record.pages);
    switch (record.type) {
        case CW_LOG_SEGMENT:
            return "SEGMENT";
        case CW_LOG_JUMP:
            return fmt::format("JUMP to segment {} of generation {}", record.from, record.next_gen);
        case CW_LOG_WRITE:
        case CW_LOG_MOVE:
            return fmt::format(
                "{} pages {}, data {:#x}, zeros {:#x}, {} bytes, {}{}",
                record.type == CW_LOG_WRITE ? "WRITE" : "MOVE", pages, record.data_mask,
                record.zero_mask, record.stored, codec_text(record.codec),
                record.type == CW_LOG_MOVE ? fmt::format(", from sector {}", record.from) : "");
        case CW_LOG_DROP:
            return "DROP pages " + pages;
        case CW_LOG_WIPE:
            return "WIPE pages " + pages;
        case CW_LOG_PAD:
            return "PAD";
        case CW_LOG_META:
            return fmt::format("META kind {} number {}", record.from, record.page);
        default:
            return fmt::format("of type {}", record.type);
    }
}

void dump_segments(std::ostream &out, cw_io &io, const CheckOptions &options) {
    LogScan scan(io);
    for (u32 n = 0; n < scan.segments(); n++) {
        std::string lines;
        LogSegmentInfo info = scan.scan(
            n,
            [&](const LogRecordAt &at) {
                lines += fmt::format(
                    "  sector {}: {}, {}{} sectors{}\n", at.sector, record_text(at.record),
                    at.record.type == CW_LOG_META ? "" : fmt::format("seq {}, ", at.record.seq),
                    at.record.sectors, at.sound ? "" : ", DAMAGED");
            },
            [&](const LogGap &gap) {
                lines += fmt::format("  sector {}: no sound record for {} sectors\n", gap.sector,
                                     gap.sectors);
            });
        const char *kind = info.kind == LogSegmentInfo::Kind::kData   ? "data"
                           : info.kind == LogSegmentInfo::Kind::kMeta ? "map"
                                                                      : "empty";
        out << fmt::format("segment {}: {}", n, kind);
        out << (info.gen != 0 ? fmt::format(", generation {}\n", info.gen) : "\n") << lines;
        options.advance(CW_LOG_SEGMENT_LEN);
    }
}

void dump_map(std::ostream &out, OpenedCow &cow) {
    const cw_log_view log = cow.view();
    std::array<u64, CW_LOG_FANOUT> entries{};
    out << "map\n";
    for (u32 n = 0; n < log.map_pages; n++) {
        const int found = cow.map_page(n, entries);
        if (found < 0) {
            out << fmt::format("  pages {}: damaged\n",
                               range_of(u64{n} * CW_LOG_FANOUT, CW_LOG_FANOUT));
            continue;
        }
        if (found == 0) {
            continue;
        }
        for (const LogRun &run : runs_of(u64{n} * CW_LOG_FANOUT, entries.data(), log.pages)) {
            out << fmt::format("  pages {}: {}\n", range_of(run.page, run.pages),
                               entry_text(entries[run.page % CW_LOG_FANOUT]));
        }
    }
}

void dump_log(std::ostream &out, WholeFile &whole, const CheckOptions &options) {
    LogSupers supers = read_log_supers(whole.io());
    for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
        out << fmt::format("superblock copy {}: {}\n", slot, copy_name(supers.state[slot]));
        if (supers.state[slot] == LogSupers::Copy::kSound) {
            dump_log_super(out, supers.super[slot]);
        }
    }
    dump_segments(out, whole.io(), options);
    OpenedCow cow(whole.io());
    if (!cow.refusal().empty()) {
        out << "map: " << escaped(cow.refusal()) << "\n";
        return;
    }
    dump_map(out, cow);
}

/* ---- User-mode Linux's ---- */

void dump_uml(std::ostream &out, WholeFile &whole) {
    auto head = std::make_unique<cw_uml_head>();
    cw_report report = {};
    if (cw_uml_read_head(&whole.io(), head.get(), &report) != 0) {
        out << escaped(without_name(report.text, whole.io().name)) << "\n";
        return;
    }
    out << "header\n";
    field(out, "version", head->version);
    field(out, "base", head->base);
    field(out, "mtime", head->mtime);
    field(out, "size", head->size);
    field(out, "sector_size", head->sector_size);
    field(out, "alignment", head->alignment);
    OpenedCow cow(whole.io());
    if (!cow.refusal().empty()) {
        out << "bitmap: " << escaped(cow.refusal()) << "\n";
        return;
    }
    out << "bitmap\n";
    u64 first = 0;
    u64 end = 0; /* end of a run that is longer than one look */
    auto print = [&] {
        if (end > first) {
            out << fmt::format("  bytes {}: held\n", range_of(first, end - first));
        }
    };
    for (u64 off = 0; off < cow.get().size;) {
        u64 n = 0;
        const int hit = cow.get().format->block_status(&cow.get(), off, cow.get().size - off, &n);
        if (hit < 0) {
            out << fmt::format("  from byte {} on: cannot be read\n", off);
            break;
        }
        if (hit == CW_COW_HIT && off != end) {
            print();
            first = off;
        }
        end = hit == CW_COW_HIT ? off + n : end;
        off += n;
    }
    print();
}

}  // namespace

void dump_image(std::ostream &out, const std::string &path, const std::string &format,
                const CheckOptions &options) {
    Io io = Io::open(path, Io::Mode::kRead);
    WholeFile whole = WholeFile::image(io, format);
    OpenedImage image(whole.io(), format);
    out << escaped(path) << "\n";
    u8 magic[8] = {};
    if (io.size() >= sizeof(cw_disk_super) && cw_pread(&io.get(), magic, sizeof(magic), 0) == 0 &&
        memcmp(magic, CW_IMAGE_MAGIC, sizeof(magic)) == 0) {
        dump_image_super(out, io);
    }
    if (!whole.damage().empty()) {
        out << "  " << escaped(whole.damage()) << "\n";
    }
    if (!image.refusal().empty()) {
        return;
    }
    out << "image\n";
    field(out, "format", image.get().format->name);
    field(out, "size", image.get().size);
    if (image.get().block_size != 0) {
        field(out, "block_size", image.get().block_size);
        field(out, "blocks", image.get().blocks);
        dump_index(out, image.get(), options);
    }
}

void dump_cow(std::ostream &out, const std::string &path, const CheckOptions &options) {
    Io io = Io::open(path, Io::Mode::kRead);
    WholeFile whole = WholeFile::cow(io);
    u8 head[CW_HEAD_LEN] = {};
    const u64 len = cw_min(io.size(), sizeof(head));
    out << escaped(path) << "\n";
    if (cw_pread(&io.get(), head, len, 0) == 0 && cw_uml_is_head(head, static_cast<u32>(len))) {
        dump_uml(out, whole);
    } else {
        dump_log(out, whole, options);
    }
}

}  // namespace cloopw

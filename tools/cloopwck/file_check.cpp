// SPDX-License-Identifier: GPL-2.0
#include "file_check.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "lib/check/log_scan.h"
#include "lib/cow/chain.h"
#include "lib/cow/cow_device.h"
#include "lib/cow/hint.h"
#include "lib/cow/lock.h"
#include "lib/net/source.h"
#include "lib/net/url.h"
#include "lib/size.h"
#include "lib/uuid.h"

namespace cloopw {

namespace {

namespace fs = std::filesystem;

constexpr u64 kAnySize = u64{1} << 62;

/* Length of the shortest file that opens; 0: no length does. */
template <typename Opens>
u64 shortest(u64 present, Opens opens) {
    if (!opens(kAnySize)) {
        return 0;
    }
    u64 low = present;
    u64 high = kAnySize;
    while (high - low > 1) {
        const u64 middle = low + (high - low) / 2;
        (opens(middle) ? high : low) = middle;
    }
    return high;
}

std::string refusal_of_image(cw_io &io, const std::string &format) {
    return OpenedImage(io, format).refusal();
}

}  // namespace

/* ---- opening ---- */

bool looks_like_cow(const Io &io) {
    u8 head[CW_HEAD_LEN] = {};
    const u64 len = cw_min(io.size(), sizeof(head));
    if (cw_pread(&io.get(), head, len, 0) == 0) {
        for (unsigned int i = 0; i < cw_cow_formats_count; i++) {
            if (cw_cow_formats[i]->probe(head, static_cast<u32>(len))) {
                return true;
            }
        }
    }
    return read_log_supers(io.get()).any() || has_log_segments(io.get());
}

PatchedIo &WholeFile::patched() {
    if (!io_) {
        io_ = std::make_unique<PatchedIo>(*below_);
    }
    return *io_;
}

WholeFile WholeFile::image(const Io &io, const std::string &format) {
    WholeFile file(io);
    file.damage_ = refusal_of_image(io.get(), format);
    if (file.damage_.empty()) {
        return file;
    }
    PatchedIo &patched = file.patched();
    auto opens = [&](u64 size) {
        patched.claim_size(size);
        return refusal_of_image(patched.get(), format).empty();
    };
    u64 size = shortest(io.size(), opens);
    cw_disk_super super = {};
    if (size == 0 && cw_pread(&io.get(), &super, sizeof(super), 0) == 0) {
        /* Its checksum is wrong, but its content may be right. */
        memcpy(super.magic, CW_IMAGE_MAGIC, sizeof(super.magic));
        super.crc = cw_to_le32(0);
        super.crc = cw_to_le32(cw_crc32c(&super, sizeof(super)));
        patched.patch(0, &super, sizeof(super));
        size = opens(io.size()) ? io.size() : shortest(io.size(), opens);
    }
    if (size == 0) {
        file.io_.reset();
    } else {
        patched.claim_size(size);
    }
    return file;
}

WholeFile WholeFile::cow(const Io &io) {
    WholeFile file(io);
    LogSupers supers = read_log_supers(io.get());
    for (u32 slot = 0; supers.any() && slot < CW_LOG_SUPERS; slot++) {
        const LogSupers::Copy copy = supers.state[slot];
        if (copy == LogSupers::Copy::kUnreadable ||
            (slot == 0 && copy != LogSupers::Copy::kSound)) {
            file.patched().patch(u64{slot} * CW_LOG_SUPER_STRIDE, &supers.best(),
                                 sizeof(cw_disk_log_super));
        }
    }
    file.damage_ = OpenedCow(file.io()).refusal();
    if (file.damage_.empty()) {
        return file;
    }
    auto opens = [&](u64 size) {
        file.patched().claim_size(size);
        return OpenedCow(file.io()).refusal().empty();
    };
    u64 size = 0;
    if (supers.any()) {
        const u64 segments = cw_min(cw_from_le64(supers.best().segments), LOG_MAX_SEGMENTS);
        const u64 needed = CW_LOG_START + (segments << CW_LOG_SEGMENT_SHIFT);
        size = needed > io.size() && opens(needed) ? needed : 0;
    } else {
        size = shortest(io.size(), opens);
    }
    if (file.io_) {
        file.io_->claim_size(size);
    }
    return file;
}

/* ---- images ---- */

namespace {

void describe_image(const cw_image &image, const ImageTotals &totals, bool quick,
                    FileReport *report) {
    report->format = image.format->name;
    Json &facts = report->facts;
    facts["size"] = image.size;
    facts["file_bytes"] = image.io_size;
    if (image.block_size != 0) {
        facts["block_size"] = image.block_size;
        facts["blocks"] = image.blocks;
        facts["zero_blocks"] = totals.zero_blocks;
        facts["bad_blocks"] = totals.bad_blocks;
    }
    facts["bad_bytes"] = totals.bad_bytes;
    if (image.ahead.begin != image.ahead.end) {
        facts["boot_bytes"] = image.ahead.end - image.ahead.begin;
    }
    if (std::string uuid = format_uuid(image.uuid); !uuid.empty()) {
        facts["uuid"] = uuid;
    }
    if (image.label[0] != '\0') {
        facts["label"] = image.label;
    }
    report->summary = fmt::format("{} image of {}", report->format, format_size(image.size));
    if (image.block_size != 0) {
        report->summary += fmt::format(", {} blocks of {}, {} of them zeros", image.blocks,
                                       format_size(image.block_size), totals.zero_blocks);
    }
    report->summary += quick ? ", their data not read" : "";
}

}  // namespace

FileReport check_image_file(const std::string &path, const std::string &format,
                            const CheckOptions &options) {
    FileReport report;
    report.path = shown_name(path);
    Io io = open_source(path);
    WholeFile whole = WholeFile::image(io, format);
    if (!whole.damage().empty()) {
        report.findings.error("superblock", whole.damage());
    }
    OpenedImage image(whole.io(), format);
    if (!image.refusal().empty()) {
        return report;
    }
    ImageTotals totals = check_image(image.get(), options, report.findings);
    describe_image(image.get(), totals, options.quick, &report);
    return report;
}

/* ---- COW files ---- */

namespace {

void describe_cow(OpenedCow &cow, const CowTotals &totals, FileReport *report) {
    const cw_cow_identity &id = cow.identity();
    report->format = id.format->name;
    Json &facts = report->facts;
    facts["size"] = id.size;
    facts["file_bytes"] = [&] {
        u64 size = 0;
        return cw_size(cow.get().io, &size) == 0 ? size : 0;
    }();
    facts["held_bytes"] = totals.plain_bytes;
    facts["bad_bytes"] = totals.bad_bytes;
    if (std::string uuid = format_uuid(id.uuid); !uuid.empty()) {
        facts["uuid"] = uuid;
    }
    facts["frozen"] = id.frozen;
    facts["over"] = id.over_layer ? "layer" : "image";
    facts["below"] = id.below;
    if (std::string uuid = format_uuid(id.below_uuid); !uuid.empty()) {
        facts["below_uuid"] = uuid;
    }
    report->summary =
        fmt::format("COW {} for {} {} of {}, holds {}{}", report->format,
                    id.over_layer ? "layer" : "image", id.below, format_size(id.below_size),
                    format_size(totals.plain_bytes), id.frozen ? ", frozen" : "");
    if (cow.is_log()) {
        const cw_log_view log = cow.view();
        facts["segments"] = log.segments;
        facts["segments_used"] = log.segments_used;
        facts["live_bytes"] = log.live * CW_SECTOR_SIZE / CW_LOG_EXTENT_PAGES;
        facts["replayed_bytes"] = log.appended_sectors * CW_SECTOR_SIZE;
    }
}

/* A copy that may be the newer one is evidence and is not written over. */
void keep_evidence(Findings *findings) {
    bool lost = false;
    for (const Finding &finding : findings->all()) {
        lost = lost || (finding.severity == Finding::Severity::kError && !finding.repairable);
    }
    for (Finding &finding : findings->all()) {
        if (lost && finding.repairable) {
            finding.repairable = false;
            finding.text += "; it is kept as it is, since there is other damage";
        }
    }
}

}  // namespace

FileReport check_cow_file(const std::string &path, const CheckOptions &options) {
    FileReport report;
    report.path = path;
    report.is_cow = true;
    Io io = Io::open(path, Io::Mode::kRead);
    lock_cow(io.fd(), path, false); /* a file that is being written looks damaged */
    if (is_unfinished_log(io.fd(), path, io.size())) {
        report.format = cw_cow_log.name;
        report.findings.error("log",
                              "is unfinished: it was interrupted when it was made, and holds "
                              "nothing; the next attach makes it anew on its device");
        return report;
    }
    report.supers = read_log_supers(io.get());
    const LogSupers &supers = report.supers;
    WholeFile whole = WholeFile::cow(io);
    OpenedCow cow(whole.io());
    const bool is_log =
        supers.any() || cow.identity().format == &cw_cow_log || has_log_segments(io.get());
    if (is_log) {
        report.format = cw_cow_log.name;
        check_log_supers(supers, report.findings);
    }
    if (!whole.damage().empty() && (supers.any() || !is_log)) {
        report.findings.error(is_log ? "log" : "header", whole.damage());
    }
    if (!cow.refusal().empty()) {
        keep_evidence(&report.findings);
        return report;
    }
    CowTotals totals = is_log ? check_log(cow, options, report.findings)
                              : check_uml(cow, options, report.findings);
    if (is_log) {
        check_log_end(find_log_end(whole.io(), supers.best()), supers, report.findings);
    }
    describe_cow(cow, totals, &report);
    keep_evidence(&report.findings);
    return report;
}

/* ---- chains ---- */

namespace {

/* The image that a layer names, if it is beside that. */
std::optional<Io> find_image(const CowLayer &lowest) {
    for (const fs::path &place : hint_places(lowest.path, lowest.below)) {
        if (std::optional<Io> image = open_hint(place)) {
            return image;
        }
    }
    return std::nullopt;
}

}  // namespace

void check_chain(const std::vector<std::string> &layers, const std::string &image,
                 const std::string &format, Findings &findings) {
    try {
        std::vector<CowLayer> chain = find_cow_chain(layers);
        std::optional<Io> base = image.empty() ? find_image(chain.back()) : open_source(image);
        if (!base) {
            findings.note("chain",
                          fmt::format("the image {} is not there beside it: whether it is the "
                                      "right one is only checked with -c COW IMAGE",
                                      chain.back().below));
            return;
        }
        Device::Config config;
        config.format = format;
        config.read_only = true;
        Device device(std::move(*base), open_cow_chain(chain, Io::Mode::kRead), config);
    } catch (const Error &e) {
        findings.error("chain", e.what());
    }
}

}  // namespace cloopw

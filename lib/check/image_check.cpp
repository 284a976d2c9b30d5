// SPDX-License-Identifier: GPL-2.0
#include "image_check.h"

#include <algorithm>
#include <cerrno>
#include <new>

#include "lib/holes.h"
#include "lib/port/posix_io.h"

namespace cloopw {

namespace {

constexpr u64 kCacheBytes = u64{4} << 20;
constexpr u32 kRawChunk = 1u << 20;
constexpr u32 kRawStep = 4096; /* step in an unreadable chunk */

class Visitor {
public:
    Visitor(cw_image &image, const CheckOptions &options,
            const std::function<void(const ImagePart &)> &visit)
        : image_(image), options_(options), visit_(visit) {}

    ImageTotals run() {
        if (image_.format->locate == nullptr) {
            visit_raw();
        } else {
            visit_blocks();
        }
        return totals_;
    }

private:
    void visit_blocks() {
        plain_.resize(image_.block_size);
        stored_.resize(image_.max_stored);
        u64 n = 0;
        u64 looks = 0;
        while (n < image_.blocks) {
            /*
             * Each look is at another entry of the index, of 4 bytes or more.
             * More than that: its pages are used again and again, and there is
             * no telling when it ends.
             */
            if (looks++ > image_.io_size / 4) {
                totals_.complete = false;
                return;
            }
            cw_extent extent = {};
            int err = cw_image_locate(&image_, n, &extent);
            if (err != 0) {
                bad(blocks(n, extent.alike), extent.alike, "index",
                    "the index page that leads here is damaged or wrong");
            } else if (extent.stored == 0) {
                totals_.zero_blocks += extent.alike;
                visit_({blocks(n, extent.alike), ImagePart::State::kZero});
            } else {
                visit_stored(n, extent);
            }
            n += extent.alike;
        }
    }

    void visit_stored(u64 n, const cw_extent &extent) {
        ByteRange range = blocks(n, 1);
        const char *why = options_.quick ? nullptr : read(n, range);
        if (why != nullptr) {
            bad(range, 1, "block", why);
        } else {
            totals_.stored_blocks++;
            visit_({range, ImagePart::State::kStored, options_.quick ? nullptr : plain_.data()});
        }
        options_.advance(extent.stored);
    }

    /* Returns nullptr, or the fault of the block. */
    const char *read(u64 n, ByteRange range) {
        if (cw_image_read(&image_, range.off, static_cast<u32>(range.len), plain_.data()) == 0) {
            return nullptr;
        }
        cw_extent extent = {};
        if (cw_image_read_stored(&image_, n, &extent, stored_.data()) == 0) {
            return "does not decompress";
        }
        int err = cw_pread(image_.io, stored_.data(), extent.stored, extent.offset);
        return err != 0 ? "cannot be read from the file" : "the checksum is wrong";
    }

    void visit_raw() {
        plain_.resize(kRawChunk);
        Holes holes(cw_fd_io_fd(image_.io), image_.size);
        for (u64 off = 0; off < image_.size;) {
            const u64 hole = holes.at(off);
            const u64 len = std::min(hole != 0 ? hole : u64{kRawChunk}, image_.size - off);
            if (hole != 0) {
                visit_({{off, len}, ImagePart::State::kZero});
            } else if (!options_.quick) {
                visit_raw_part({off, len}, kRawStep);
            }
            options_.advance(len);
            off += len;
        }
    }

    void visit_raw_part(ByteRange range, u32 step) {
        int err = cw_image_read(&image_, range.off, static_cast<u32>(range.len), plain_.data());
        if (err == 0) {
            visit_({range, ImagePart::State::kStored, plain_.data()});
        } else if (step == 0) {
            bad(range, 0, "block", "cannot be read from the file");
        } else {
            for (u64 at = 0; at < range.len; at += step) {
                visit_raw_part({range.off + at, std::min<u64>(step, range.len - at)}, 0);
            }
        }
    }

    ByteRange blocks(u64 n, u64 count) const {
        u64 off = n * image_.block_size;
        u64 end = n + count >= image_.blocks ? image_.size : (n + count) * image_.block_size;
        return {off, end - off};
    }

    void bad(ByteRange range, u64 blocks, const char *what, const char *why) {
        totals_.bad_blocks += blocks;
        totals_.bad_bytes += range.len;
        visit_({range, ImagePart::State::kBad, nullptr, what, why});
    }

    cw_image &image_;
    const CheckOptions &options_;
    const std::function<void(const ImagePart &)> &visit_;
    ImageTotals totals_;
    std::vector<u8> plain_;
    std::vector<u8> stored_;
};

const cw_image_format *find_format(const std::string &name) {
    return name.empty() ? nullptr : cw_image_format_by_name(name.c_str());
}

}  // namespace

OpenedImage::OpenedImage(cw_io &io, const std::string &format)
    : cache_(cw_cache_create(kCacheBytes)) {
    if (!cache_) {
        throw std::bad_alloc();
    }
    cw_image *image = nullptr;
    cw_report report = {};
    int err = cw_image_open(&io, cache_.get(), find_format(format), &image, &report);
    if (err == -ENOMEM && report.text[0] == '\0') {
        throw std::bad_alloc();
    }
    if (err != 0) {
        refusal_ = report.text[0] != '\0' ? without_name(report.text, io.name)
                                          : "cannot be opened: " + errno_text(err);
    }
    image_.reset(image);
}

ImageTotals visit_image(cw_image &image, const CheckOptions &options,
                        const std::function<void(const ImagePart &)> &visit) {
    return Visitor(image, options, visit).run();
}

ImageTotals check_image(cw_image &image, const CheckOptions &options, Findings &findings) {
    ImageTotals totals = visit_image(image, options, [&](const ImagePart &part) {
        if (part.state == ImagePart::State::kBad) {
            findings.damage(part.what, part.why, part.range);
        }
    });
    if (!totals.complete) {
        findings.error("index", "leads to the same pages again and again; not checked to its end");
    }
    return totals;
}

}  // namespace cloopw

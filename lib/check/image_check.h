/* SPDX-License-Identifier: GPL-2.0 */
/* Reads an image of any format block by block, and reports unreadable blocks. */
#ifndef CLOOPW_LIB_IMAGE_CHECK_H
#define CLOOPW_LIB_IMAGE_CHECK_H

#include <memory>
#include <string>

#include "check.h"
#include "lib/cloopw.h"

namespace cloopw {

/* A base image over a borrowed io. */
class OpenedImage {
public:
    /* format empty: probe. */
    OpenedImage(cw_io &io, const std::string &format);

    /* Why it could not be opened, without the file's name; empty: it is open. */
    const std::string &refusal() const { return refusal_; }
    cw_image &get() const { return *image_; }

private:
    std::unique_ptr<cw_cache, CDeleter<cw_cache_destroy>> cache_;
    std::unique_ptr<cw_image, CDeleter<cw_image_close>> image_;
    std::string refusal_;
};

/* One block, or a run of blocks in the same state. */
struct ImagePart {
    enum class State { kZero, kStored, kBad };
    ByteRange range{};
    State state = State::kZero;
    const u8 *plain = nullptr;  /* kStored, but for a quick check */
    const char *what = nullptr; /* kBad: "index", "block" */
    const char *why = nullptr;  /* kBad */
};

struct ImageTotals {
    u64 stored_blocks = 0;
    u64 zero_blocks = 0;
    u64 bad_blocks = 0;
    u64 bad_bytes = 0;
    bool complete = true; /* false: ended early, because the index has no end */
};

/*
 * Visits all of the image from the first byte to the last. Needs memory for a block or two.
 */
ImageTotals visit_image(cw_image &image, const CheckOptions &options,
                        const std::function<void(const ImagePart &)> &visit);

/* The same, into findings. */
ImageTotals check_image(cw_image &image, const CheckOptions &options, Findings &findings);

}  // namespace cloopw

#endif

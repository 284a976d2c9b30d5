/* SPDX-License-Identifier: GPL-2.0 */
/* Checks one file, and files that belong together. */
#ifndef CLOOPW_CLOOPWCK_FILE_CHECK_H
#define CLOOPW_CLOOPWCK_FILE_CHECK_H

#include <memory>
#include <string>
#include <vector>

#include "lib/check/check.h"
#include "lib/check/cow_check.h"
#include "lib/check/image_check.h"
#include "lib/check/patched_io.h"
#include "tools/common/table.h"

namespace cloopw {

struct FileReport {
    std::string path;
    bool is_cow = false;
    std::string format; /* "cloopw", "log"..; empty: not known */
    Json facts = Json::object();
    std::string summary; /* the facts that matter most, for people */
    Findings findings;
    LogSupers supers; /* of a COW log, as they were then */
};

/* A COW file by its first bytes, or a log whose first superblock is damaged. */
bool looks_like_cow(const Io &io);

/* A file as it is, or as it would be if it were whole; why it is not. */
class WholeFile {
public:
    /* format: of an image; empty: look at it. */
    static WholeFile image(const Io &io, const std::string &format);
    static WholeFile cow(const Io &io);

    cw_io &io() { return io_ ? io_->get() : *below_; }
    /* What had to be taken for granted to open it; empty: nothing. */
    const std::string &damage() const { return damage_; }

private:
    explicit WholeFile(const Io &io) : below_(&io.get()) {}

    PatchedIo &patched();

    cw_io *below_;
    std::unique_ptr<PatchedIo> io_; /* NULL: it is opened as it is */
    std::string damage_;
};

FileReport check_image_file(const std::string &path, const std::string &format,
                            const CheckOptions &options);
FileReport check_cow_file(const std::string &path, const CheckOptions &options);

/*
 * Do they belong together? Layers: the top first. image: empty: that which the
 * lowest layer names, if it is there.
 */
void check_chain(const std::vector<std::string> &layers, const std::string &image,
                 const std::string &format, Findings &findings);

}  // namespace cloopw

#endif

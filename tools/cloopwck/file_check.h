/* SPDX-License-Identifier: GPL-2.0 */
/* Checks one file, and files that belong together. */
#ifndef CLOOPW_CLOOPWCK_FILE_CHECK_H
#define CLOOPW_CLOOPWCK_FILE_CHECK_H

#include <memory>
#include <nlohmann/json.hpp>
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
    std::string summary; /* the most important facts, for people */
    Findings findings;
    LogSupers supers; /* a COW log's, at the check */
};

/*
 * True for the first bytes of a COW file, and for a log whose first superblock is damaged.
 */
bool looks_like_cow(const Io &io);

/*
 * A file as it is, or a view of it as if it were whole, with the damage. The io is
 * borrowed.
 */
class WholeFile {
public:
    /* format: an image's; empty: probe. */
    static WholeFile image(const Io &io, const std::string &format);
    static WholeFile cow(const Io &io);

    cw_io &io() { return io_ ? io_->get() : *below_; }
    /* The assumptions that opening it took; empty: none. */
    const std::string &damage() const { return damage_; }

private:
    explicit WholeFile(const Io &io) : below_(&io.get()) {}

    PatchedIo &patched();

    cw_io *below_;
    std::unique_ptr<PatchedIo> io_; /* NULL: the file itself */
    std::string damage_;
};

/*
 * Check one file. Damage goes into the report. Throw Error when the check is not possible.
 */
FileReport check_image_file(const std::string &path, const std::string &format,
                            const CheckOptions &options);
FileReport check_cow_file(const std::string &path, const CheckOptions &options);

/*
 * Do the files belong together? layers: the top first. image empty: the image that the
 * lowest layer names, if it is there. Mismatches go into findings.
 */
void check_chain(const std::vector<std::string> &layers, const std::string &image,
                 const std::string &format, Findings &findings);

}  // namespace cloopw

#endif

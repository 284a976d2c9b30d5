/* SPDX-License-Identifier: GPL-2.0 */
/* COW files: what is there, and making what is not. One row a format. */
#ifndef CLOOPW_COW_COW_FILE_H
#define CLOOPW_COW_COW_FILE_H

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "chain.h"
#include "cow_settings.h"
#include "lib/fd.h"

namespace cloopw {

/* What a new COW file is made for. */
struct CowBase {
    std::string path;               /* of the image or the layer below, as given */
    int64_t mtime = 0;              /* of that path */
    uint64_t size = 0;              /* of the device, bytes */
    std::array<uint8_t, 16> uuid{}; /* of what is below; zeros: it has none */
    bool is_layer = false;          /* what is below is a COW file */
};

struct CowFormat {
    const char *name;
    /* Fills the empty file fd. name is for messages. Throws Error. */
    void (*write)(int fd, const std::string &name, const CowBase &base,
                  const CowSettings &settings);
};

/* CowFormat's write() for the default, also for a block device. */
void write_cow_log(int fd, const std::string &name, const CowBase &base,
                   const CowSettings &settings);

/* nullptr: what is made when the user does not say. */
const CowFormat *cow_format_by_name(const std::string &name);
const CowFormat &default_cow_format();
const CowFormat &layer_cow_format(); /* for snapshots */
/* A COW file of this format can be told never to change again. */
bool can_be_frozen(const std::string &format);
std::string cow_format_names(); /* "log, uml" */

enum class CowFile { kMissing, kThere, kBlankDevice };

/*
 * Looks at a COW file before the kernel does. Throws Error for what is none:
 * it must not be overwritten, but for a block device when settings say so.
 * format: it has to be of this one; nullptr: any. And it has to be as settings
 * want it.
 */
CowFile check_cow_file(const std::string &path, const CowFormat *format,
                       const CowSettings &settings);

/* Makes the file, whole or not at all, and durable: open. Throws Error, also when it exists. */
Fd create_cow_file(const std::string &path, const CowFormat &format, const CowBase &base,
                   const CowSettings &settings);

/*
 * A COW that is being made; removed again unless it is to be kept. What has its
 * name by then, but was made by others, stays, and so does one that others use.
 */
class NewCow {
public:
    NewCow() = default;
    NewCow(const NewCow &) = delete;
    NewCow &operator=(const NewCow &) = delete;
    ~NewCow();
    /* what: kMissing or kBlankDevice. Throws Error. */
    void create(const std::string &path, CowFile what, const CowFormat &format, const CowBase &base,
                const CowSettings &settings);
    void keep();

private:
    std::string path_; /* empty: nothing to remove */
    CowFile what_ = CowFile::kMissing;
    Fd file_;     /* what was made, if it is a file */
    Uuid uuid_{}; /* of the log that was made on a device */
};

/* How a file that has to appear as a whole comes to its name. */
enum class Appear {
    kUnnamed, /* O_TMPFILE and link: nothing is left whatever happens */
    kRenamed, /* temporary name and rename: for file systems without the above */
};

/*
 * Makes path with what fill writes into it, synced. false when the file system
 * cannot do it in this way; nothing is there then. Throws Error.
 */
bool create_whole_file(const std::string &path, Appear how, const std::function<void(int)> &fill);

}  // namespace cloopw

#endif

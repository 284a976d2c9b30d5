/* SPDX-License-Identifier: GPL-2.0 */
/* COW files: checks the existing ones, and makes missing ones. A format is one row. */
#ifndef CLOOPW_COW_COW_FILE_H
#define CLOOPW_COW_COW_FILE_H

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "chain.h"
#include "cow_settings.h"
#include "lib/fd.h"
#include "log_writer.h"

namespace cloopw {

/* The file and device for which a new COW file is made. */
struct CowBase {
    std::string path;               /* path of the image or the layer below, from the user */
    int64_t mtime = 0;              /* mtime of that path */
    uint64_t size = 0;              /* bytes of the device */
    std::array<uint8_t, 16> uuid{}; /* UUID of the file below; zeros: it has none */
    bool is_layer = false;          /* the file below is a COW file */
};

struct CowFormat {
    const char *name;
    bool has_settings; /* a codec, a level and a limit; its device can grow */
    /* Fills the empty file fd. name is for messages. Throws Error. */
    void (*write)(int fd, const std::string &name, const CowBase &base,
                  const CowSettings &settings);
};

/* The write() of the default CowFormat, which also takes a block device. */
void write_cow_log(int fd, const std::string &name, const CowBase &base,
                   const CowSettings &settings);
/* For a new log called name. Throws Error for settings that it cannot have. */
LogCowConfig log_cow_config(const std::string &name, const CowBase &base,
                            const CowSettings &settings);

/* nullptr: there is no such format. */
const CowFormat *cow_format_by_name(const std::string &name);
/* The format of a new COW file when the user names none. */
const CowFormat &default_cow_format();
const CowFormat &layer_cow_format(); /* for snapshots */
/* Has a new COW file of this format settings? Empty, the default, has. */
bool has_cow_settings(const std::string &format);
/* Can a COW file of this format be frozen? */
bool can_be_frozen(const std::string &format);
Names cow_format_names(); /* the default first */

enum class CowFile { kMissing, kThere, kBlankDevice };

/*
 * Checks a COW file before the engine opens it. Throws Error for another kind of file,
 * which nobody may overwrite; settings allow that for a block device. format: the file must
 * be of this one; nullptr: of any. The codec and level of settings, if given, must be the
 * file's.
 */
CowFile check_cow_file(const std::string &path, const CowFormat *format,
                       const CowSettings &settings);

/*
 * Makes the file, whole or not at all, and durable. Returns it open. Throws Error, also
 * when the path exists.
 */
Fd create_cow_file(const std::string &path, const CowFormat &format, const CowBase &base,
                   const CowSettings &settings);

/*
 * A new COW. The destructor removes it, unless keep() was called. It leaves another file
 * that has got the name meanwhile, and a file that others use.
 */
class NewCow {
public:
    NewCow() = default;
    NewCow(const NewCow &) = delete;
    NewCow &operator=(const NewCow &) = delete;
    ~NewCow();
    /* The state of the path is kMissing or kBlankDevice. Throws Error. */
    void create(const std::string &path, CowFile what, const CowFormat &format, const CowBase &base,
                const CowSettings &settings);
    void keep();

private:
    std::string path_; /* empty: nothing to remove */
    CowFile what_ = CowFile::kMissing;
    Fd file_;     /* the new file; none for a device */
    Uuid uuid_{}; /* UUID of the new log on a device */
};

/* The ways in which a file gets its name only when it is whole. */
enum class Appear {
    kUnnamed, /* O_TMPFILE and link: leaves nothing behind in any case */
    kRenamed, /* temporary name and rename: for other file systems; removes what a power
                 cut left of that in the directory */
};

/*
 * Makes path with the content that fill writes, and syncs file and directory. False: the
 * file system cannot do it in this way, and nothing is there. Throws Error.
 */
bool create_whole_file(const std::string &path, Appear how, const std::function<void(int)> &fill);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that appears under its name when it is complete, or not at all.
 *
 * It has no name while it is written, where the file system can do that, so
 * that even a power cut leaves nothing; elsewhere a temporary one beside the
 * final one, removed on failure. A block device is written as it is. What goes
 * to standard output is kept in a file until it is complete, as an image is not
 * written from the front to the back.
 */
#ifndef CLOOPW_TOOLS_OUTPUT_FILE_H
#define CLOOPW_TOOLS_OUTPUT_FILE_H

#include <sys/stat.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

struct OutputFileOptions {
    std::vector<std::string> inputs; /* refused as the output */
    bool force = false;              /* replace an existing file, overwrite a block device */
    bool unnamed = true;             /* let the file have no name at first, if possible */
    bool secret = false;             /* not all may read what is made */
    std::string like;                /* a new file gets mode and owner of this; or empty */
    u64 size = 0;                    /* bytes that a device must have; 0: not known */
    int out_fd = -1;                 /* what the name "-" means */
};

/* What was on a block device before is lost with what failed. */
class OverwrittenError : public Error {
public:
    using Error::Error;
};

/*
 * A new file may be read by those who may read all inputs, as far as the umask allows.
 * One that replaces another has mode, owner and extended attributes of that.
 */
class OutputFile {
public:
    OutputFile(const std::string &path, const OutputFileOptions &options);
    ~OutputFile();
    OutputFile(const OutputFile &) = delete;
    OutputFile &operator=(const OutputFile &) = delete;

    const Io &io() const { return *io_; }
    bool is_device() const { return is_device_; }

    /* Does what writes it. On a device Errors say what is gone. */
    void fill(const std::function<void()> &write) const;
    /* Makes it durable and gives it its name. */
    void commit();

private:
    bool is_stream() const { return path_ == "-"; }
    void open_file();
    void examine_existing();
    void lock_existing_cow();
    mode_t new_mode() const;
    void settle_owner() const;
    void settle_like_existing() const;
    void open_device();
    bool open_unnamed();
    void open_temporary();
    void put_in_place();
    void copy_out();
    std::string temporary_name() const;

    const std::string path_; /* as given, for messages */
    const OutputFileOptions options_;
    const mode_t umask_;
    bool is_device_ = false;
    bool replaces_ = false; /* a file; what is known of it: */
    struct stat existing_ = {};
    std::optional<Io> existing_cow_; /* locked */
    std::string target_;             /* path_ with a last symbolic link resolved */
    std::string directory_;          /* of target_ */
    std::string temporary_;          /* what to remove on failure; empty: nothing */
    std::optional<Io> io_;
};

/* Writes all of it to a descriptor of any kind. */
void write_stdout(int fd, const u8 *bytes, size_t len);

}  // namespace cloopw

#endif

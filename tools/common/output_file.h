/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that appears under its name when it is complete, or not at all.
 *
 * While it is written it has no name, if the file system can do that. So even a power cut
 * leaves nothing. Elsewhere it has a temporary name beside the final one, which a failure
 * removes. A block device is written directly. For standard output a temporary file keeps
 * the data until it is complete, because an image is not written from front to back.
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
    bool secret = false;             /* not all users may read the new file */
    std::string like;                /* a new file gets this file's mode and owner; or empty */
    u64 size = 0;                    /* bytes that a device must have; 0: not known */
    int out_fd = -1;                 /* descriptor for the name "-" */
};

/* The failure has also destroyed the former content of a block device. */
class OverwrittenError : public Error {
public:
    using Error::Error;
};

/*
 * A new file may be read by the users who may read all inputs, within the umask. A file
 * that replaces another gets its mode, owner and extended attributes.
 */
class OutputFile {
public:
    /* Opens the file or refuses it. Throws Error. */
    OutputFile(const std::string &path, const OutputFileOptions &options);
    ~OutputFile();
    OutputFile(const OutputFile &) = delete;
    OutputFile &operator=(const OutputFile &) = delete;

    const Io &io() const { return *io_; }
    bool is_device() const { return is_device_; }

    /* Calls write. On a device its Errors also name the destroyed content. */
    void fill(const std::function<void()> &write) const;
    /* Makes the file durable and gives it its name. Throws Error. */
    void commit();

private:
    bool is_stream() const { return path_ == "-"; }
    void open_file();
    void examine_existing();
    void lock_existing_cow();
    void refuse_image_in_use() const;
    mode_t new_mode() const;
    void settle_owner() const;
    void settle_like_existing() const;
    void open_device();
    bool open_unnamed();
    void open_temporary();
    void put_in_place();
    void copy_out();
    std::string temporary_name() const;

    const std::string path_; /* from the user, for messages */
    const OutputFileOptions options_;
    const mode_t umask_;
    bool is_device_ = false;
    bool replaces_ = false; /* an existing file, with these facts: */
    struct stat existing_ = {};
    std::optional<Io> existing_cow_; /* locked */
    std::string target_;             /* path_ with a last symbolic link resolved */
    std::string directory_;          /* target_'s directory */
    std::string temporary_;          /* name to remove on failure; empty: none */
    std::optional<Io> io_;
};

/* Writes all of it to a descriptor of any kind. Throws Error. */
void write_stdout(int fd, const u8 *bytes, size_t len);

}  // namespace cloopw

#endif

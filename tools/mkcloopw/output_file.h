/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that appears under its name when it is complete, or not at all.
 *
 * It has no name while it is written, where the file system can do that, so
 * that even a power cut leaves nothing; elsewhere a temporary one beside the
 * final one, removed on failure. A block device is written as it is.
 */
#ifndef CLOOPW_MKCLOOPW_OUTPUT_FILE_H
#define CLOOPW_MKCLOOPW_OUTPUT_FILE_H

#include <optional>
#include <string>

#include "lib/cloopw.h"

namespace cloopw {

struct OutputFileOptions {
    std::string input;   /* refused as the output when it is the same file; or empty */
    bool force = false;  /* replace an existing file, overwrite a block device */
    bool unnamed = true; /* let the file have no name at first, if possible */
};

class OutputFile {
public:
    OutputFile(const std::string &path, const OutputFileOptions &options);
    ~OutputFile();
    OutputFile(const OutputFile &) = delete;
    OutputFile &operator=(const OutputFile &) = delete;

    const Io &io() const { return *io_; }
    bool is_device() const { return is_device_; }

    /* Makes it durable and gives it its name. */
    void commit();

private:
    void examine_existing();
    void open_device();
    bool open_unnamed();
    void open_temporary();
    void put_in_place();
    std::string temporary_name() const;

    const std::string path_; /* as given, for messages */
    const OutputFileOptions options_;
    bool is_device_ = false;
    std::string target_;    /* path_ with a last symbolic link resolved */
    std::string directory_; /* of target_ */
    std::string temporary_; /* what to remove on failure; empty: nothing */
    std::optional<Io> io_;
};

}  // namespace cloopw

#endif

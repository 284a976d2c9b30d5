/* SPDX-License-Identifier: GPL-2.0 */
/* The input of mkcloopw: an image with the layers over it, or a stream. */
#ifndef CLOOPW_MKCLOOPW_INPUT_H
#define CLOOPW_MKCLOOPW_INPUT_H

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/cloopw.h"
#include "lib/fd.h"
#include "rescue.h"

namespace cloopw {

struct InputOptions {
    std::string path;              /* "-": in_fd */
    std::string format;            /* the base's; empty: probe */
    std::vector<std::string> cows; /* layers over it, the top first; the lower ones are found */
    bool known = false;            /* a raw image must have a signature of a disk */
    int in_fd = -1;
    bool rescue = false; /* go on where a raw image cannot be read */
};

class Input {
public:
    /* Throws Error for a file that is empty or cannot be read. */
    explicit Input(const InputOptions &options);
    /* An open raw image. secret: not all users may read it. */
    Input(Io raw, const std::string &name, bool secret);
    Input(const Input &) = delete;
    Input &operator=(const Input &) = delete;

    const std::string &name() const { return name_; }
    /* All files that are read. */
    const std::vector<std::string> &files() const { return files_; }

    bool is_secret() const { return secret_; }

    /* A stream has a descriptor, all other inputs have a device. */
    bool is_stream() const { return !device_; }
    int stream_fd() const { return fd_; }
    /* The user has named the format, so the content does not count. */
    bool is_said_to_be() const { return !format_.empty(); }
    const Device &device() const { return *device_; }
    /* The reader of its data; nullptr: read from the device. */
    Rescue *rescue() const { return rescue_.get(); }
    const Io &medium() const { return medium_ ? *medium_ : device_->base(); }

    /*
     * Only with a device: its bytes. With layers these are whole sectors, as the driver
     * shows it.
     */
    u64 size() const;
    bool has_layers() const { return device_->info().nr_layers != 0; }

private:
    void open_path(const InputOptions &options);
    std::optional<Io> open_file(const InputOptions &options);
    Io set_rescue(Io base);
    void check_raw(const InputOptions &options) const;

    const std::string name_;   /* for messages */
    const std::string format_; /* the user's format; or empty */
    std::vector<std::string> files_;
    int fd_ = -1;
    Fd owned_;                  /* fd_, unless it is standard input */
    const bool secret_ = false; /* not all may read the input, and no file's mode says so */
    std::optional<Device> device_;
    std::unique_ptr<Rescue> rescue_;
    std::optional<Io> medium_; /* with rescue_; the device only stands for it */
};

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* What mkcloopw reads: an image with the layers over it, or a stream. */
#ifndef CLOOPW_MKCLOOPW_INPUT_H
#define CLOOPW_MKCLOOPW_INPUT_H

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/cloopw.h"
#include "rescue.h"

namespace cloopw {

struct InputOptions {
    std::string path;              /* "-": in_fd */
    std::string format;            /* of the base; empty: look at it */
    std::vector<std::string> cows; /* layers over it, the top first; others are found */
    bool known = false;            /* a raw image must show what disks have */
    int in_fd = -1;
    bool rescue = false; /* go on where a raw image cannot be read */
};

class Input {
public:
    /* Throws Error for what cannot be read or is empty. */
    explicit Input(const InputOptions &options);
    /* A raw image that is open already. */
    Input(Io raw, const std::string &name, bool secret);
    ~Input();
    Input(const Input &) = delete;
    Input &operator=(const Input &) = delete;

    const std::string &name() const { return name_; }
    /* All that are read. */
    const std::vector<std::string> &files() const { return files_; }

    bool is_secret() const { return secret_; }

    /* A stream has a descriptor, all else a device. */
    bool is_stream() const { return !device_; }
    int stream_fd() const { return fd_; }
    /* Its format was named: it is that, whatever it looks like. */
    bool is_said_to_be() const { return !format_.empty(); }
    const Device &device() const { return *device_; }
    /* What its data is to be read with; nullptr: with the device. */
    Rescue *rescue() const { return rescue_.get(); }
    const Io &medium() const { return medium_ ? *medium_ : device_->base(); }

    /* Of a device: bytes; with layers whole sectors, as the driver shows it. */
    u64 size() const;
    bool has_layers() const { return device_->info().nr_layers != 0; }

private:
    void open_path(const InputOptions &options);
    Io set_rescue(Io base);
    void check_raw(const InputOptions &options) const;

    const std::string name_;   /* for messages */
    const std::string format_; /* that was named; or empty */
    std::vector<std::string> files_;
    int fd_ = -1;
    bool owned_ = false;        /* fd_ */
    const bool secret_ = false; /* what not all may read, and no file says so */
    std::optional<Device> device_;
    std::unique_ptr<Rescue> rescue_;
    std::optional<Io> medium_; /* with rescue_; the device only stands for it */
};

}  // namespace cloopw

#endif

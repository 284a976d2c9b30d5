// SPDX-License-Identifier: GPL-2.0
#include "input.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "lib/cow/chain.h"
#include "lib/file_kind.h"
#include "lib/net/source.h"
#include "lib/net/url.h"

namespace cloopw {

Input::Input(const InputOptions &options)
    : name_(options.path == "-" ? "standard input" : shown_name(options.path)),
      format_(options.format) {
    if (options.path == "-") {
        fd_ = options.in_fd;
        files_ = {"/proc/self/fd/" + std::to_string(fd_)};
    } else {
        open_path(options);
    }
}

Input::Input(Io raw, const std::string &name, bool secret)
    : name_(name), format_("raw"), secret_(secret) {
    Device::Config config;
    config.format = "raw";
    config.read_only = true;
    device_.emplace(std::move(raw), std::vector<Io>(), config);
}

/* nullopt: it is a stream, and fd_ has it. */
std::optional<Io> Input::open_file(const InputOptions &options) {
    const std::string path = without_file_scheme(options.path);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        throw io_error(path, "cannot be opened", errno);
    }
    struct stat st = {};
    if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
        fd_ = fd;
        owned_ = Fd(fd);
        if (options.rescue) {
            throw Error(name_ + ": can only be read once, not with --rescue", EINVAL);
        }
        return std::nullopt;
    }
    if (S_ISDIR(st.st_mode)) {
        const Fd closed(fd);
        throw Error(name_ + ": is a directory; make an image of what is in it with --from-dir",
                    EISDIR);
    }
    return Io::adopt(fd, path);
}

void Input::open_path(const InputOptions &options) {
    const bool remote = is_remote(options.path);
    if (remote && options.rescue) {
        throw Error(name_ + ": --rescue reads damaged media, not a URL", EINVAL);
    }
    std::optional<Io> opened = remote ? open_source(options.path) : open_file(options);
    if (!opened) {
        return;
    }
    Io base = std::move(*opened);
    if (base.size() == 0) {
        throw Error(name_ + ": is empty; there is nothing to make an image of", EINVAL);
    }
    if (options.rescue) {
        base = set_rescue(std::move(base));
    }
    if (!remote) {
        files_ = {name_};
    }
    std::vector<CowLayer> chain = find_cow_chain(options.cows, Unfinished::kSkip);
    for (const CowLayer &layer : chain) {
        files_.push_back(layer.path);
    }
    std::vector<Io> layers = open_cow_chain(chain, Io::Mode::kRead);
    Device::Config config;
    config.format = options.rescue ? "raw" : options.format;
    config.read_only = true;
    device_.emplace(std::move(base), std::move(layers), config);
    check_raw(options);
}

/*
 * An input whose first bytes cannot be read counts as raw. Returns an io that the device
 * can open: a file of that size.
 */
Io Input::set_rescue(Io base) {
    std::string format;
    try {
        format = format_.empty() ? image_kind(base) : "";
    } catch (const Error &) {
        format.clear();
    }
    if (!format.empty()) {
        throw Error(name_ + ": is an image of format " + format +
                        ", not a raw one; 'cloopwck --salvage' reads damaged images",
                    EINVAL);
    }
    rescue_ = std::make_unique<Rescue>();
    medium_.emplace(std::move(base));
    Io shape = Io::adopt(memfd_create("medium", MFD_CLOEXEC), name_);
    if (ftruncate(shape.fd(), static_cast<off_t>(medium_->size())) != 0) {
        throw io_error(name_, "cannot be stood for by a file in memory", errno);
    }
    return shape;
}

/* Refuses a raw input that is probably a mistake. known: its content must show a disk. */
void Input::check_raw(const InputOptions &options) const {
    if (device_->image().format != &cw_image_raw || is_said_to_be() || rescue_) {
        return;
    }
    if (options.known && !has_layers()) {
        refuse_unknown_raw(device_->base(), "-I raw");
    } else {
        refuse_unlikely_raw(device_->base(), "-I raw");
    }
}

u64 Input::size() const { return has_layers() ? device_->size() : device_->image().size; }

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "image_facts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/cloopw.h"
#include "lib/file_kind.h"
#include "lib/net/source.h"
#include "lib/net/url.h"
#include "lib/open_data.h"
#include "lib/size.h"
#include "refusal.h"

namespace cloopw {
namespace {

/* Enough to look at the head and the index. */
constexpr u64 kCacheBytes = 1 << 20;

Fd open_image(const std::string &path, struct stat *st) {
    if (stat(path.c_str(), st) != 0) {
        throw io_error(path, "cannot open the image", errno);
    }
    if (S_ISDIR(st->st_mode)) {
        throw Error(path + ": is a directory, not an image; name a file or a block device", EISDIR);
    }
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode)) {
        throw Error(path + ": is neither a file nor a block device", EINVAL);
    }
    Fd fd(open_data(path, O_RDONLY));
    if (fd.get() < 0) {
        throw io_error(path, "cannot open the image", errno);
    }
    return fd;
}

/* The same descriptor may be used for more than one window. */
Io window_of(int fd, const std::string &path, uint64_t offset, uint64_t sizelimit) {
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        throw io_error(path, "cannot open the image", errno);
    }
    return Io::adopt(copy, path, offset, sizelimit);
}

void check_window(const std::string &path, u64 whole, uint64_t offset) {
    if (whole == 0) {
        throw Error(path + ": is empty, not an image", EINVAL);
    }
    if (offset >= whole) {
        throw Error(path + ": --offset " + exact_size(offset) + " is behind its end, it has " +
                        exact_size(whole),
                    EINVAL);
    }
}

/* facts gets the descriptor, and what the file system says of the file. */
Io open_local(ImageFacts &facts, const std::string &path, uint64_t offset, uint64_t sizelimit) {
    facts.fd = open_image(path, &facts.st);
    check_window(path, window_of(facts.fd.get(), path, 0, 0).size(), offset);
    return window_of(facts.fd.get(), path, offset, sizelimit);
}

/* facts gets the time that the server says. */
Io open_remote(ImageFacts &facts, const std::string &url, uint64_t offset, uint64_t sizelimit) {
    Io io = open_source(url, offset, sizelimit);
    if (io.size() == 0) {
        throw Error(shown_name(url) + ": --offset " + exact_size(offset) + " is behind its end",
                    EINVAL);
    }
    facts.st.st_mtime = io.get().mtime;
    facts.remote.emplace(open_source(url));
    return io;
}

Image open_with_engine(Io io, const std::string &format) {
    try {
        return Image(std::move(io), format, kCacheBytes);
    } catch (const Error &e) {
        throw with_remedy(e);
    }
}

}  // namespace

ImageFacts inspect_image(const std::string &path, const std::string &format, uint64_t offset,
                         uint64_t sizelimit) {
    ImageFacts facts;
    Image image = open_with_engine(is_remote(path) ? open_remote(facts, path, offset, sizelimit)
                                                   : open_local(facts, path, offset, sizelimit),
                                   format);
    facts.format = image.info().format->name;
    facts.size = image.size();
    facts.codecs = image.info().codecs;
    facts.digest = image.info().digest;
    std::copy_n(image.info().uuid, facts.uuid.size(), facts.uuid.begin());
    if (facts.format == cw_image_raw.name && format.empty()) {
        refuse_unlikely_raw(image.io(), "--format raw");
    }
    return facts;
}

}  // namespace cloopw

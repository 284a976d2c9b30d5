// SPDX-License-Identifier: GPL-2.0
#include "refusal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace cloopw {
namespace {

struct Remedy {
    unsigned int code; /* CLOOPW_R_NONE: any */
    int err;           /* 0: any */
    const char *text;
};

constexpr const char *kVersions = "this program and the module are of different versions";

/* The first row that fits. */
constexpr std::array kRemedies = {
    Remedy{CLOOPW_R_FIXED_IMAGE, 0,
           "only a raw image that is longer or shorter by now can be resized; 'mkcloopw -x' and "
           "mkcloopw make another of this one"},
    Remedy{CLOOPW_R_FIXED_COW, 0, "'--resize=SIZE' makes the device of a COW log longer"},
    Remedy{CLOOPW_R_NOT_GROWABLE, 0,
           "'cloopwsetup -c NEW -c THIS DEVICE IMAGE' puts a log over it, which can"},
    Remedy{CLOOPW_R_SHRINK, 0, "make the file system smaller, and an image of that with mkcloopw"},
    Remedy{CLOOPW_R_NOT_RESETTABLE, 0,
           "detach it and remove the file; a new one is made at the next attach"},
    Remedy{CLOOPW_R_GROW_FAILED, ENOSPC, "raise --cow-limit, or make room where the COW is"},
    Remedy{CLOOPW_R_BASE_MODIFIED, 0,
           "else give the image it was made for; 'cloopwsetup --same-base' takes this one, if it "
           "has the same content"},
    Remedy{CLOOPW_R_OTHER_BASE, 0,
           "give the image it was made for, or another -c for a new COW file; 'cloopwsetup "
           "--same-base' takes this one, if it has the same content"},
    Remedy{CLOOPW_R_FROZEN, 0,
           "attach the layer over it, put a new one over it with '-c NEW -c THIS', or look at it "
           "with -r"},
    Remedy{CLOOPW_R_NOT_FROZEN, 0,
           "what lies over it may not fit any more: attach it alone, or under a new layer with "
           "'-c NEW -c THIS'"},
    Remedy{CLOOPW_R_READ_ONLY, 0, "attach the image with -c and without -r"},
    Remedy{CLOOPW_R_NOT_FREEZABLE, 0,
           "detach it, then 'cloopwsetup -c NEW -c THIS DEVICE IMAGE' puts a layer over it"},
    Remedy{CLOOPW_R_CHANGING, 0, "try again"},
    Remedy{CLOOPW_R_CLAIMED, 0,
           "'lsblk' and 'findmnt' tell by which; unmount or detach that first"},
    Remedy{CLOOPW_R_TRUNCATED, 0, "it was copied or downloaded only in part, get it again"},
    Remedy{CLOOPW_R_TOO_MANY_LAYERS, 0, "'mkcloopw --cow' makes one image of all of them"},
    Remedy{CLOOPW_R_USERSPACE_CODEC, 0, "'cloopwsetup --userspace' attaches it"},
    Remedy{CLOOPW_R_BAD_REQUEST, 0, kVersions},
    Remedy{CLOOPW_R_NONE, EPERM, "run this as root"},
    Remedy{CLOOPW_R_NONE, EACCES, "run this as root"},
    Remedy{CLOOPW_R_NONE, ENOTTY, kVersions},
    Remedy{CLOOPW_R_NONE, E2BIG, kVersions},
    Remedy{CLOOPW_R_NONE, ENOMEM, "a smaller --cache needs less"},
};

/* The driver's reasons begin with the file they are about. */
bool begins_with_file(const std::string &message, const std::string &path) {
    std::string name = path.substr(path.rfind('/') + 1);
    size_t colon = message.find(": ");
    return colon != std::string::npos && colon >= name.size() &&
           message.compare(colon - name.size(), name.size(), name) == 0;
}

}  // namespace

std::string remedy_of(unsigned int code, int err) {
    for (const Remedy &remedy : kRemedies) {
        if ((remedy.code == CLOOPW_R_NONE || remedy.code == code) &&
            (remedy.err == 0 || remedy.err == err)) {
            return std::string("; ") + remedy.text;
        }
    }
    return "";
}

Error with_remedy(const Error &refusal) {
    return refusal.with(refusal.what() + remedy_of(refusal.code(), refusal.err()));
}

Error refused(const std::string &what, const std::vector<std::string> &files,
              const cloopw_reason &reason, int err) {
    std::string message(reason.text, strnlen(reason.text, sizeof(reason.text)));
    if (message.empty()) {
        message = errno_text(err);
    }
    if (std::none_of(files.begin(), files.end(),
                     [&](const std::string &file) { return begins_with_file(message, file); })) {
        message.insert(0, what + ": ");
    }
    return with_remedy(Error(message, std::abs(err), reason.code));
}

}  // namespace cloopw

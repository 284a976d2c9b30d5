// SPDX-License-Identifier: GPL-2.0
#include "refusal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

namespace cloopw {
namespace {

struct Remedy {
    const char *says; /* in the message; "" for any */
    int err;          /* 0 for any */
    const char *text;
};

/* The first row that fits. */
constexpr std::array kRemedies = {
    Remedy{"has the size it was made with", 0,
           "only a raw image that is longer or shorter by now can be resized; 'mkcloopw -x' and "
           "mkcloopw make another of this one"},
    Remedy{"cannot be resized", 0,
           "a COW layer keeps its size: 'mkcloopw --cow' makes an image of both, or attach the "
           "image with -r"},
    Remedy{"as modified at", 0, "else give the image it was made for"},
    Remedy{"was made for", 0, "give the image it was made for, or another -c for a new COW file"},
    Remedy{"is frozen:", 0,
           "attach the layer over it, put a new one over it with '-c NEW -c THIS', or look at it "
           "with -r"},
    Remedy{"is not frozen", 0,
           "what lies over it may not fit any more: attach it alone, or under a new layer with "
           "'-c NEW -c THIS'"},
    Remedy{"the device is read-only", 0, "attach the image with -c and without -r"},
    Remedy{"cannot be frozen", EOPNOTSUPP,
           "detach it, then 'cloopwsetup -c NEW -c THIS DEVICE IMAGE' puts a layer over it"},
    Remedy{"is being changed already", 0, "try again"},
    Remedy{"cannot be claimed as", EBUSY,
           "'lsblk' and 'findmnt' tell by which; unmount or detach that first"},
    Remedy{"truncated", 0, "it was copied or downloaded only in part, get it again"},
    Remedy{"", EPERM, "run this as root"},
    Remedy{"", EACCES, "run this as root"},
    Remedy{"", ENOTTY, "this program and the module are of different versions"},
    Remedy{"", E2BIG, "this program and the module are of different versions"},
    Remedy{"", ENOMEM, "a smaller --cache needs less"},
};

/* The driver's reasons begin with the file they are about. */
bool begins_with_file(const std::string &message, const std::string &path) {
    std::string name = path.substr(path.rfind('/') + 1);
    size_t colon = message.find(": ");
    return colon != std::string::npos && colon >= name.size() &&
           message.compare(colon - name.size(), name.size(), name) == 0;
}

}  // namespace

std::string remedy_of_refusal(const std::string &message, int err) {
    for (const Remedy &remedy : kRemedies) {
        if (message.find(remedy.says) != std::string::npos &&
            (remedy.err == 0 || remedy.err == err)) {
            return std::string("; ") + remedy.text;
        }
    }
    return "";
}

Error refused(const std::string &what, const std::vector<std::string> &files, std::string message,
              int err) {
    while (!message.empty() && message.back() == '\n') {
        message.pop_back();
    }
    std::string remedy = remedy_of_refusal(message, std::abs(err));
    if (message.empty()) {
        message = errno_text(err);
    }
    if (std::none_of(files.begin(), files.end(),
                     [&](const std::string &file) { return begins_with_file(message, file); })) {
        message.insert(0, what + ": ");
    }
    return Error(message + remedy, std::abs(err));
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "refusal.h"

#include <array>
#include <cerrno>

namespace cloopw {
namespace {

struct Remedy {
    const char *says; /* in the message; "" for any */
    int err;          /* 0 for any */
    const char *text;
};

/* The first row that fits. */
constexpr std::array kRemedies = {
    Remedy{"was made for", 0, "give the image it was made for, or another -c for a new COW file"},
    Remedy{"truncated", 0, "it was copied or downloaded only in part, get it again"},
    Remedy{"", EPERM, "run this as root"},
    Remedy{"", EACCES, "run this as root"},
    Remedy{"", ENOTTY, "this program and the module are of different versions"},
    Remedy{"", E2BIG, "this program and the module are of different versions"},
    Remedy{"", ENOMEM, "a smaller --cache needs less"},
};

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

}  // namespace cloopw

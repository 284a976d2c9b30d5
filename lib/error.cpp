// SPDX-License-Identifier: GPL-2.0
#include "error.h"

#include <cstdlib>
#include <cstring>

namespace cloopw {

std::string errno_text(int err) {
    char buf[128];
    return strerror_r(std::abs(err), buf, sizeof(buf));
}

Error io_error(std::string_view file, std::string_view what, int err, std::string_view remedy) {
    std::string text(file);
    text.append(": ").append(what).append(": ").append(errno_text(err));
    if (!remedy.empty()) {
        text.append("; ").append(remedy);
    }
    return Error(text, std::abs(err));
}

}  // namespace cloopw

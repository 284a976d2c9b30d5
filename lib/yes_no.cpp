// SPDX-License-Identifier: GPL-2.0
#include "yes_no.h"

#include <cerrno>

#include "error.h"

namespace cloopw {

bool parse_yes_no(const std::string &text, std::string_view what) {
    for (const char *yes : {"1", "true", "yes", "on"}) {
        if (text == yes) {
            return true;
        }
    }
    for (const char *no : {"0", "false", "no", "off"}) {
        if (text == no) {
            return false;
        }
    }
    throw Error(std::string(what) + "=" + text + ": is neither true nor false", EINVAL);
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
#include "hidden_names.h"

#include <fcntl.h>
#include <sys/mman.h>

/* hide_names.c as a library within the program, because mkcloopw is a single file. */
asm(".pushsection .rodata\n"
    ".global cloopw_hide_names\n"
    "cloopw_hide_names:\n"
    ".incbin \"" HIDE_NAMES_LIBRARY
    "\"\n"
    ".global cloopw_hide_names_end\n"
    "cloopw_hide_names_end:\n"
    ".byte 0\n"
    ".popsection\n");

extern "C" const char cloopw_hide_names[];
extern "C" const char cloopw_hide_names_end[];

namespace cloopw {

namespace {

Io memory_file(const char *name, const std::string &content) {
    Io io = Io::adopt(memfd_create(name, MFD_CLOEXEC), name);
    io.write(content.data(), content.size(), 0);
    return io;
}

}  // namespace

HiddenNames::HiddenNames(const std::set<HiddenName> &names) {
    if (names.empty()) {
        return;
    }
    std::string list(1, '\0'); /* becomes 1 when it is asked for */
    for (const auto &[dev, ino, name] : names) {
        list += std::to_string(dev) + " " + std::to_string(ino) + " " + name + '\0';
    }
    list_.emplace(memory_file("hidden names", list));
    library_.emplace(
        memory_file("hide_names", std::string(cloopw_hide_names, cloopw_hide_names_end)));
}

std::vector<std::string> HiddenNames::environment() const {
    if (!list_) {
        return {};
    }
    return {"LD_PRELOAD=/proc/self/fd/" + std::to_string(library_->fd()),
            "HIDDEN_NAMES_FD=" + std::to_string(list_->fd())};
}

bool HiddenNames::pass_on() const {
    return !list_ ||
           (fcntl(list_->fd(), F_SETFD, 0) == 0 && fcntl(library_->fd(), F_SETFD, 0) == 0);
}

bool HiddenNames::were_asked() const {
    char asked = 1;
    if (list_) {
        list_->read(&asked, 1, 0);
    }
    return asked != 0;
}

}  // namespace cloopw

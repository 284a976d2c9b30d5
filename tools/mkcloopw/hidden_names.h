/* SPDX-License-Identifier: GPL-2.0 */
/* Keeps names of a directory tree from a program that reads all of it. */
#ifndef CLOOPW_MKCLOOPW_HIDDEN_NAMES_H
#define CLOOPW_MKCLOOPW_HIDDEN_NAMES_H

#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/* Device and inode of a directory, and a name in it; empty: all in it. */
using HiddenName = std::tuple<u64, u64, std::string>;

class HiddenNames {
public:
    explicit HiddenNames(const std::set<HiddenName> &names);

    /* What a program that is to see none of them has in its environment. */
    std::vector<std::string> environment() const;

    /* In the child, before it becomes that program; false: cannot. */
    bool pass_on() const;

    /* The program has asked; false: it has seen all names. */
    bool were_asked() const;

private:
    std::optional<Io> library_; /* none: there is nothing to hide */
    std::optional<Io> list_;
};

}  // namespace cloopw

#endif

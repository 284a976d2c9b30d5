/* SPDX-License-Identifier: GPL-2.0 */
/* Hides names of a directory tree from a program that reads all of it. */
#ifndef CLOOPW_MKCLOOPW_HIDDEN_NAMES_H
#define CLOOPW_MKCLOOPW_HIDDEN_NAMES_H

#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/* Device and inode of a directory, and a name in it; empty: all names in it. */
using HiddenName = std::tuple<u64, u64, std::string>;

class HiddenNames {
public:
    explicit HiddenNames(const std::set<HiddenName> &names);

    /* The environment of a program that must not see the names. */
    std::vector<std::string> environment() const;

    /* Call it in the child before the exec; false: it failed. */
    bool pass_on() const;

    /* True when the program has asked for the names; false: it has seen all names. */
    bool were_asked() const;

private:
    std::optional<Io> library_; /* none: there is nothing to hide */
    std::optional<Io> list_;
};

}  // namespace cloopw

#endif

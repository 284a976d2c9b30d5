/* SPDX-License-Identifier: GPL-2.0 */
/* How an option's value gets where it belongs: for Option's add. */
#ifndef CLOOPW_TOOLS_OPTION_VALUES_H
#define CLOOPW_TOOLS_OPTION_VALUES_H

#include <CLI/CLI.hpp>
#include <string>

namespace cloopw {

template <typename T>
auto value(T &to) {
    return [&to](CLI::App &app, const std::string &names) {
        /* one value each time, also for an option that can be repeated */
        return app.add_option(names, to)->allow_extra_args(false);
    };
}

inline auto flag(bool &to) {
    return [&to](CLI::App &app, const std::string &names) { return app.add_flag(names, to); };
}

/* Without its argument the option means `usual`. */
inline auto value_or(std::string &to, const std::string &usual) {
    return [&to, usual](CLI::App &app, const std::string &names) {
        return app.add_flag(names + "{" + usual + "}", to);
    };
}

}  // namespace cloopw

#endif

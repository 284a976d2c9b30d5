/* SPDX-License-Identifier: GPL-2.0 */
/* Completions of a tool's options and their values. */
#ifndef CLOOPW_PAGES_COMPLETION_H
#define CLOOPW_PAGES_COMPLETION_H

#include <string>

#include "tools/common/options.h"

namespace cloopw {

std::string bash_completion(const OptionTable &table);
std::string zsh_completion(const OptionTable &table);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A manual's source in scdoc, of a draft. In the draft
 *
 *   @--codec         alone on a line is the head of that option's paragraph
 *   @image=          the same, of the parameter image=FILE of a server
 *   @--codec@        in a text are the words that the option takes
 *   @levels@         are the codecs' levels
 *   @others@         are the options without a head
 */
#ifndef CLOOPW_PAGES_MANUAL_H
#define CLOOPW_PAGES_MANUAL_H

#include <string>

#include "tools/common/options.h"

namespace cloopw {

/* Throws Error unless the draft has each option's head once, or lists the others. */
std::string manual_page(const OptionTable &table, const std::string &draft);

}  // namespace cloopw

#endif

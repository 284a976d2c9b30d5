/* SPDX-License-Identifier: GPL-2.0 */
/* The abilities of the loaded module, which may be of another version than this program. */
#ifndef CLOOPWSETUP_MODULE_H
#define CLOOPWSETUP_MODULE_H

#include <string>

#include "driver.h"
#include "lib/cow/cow_settings.h"

namespace cloopw {

struct ImageFacts;

/* Throws Error when the module cannot read the image, or write a COW of these settings. */
void want_image_codecs(Driver &driver, const std::string &path, const ImageFacts &image);
void want_cow_codec(Driver &driver, const CowSettings &settings);

/* Some lines that tell all about it; it is not loaded for that. */
std::string module_text(Driver &driver);

}  // namespace cloopw

#endif

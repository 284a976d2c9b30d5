/* SPDX-License-Identifier: GPL-2.0 */
/* The top layer that is missing: what it is made for, and making it without the driver. */
#ifndef CLOOPWSETUP_NEW_TOP_H
#define CLOOPWSETUP_NEW_TOP_H

#include <vector>

#include "attach.h"
#include "lib/cow/chain.h"
#include "lib/cow/cow_file.h"
#include "lib/cow/image_facts.h"

namespace cloopw {

/* For the image of options, or for the layer that is below. Throws Error. */
CowBase base_of(const AttachOptions &options, const ImageFacts &image,
                const std::vector<CowLayer> &below);

/*
 * Makes options.cows.front() over the layers below, the top of them first. One of
 * these that may still be written is frozen first, and the new one stays then.
 * Throws Error.
 */
void make_top(const AttachOptions &options, const ImageFacts &image, CowFile what,
              const std::vector<CowLayer> &below, NewCow &made);

}  // namespace cloopw

#endif

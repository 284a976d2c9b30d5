/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy of opening an image with COW layers: which are there, which are found
 * below them, which is made, and what is frozen for it. The driver's tool and the
 * servers have it from here.
 */
#ifndef CLOOPW_COW_OPEN_TOP_H
#define CLOOPW_COW_OPEN_TOP_H

#include <cstdint>
#include <string>
#include <vector>

#include "chain.h"
#include "cow_file.h"
#include "cow_settings.h"
#include "image_facts.h"

namespace cloopw {

/* An image and the layers over it, as the user names them. */
struct StackOptions {
    std::string image;
    std::vector<std::string> cows; /* the top first */
    std::string cow_format;        /* of a COW to be made; empty: the default */
    CowSettings cow;
    std::string format; /* of the image; empty: look at it */
    uint64_t offset = 0;
    uint64_t sizelimit = 0; /* 0: all */
    bool read_only = false; /* no layer is made or written */
    OptionStyle style;
};

/* nullptr: the user did not say. Throws UsageError. */
const CowFormat *wanted_cow_format(const StackOptions &options);

/* The same file or block device under two names. */
bool same_file(const struct stat &a, const struct stat &b);

/* What the top layer is; kThere when there is none. Throws Error for layers that cannot be used. */
CowFile check_given(const StackOptions &options);

/* The layers that are there, the top first: those that were given and all they lie over. */
std::vector<CowLayer> find_layers(const StackOptions &options, bool make_top,
                                  const struct stat &image);

/* For the image of options, or for the layer that is below. Throws Error. */
CowBase base_of(const StackOptions &options, const ImageFacts &image,
                const std::vector<CowLayer> &below);

/*
 * Makes options.cows.front() over the layers below, the top of them first. One of
 * these that may still be written is frozen first, and the new one stays then.
 * Throws Error.
 */
void make_top(const StackOptions &options, const ImageFacts &image, CowFile what,
              const std::vector<CowLayer> &below, NewCow &made);

}  // namespace cloopw

#endif

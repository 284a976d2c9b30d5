/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy of opening an image with COW layers. It finds the layers below the given ones,
 * makes a missing top, and freezes the layer below that. The driver's tool and the servers
 * share it.
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
#include "lib/net/settings.h"

namespace cloopw {

/* An image and the layers over it, as the user names them. */
struct StackOptions {
    std::string image;
    std::vector<std::string> cows; /* the top first */
    bool new_top = false;          /* the top must not be there yet, in any form */
    std::string cow_format;        /* format of a new COW; empty: the default */
    CowSettings cow;
    std::string format; /* the image's; empty: probe */
    uint64_t offset = 0;
    uint64_t sizelimit = 0; /* 0: all */
    bool read_only = false; /* no layer is made or written */
    NetParameters net;      /* for an image at a URL */
    OptionStyle style;
};

/* The format that the user names; nullptr: none. Throws UsageError. */
const CowFormat *wanted_cow_format(const StackOptions &options);

/*
 * Checks the given layers and returns the top's state; kThere without a top. Throws Error
 * for a layer that cannot be used.
 */
CowFile check_given(const StackOptions &options);

/*
 * Finds the existing layers, the top first: the given ones and all below them. make_top:
 * the first of options.cows does not exist yet. Throws Error.
 */
std::vector<CowLayer> find_layers(const StackOptions &options, bool make_top,
                                  const struct stat &image);

/* The base of a new top: the layer below it, or else the image. Throws Error. */
CowBase base_of(const StackOptions &options, const ImageFacts &image,
                const std::vector<CowLayer> &below);

/*
 * Makes options.cows.front() over the layers below (the top of them first). If the first of
 * these may still be written, it is frozen first, and then the new top stays also on a
 * later error. Throws Error.
 */
void make_top(const StackOptions &options, const ImageFacts &image, CowFile what,
              const std::vector<CowLayer> &below, NewCow &made);

/*
 * Makes the device of existing layers longer before it is attached, which their top
 * remembers. Throws Error.
 */
void grow_layers(const StackOptions &options, uint64_t size);

/*
 * For a snapshot: checks the place of the new layer, and returns kMissing or kBlankDevice.
 * Throws Error for a COW that exists, whatever its codec.
 */
CowFile check_new_layer(const std::string &path, const CowSettings &settings);

/*
 * The base of a snapshot's new layer: the device's top, which gets a new UUID for it. size is
 * in bytes. Throws Error without a top (empty).
 */
CowBase base_of_new_layer(const std::string &device, const std::string &top, uint64_t size);

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Which COW files belong together: a layer names what it lies over. */
#ifndef CLOOPW_LIB_COW_CHAIN_H
#define CLOOPW_LIB_COW_CHAIN_H

#include <array>
#include <string>
#include <vector>

#include "lib/cloopw.h"
#include "lib/uuid.h"

namespace cloopw {

/* What a COW file says of itself. */
struct CowLayer {
    std::string path;
    std::string format;      /* "log", "uml" */
    u64 size = 0;            /* of the device, bytes */
    Uuid uuid{};             /* zeros: it has none */
    bool frozen = false;     /* never written again */
    bool over_layer = false; /* lies over another COW file, not an image */
    std::string below;       /* path of that, or of the image; a hint */
    Uuid below_uuid{};       /* zeros: not told */
};

/* Throws Error for what is no COW file. */
CowLayer identify_cow(const std::string &path);
/* Of what is open already. */
CowLayer identify_cow(int fd, const std::string &name);

/* The one that it lies over, looked for as below. Throws Error. */
CowLayer find_cow_parent(const CowLayer &layer);

/*
 * A whole chain, the top first: the files given (top first, too), then those
 * that the last of them lies over, as they name each other. Each is looked for
 * beside the one above (hint.h), by the name that this says, then by UUID. Throws
 * Error for a missing parent, a loop, and too many.
 *
 * A snapshot makes its new layer first, and then freezes the old one with the UUID
 * that the new one names. A crash between the two leaves an empty layer over one
 * that is not frozen yet; unfinished says what becomes of them.
 *
 * Whether those that were given fit together, and whether the last fits the
 * image, is checked when they are opened.
 */
enum class Unfinished {
    kRefuse, /* throw Error */
    kSkip,   /* the new layer holds nothing: the chain is without it */
    kFinish, /* freeze the old one */
};
std::vector<CowLayer> find_cow_chain(const std::vector<std::string> &given,
                                     Unfinished unfinished = Unfinished::kRefuse);

/* Opens and locks them for a Device: the top in this mode, the others for reading. */
std::vector<Io> open_cow_chain(const std::vector<CowLayer> &chain, Io::Mode top);

/* What a layer in the directory of above should call the file below, so that
 * both can be moved together. */
std::string cow_parent_hint(const std::string &above, const std::string &below);

}  // namespace cloopw

#endif

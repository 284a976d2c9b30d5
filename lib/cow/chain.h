/* SPDX-License-Identifier: GPL-2.0 */
/* Finds the COW files that belong together: a layer names the file below it. */
#ifndef CLOOPW_LIB_COW_CHAIN_H
#define CLOOPW_LIB_COW_CHAIN_H

#include <sys/stat.h>

#include <array>
#include <string>
#include <vector>

#include "lib/cloopw.h"
#include "lib/uuid.h"

namespace cloopw {

/* A COW file's description of itself. */
struct CowLayer {
    std::string path;
    struct stat file = {};   /* which file that was */
    std::string format;      /* "log", "uml" */
    u64 size = 0;            /* bytes of the device */
    u64 below_size = 0;      /* bytes of the device below */
    Uuid uuid{};             /* zeros: it has none */
    bool frozen = false;     /* never written again */
    bool over_layer = false; /* lies over another COW file, not an image */
    std::string below;       /* path of that COW file, or of the image; a hint */
    Uuid below_uuid{};       /* zeros: not told */
};

/* Reads the description. Throws Error for a file that is no COW file. */
CowLayer identify_cow(const std::string &path);
/* The same of an open file, which is borrowed. */
CowLayer identify_cow(int fd, const std::string &name);

/* Finds the layer directly below, like find_cow_chain(). Throws Error. */
CowLayer find_cow_parent(const CowLayer &layer);

/*
 * Finds a whole chain, the top first: the given files, and then the layers below the last
 * of them, which name each other. given has the top first, too. A layer is looked for
 * beside the one above (hint.h), by the name that this one has for it, then by UUID. Throws
 * Error for a missing parent, a loop, and too many layers.
 *
 * A snapshot makes its new layer first. Then it freezes the old one with the UUID that the
 * new one names. A crash between the two leaves an empty layer over one that is not frozen
 * yet; unfinished says what becomes of them.
 *
 * The open checks later whether the given layers fit together, and whether the last one
 * fits the image.
 */
enum class Unfinished {
    kRefuse, /* throw Error */
    kSkip,   /* the new layer holds nothing: leave it out */
    kFinish, /* freeze the old one */
};
std::vector<CowLayer> find_cow_chain(const std::vector<std::string> &given,
                                     Unfinished unfinished = Unfinished::kRefuse);

/*
 * Opens and locks the layers for a Device: the top in this mode, the others for reading.
 * Throws Error, also for a name that has got another file since the layer was found.
 */
std::vector<Io> open_cow_chain(const std::vector<CowLayer> &chain, Io::Mode top);

/*
 * The name that a layer in the directory of above gives the file below, so that both can be
 * moved together.
 */
std::string cow_parent_hint(const std::string &above, const std::string &below);

}  // namespace cloopw

#endif

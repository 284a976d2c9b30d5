// SPDX-License-Identifier: GPL-2.0
#include "module.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <vector>

#include "lib/cow/image_facts.h"
#include "lib/cow/refusal.h"
#include "lib/error.h"
#include "lib/names.h"

namespace cloopw {
namespace {

constexpr const char *kRemedy = "install the module of this program's version";

/* A field of struct cloopw_query, which another version may have filled. */
template <size_t N>
std::vector<std::string> names_in(const char (&field)[N]) {
    std::istringstream text(std::string(field, strnlen(field, N)));
    std::vector<std::string> names;
    for (std::string name; text >> name;) {
        names.push_back(name);
    }
    return names;
}

bool has(const std::vector<std::string> &names, const std::string &name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string named(const struct cloopw_query &query) {
    return "module cloopw " + joined(names_in(query.version));
}

std::string features_of(const struct cloopw_query &query) {
    struct Feature {
        __u64 bit;
        const char *name;
    };
    constexpr std::array kFeatures = {Feature{CLOOPW_FEATURE_SNAPSHOT, "snapshots"},
                                      Feature{CLOOPW_FEATURE_RESIZE, "resize"},
                                      Feature{CLOOPW_FEATURE_DIRECT_IO, "direct I/O"},
                                      Feature{CLOOPW_FEATURE_RECORD, "records"},
                                      Feature{CLOOPW_FEATURE_CLAIMS, "claims"},
                                      Feature{CLOOPW_FEATURE_LOOP_IOCTLS, "loop's ioctls"},
                                      Feature{CLOOPW_FEATURE_GROW, "growth"},
                                      Feature{CLOOPW_FEATURE_RESET, "reset"}};
    std::vector<std::string> names;
    for (const Feature &feature : kFeatures) {
        if ((query.features & feature.bit) != 0) {
            names.emplace_back(feature.name);
        }
    }
    return joined(names);
}

}  // namespace

void want_image_codecs(Driver &driver, const std::string &path, const ImageFacts &image) {
    auto query = driver.query();
    if (!query) {
        return; /* the attach tells what is wrong */
    }
    const std::vector<std::string> known = names_in(query->codecs);
    for (unsigned int id = 0; id < CW_CODEC_IDS; id++) {
        const cw_codec *codec = cw_codec_by_id(id);
        if ((image.codecs & CW_CODEC_BIT(id)) == 0 || codec == nullptr || has(known, codec->name)) {
            continue;
        }
        if (codec->world == CW_CODEC_USERSPACE) {
            throw with_remedy(Error(
                path + ": has blocks of codec " + codec->name + ", which only userspace reads",
                EOPNOTSUPP, CLOOPW_R_USERSPACE_CODEC));
        }
        throw Error(path + ": " + named(*query) + " cannot read codec " + codec->name +
                        ", it has " + joined(known) + "; " + kRemedy,
                    EOPNOTSUPP);
    }
}

void want_cow_codec(Driver &driver, const CowSettings &settings) {
    auto query = driver.query();
    if (!query) {
        return;
    }
    const std::vector<std::string> known = names_in(query->cow_codecs);
    const std::string codec = cow_codec(settings).name;
    if (!has(known, codec)) {
        throw Error("--cow-codec " + codec + ": " + named(*query) + " cannot write that, it has " +
                        joined(known) + "; choose another, or " + kRemedy,
                    EOPNOTSUPP);
    }
}

std::string module_text(Driver &driver) {
    int err = 0;
    auto query = driver.query(&err);
    if (!query && err == 0) {
        return "module: not loaded";
    }
    if (!query) {
        return "module: " + errno_text(err) +
               (err == -ENOTTY ? "; it is of another version" : "; run this as root");
    }
    std::ostringstream text;
    text << "module: " << joined(names_in(query->version)) << '\n'
         << "image formats: " << joined(names_in(query->image_formats)) << '\n'
         << "COW formats: " << joined(names_in(query->cow_formats)) << '\n'
         << "codecs: " << joined(names_in(query->codecs)) << '\n'
         << "COW codecs: " << joined(names_in(query->cow_codecs)) << '\n'
         << "COW layers: " << query->max_layers << '\n'
         << "features: " << features_of(*query);
    return text.str();
}

}  // namespace cloopw

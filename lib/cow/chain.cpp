// SPDX-License-Identifier: GPL-2.0
#include "chain.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "hint.h"
#include "lib/check/cow_check.h"
#include "lib/error.h"
#include "lib/same_file.h"
#include "lock.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

constexpr const char *kElsewhere = "; if it is elsewhere, name it as the next layer";

bool is_set(const Uuid &uuid) { return uuid != Uuid{}; }

fs::path directory_of(const std::string &path) {
    fs::path parent = fs::path(path).parent_path();
    return parent.empty() ? "." : parent;
}

void forgive_file_end(Readable *readable) {
    *readable = *readable == Readable::kToFileEnd ? Readable::kAll : *readable;
}

/*
 * True when a check finds the log sound and empty. A power cut may have torn the copy of the
 * superblock that is not in use. FAT stores the length of a file later than its bytes, so the
 * file may end within the first segment.
 */
bool cow_holds_nothing(const std::string &path) {
    try {
        Io io = Io::open(path, Io::Mode::kRead);
        const LogSupers supers = read_log_supers(io.get());
        OpenedCow cow(io.get());
        if (!supers.any() || !cow.refusal().empty() || !cow.is_log()) {
            return false;
        }
        Findings findings;
        check_log_supers(supers, findings);
        const CowTotals totals = check_log(cow, {}, findings);
        LogEnd end = find_log_end(io.get(), supers.best());
        forgive_file_end(&end.last);
        forgive_file_end(&end.all);
        check_log_end(end, supers, findings);
        return totals.plain_bytes == 0 &&
               std::ranges::all_of(findings.all(), [](const Finding &f) { return f.repairable; });
    } catch (const Error &) {
        return false;
    }
}

CowLayer identify(const Io &io) {
    const std::string path = io.name();
    auto id = std::make_unique<cw_cow_identity>();
    cw_report report = {};
    int err = cw_cow_identify(&io.get(), id.get(), &report);
    if (err != 0) {
        throw error_of(report, err, path, "cannot be read");
    }
    CowLayer layer;
    layer.path = path;
    if (fstat(io.fd(), &layer.file) != 0) {
        throw io_error(path, "cannot be looked at", errno);
    }
    layer.format = id->format->name;
    std::copy_n(id->uuid, layer.uuid.size(), layer.uuid.begin());
    layer.size = id->size;
    layer.below_size = id->below_size;
    layer.frozen = id->frozen;
    layer.over_layer = id->over_layer;
    layer.below = id->below;
    std::copy_n(id->below_uuid, layer.below_uuid.size(), layer.below_uuid.begin());
    return layer;
}

/*
 * Was above made by a snapshot that ended before it froze below? above may have been opened
 * for writing by then, but holds nothing.
 */
bool is_unfinished(const CowLayer &above, const CowLayer &below) {
    return above.over_layer && is_set(above.below_uuid) && above.below_uuid != below.uuid &&
           !above.frozen && !below.frozen && below.format == cw_cow_log.name &&
           above.below_size == below.size && cow_holds_nothing(above.path);
}

/* nullopt: there is none, or it is no COW file. */
std::optional<CowLayer> try_identify(const fs::path &path) {
    try {
        std::optional<Io> io = open_hint(path);
        return io ? std::optional(identify(*io)) : std::nullopt;
    } catch (const Error &) {
        return std::nullopt;
    }
}

/* Looks for the layer directly below another. */
class ParentSearch {
public:
    explicit ParentSearch(const CowLayer &child) : child_(child) {}

    CowLayer find() {
        for (const fs::path &place : hint_places(child_.path, child_.below)) {
            if (look_at(place)) {
                return *found_;
            }
        }
        for (const fs::path &directory : hint_directories(child_.path)) {
            if (!found_ && is_set(child_.below_uuid)) {
                look_around(directory);
            }
        }
        if (!found_) {
            throw missing();
        }
        return *found_;
    }

    /* After a failed find(): the layer that a snapshot was to freeze. */
    const std::optional<CowLayer> &unfrozen() const {
        static const std::optional<CowLayer> none;
        return other_ && is_unfinished(child_, *other_) ? other_ : none;
    }

private:
    bool look_at(const fs::path &path) {
        auto layer = try_identify(path);
        if (!layer) {
            return false;
        }
        if (layer->uuid == child_.below_uuid) {
            found_ = layer;
            return true;
        }
        if (!other_) {
            other_ = layer;
        }
        return false;
    }

    void look_around(const fs::path &dir) {
        std::set<fs::path> names; /* the same choice each time */
        std::error_code code;
        for (const auto &entry : fs::directory_iterator(dir, code)) {
            if (entry.is_regular_file(code)) {
                names.insert(entry.path().filename());
            }
        }
        for (const fs::path &name : names) {
            fs::path path = dir == "." ? name : dir / name;
            if (look_at_uuid(path)) {
                return;
            }
        }
    }

    /* Other COW files in the directory are no errors. */
    bool look_at_uuid(const fs::path &path) {
        auto layer = try_identify(path);
        if (layer && layer->uuid == child_.below_uuid) {
            found_ = layer;
        }
        return found_.has_value();
    }

    Error missing() const {
        std::string text = child_.path + ": lies over the COW file " + child_.below;
        if (is_set(child_.below_uuid)) {
            text += " (UUID " + uuid_text(child_.below_uuid) + ")";
        }
        if (!other_) {
            return Error(text + ", which is not there beside it" + kElsewhere, ENOENT);
        }
        text += ", but " + other_->path + " has UUID " + uuid_text(other_->uuid);
        if (other_->frozen) {
            return Error(text + kElsewhere, ENOENT);
        }
        text += " and is not frozen: ";
        if (cow_holds_nothing(child_.path)) {
            return Error(text + "a snapshot was interrupted; " + child_.path +
                             " holds nothing: attach it writable once, that finishes the "
                             "snapshot, or remove it and attach " +
                             other_->path,
                         ENOENT);
        }
        return Error(text + "its superblock was damaged; " + child_.path +
                         " holds data, keep it: 'cloopwck --salvage NEW --above " + child_.path +
                         " " + other_->path + "' makes a layer that fits below it" + kElsewhere,
                     ENOENT);
    }

    const CowLayer &child_;
    std::optional<CowLayer> found_;
    std::optional<CowLayer> other_; /* has the right name, but another UUID */
};

/* Refuses a file that is in the chain already. */
class Members {
public:
    void add(const CowLayer &layer) {
        const struct stat &st = layer.file;
        auto file = S_ISBLK(st.st_mode) ? std::pair(dev_t{0}, ino_t{st.st_rdev})
                                        : std::pair(st.st_dev, st.st_ino);
        if (!files_.insert(file).second) {
            throw Error(layer.path +
                            ": is in the chain of layers twice: one of them names the "
                            "wrong file below it",
                        ELOOP);
        }
        if (files_.size() > CW_MAX_LAYERS) {
            throw Error(layer.path + ": is layer " + std::to_string(files_.size()) +
                            " of the chain, there may be " + std::to_string(CW_MAX_LAYERS),
                        E2BIG);
        }
    }

private:
    std::set<std::pair<dev_t, ino_t>> files_;
};

}  // namespace

CowLayer identify_cow(const std::string &path) { return identify(Io::open(path, Io::Mode::kRead)); }

CowLayer identify_cow(int fd, const std::string &name) {
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
        throw io_error(name, "cannot be read", errno);
    }
    return identify(Io::adopt(own, name));
}

namespace {

/* Opens and locks the file that was found, whatever has its name by now. */
Io open_layer(const CowLayer &layer, Io::Mode mode) {
    Io io = Io::open(layer.path, mode);
    struct stat st = {};
    if (fstat(io.fd(), &st) != 0 || !is_same_file(st, layer.file)) {
        throw Error(layer.path + ": was replaced meanwhile; try again", ESTALE);
    }
    lock_cow(io.fd(), layer.path, mode != Io::Mode::kRead);
    return io;
}

/* Durable when it returns; before, or on Error, the layer is as it was. */
void freeze(const CowLayer &layer, const Uuid &uuid) {
    const Io io = open_layer(layer, Io::Mode::kReadWrite);
    OpenedCow cow(io.get(), true);
    if (!cow.refusal().empty()) {
        throw Error(layer.path + ": " + cow.refusal(), EINVAL, cow.code());
    }
    int err = cow.get().format->freeze(&cow.get(), uuid.data());
    if (err != 0) {
        throw io_error(layer.path, "cannot be frozen to finish a snapshot", err);
    }
}

CowLayer find_below(const CowLayer &layer, Unfinished unfinished) {
    ParentSearch search(layer);
    try {
        return search.find();
    } catch (const Error &) {
        if (unfinished == Unfinished::kRefuse || !search.unfrozen()) {
            throw;
        }
    }
    return *search.unfrozen();
}

bool has_parent(const CowLayer &layer) {
    try {
        ParentSearch(layer).find();
        return true;
    } catch (const Error &) {
        return false;
    }
}

/*
 * Adds the layer. A snapshot may have left this pair between its steps; unfinished says
 * what to do then.
 */
void put_below(std::vector<CowLayer> *chain, CowLayer layer, Unfinished unfinished) {
    if (!chain->empty() && is_unfinished(chain->back(), layer) && !has_parent(chain->back())) {
        if (unfinished == Unfinished::kFinish) {
            freeze(layer, chain->back().below_uuid);
            layer = identify_cow(layer.path);
        } else if (unfinished == Unfinished::kSkip) {
            chain->pop_back();
        }
    }
    chain->push_back(layer);
}

}  // namespace

CowLayer find_cow_parent(const CowLayer &layer) { return ParentSearch(layer).find(); }

std::vector<CowLayer> find_cow_chain(const std::vector<std::string> &given, Unfinished unfinished) {
    std::vector<CowLayer> chain;
    Members members;
    for (const std::string &path : given) {
        CowLayer layer = identify_cow(path);
        members.add(layer);
        put_below(&chain, layer, unfinished);
    }
    while (!chain.empty() && chain.back().over_layer) {
        CowLayer layer = find_below(chain.back(), unfinished);
        members.add(layer);
        put_below(&chain, layer, unfinished);
    }
    return chain;
}

std::vector<Io> open_cow_chain(const std::vector<CowLayer> &chain, Io::Mode top) {
    std::vector<Io> ios;
    ios.reserve(chain.size());
    for (const CowLayer &layer : chain) {
        ios.push_back(open_layer(layer, ios.empty() ? top : Io::Mode::kRead));
    }
    return ios;
}

std::string cow_parent_hint(const std::string &above, const std::string &below) {
    std::error_code code;
    if (fs::equivalent(directory_of(above), directory_of(below), code)) {
        return fs::path(below).filename().string();
    }
    fs::path dir = fs::canonical(directory_of(below), code);
    return code ? below : (dir / fs::path(below).filename()).string();
}

}  // namespace cloopw

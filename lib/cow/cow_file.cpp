// SPDX-License-Identifier: GPL-2.0
#include "cow_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <vector>

#include "chain.h"
#include "cow_device.h"
#include "lib/cloopw.h"
#include "lib/core.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lib/file_kind.h"
#include "lib/new_name.h"
#include "lib/open_data.h"
#include "lock.h"
#include "log_writer.h"
#include "super.h"
#include "uml_writer.h"

namespace cloopw {
namespace {

/* Only the owner of a device's changes may read them. */
constexpr mode_t kMode = 0600;

/* UML compares the time of a block device's node, too. */
void write_uml(int fd, const std::string &name, const CowBase &base, const CowSettings &) {
    struct stat st = {};
    const int64_t mtime = stat(base.path.c_str(), &st) == 0 ? st.st_mtime : base.mtime;
    write_uml_cow(fd, name, {uml_base_path(base.path), mtime, base.size});
}

/*
 * Where a log's generations begin. A device may hold records of an older log,
 * which must not be taken for this one's.
 */
uint64_t random_generation() {
    constexpr unsigned int kBits = 46; /* half of all generations */
    uint64_t generation = 0;
    if (getrandom(&generation, sizeof(generation), 0) != ssize_t{sizeof(generation)}) {
        throw Error("cannot get random numbers for a COW", errno);
    }
    return 1 + generation % (uint64_t{1} << kBits);
}

/* The first is the default. */
constexpr std::array kFormats = {
    CowFormat{"log", true, write_cow_log},
    CowFormat{"uml", false, write_uml},
};

/* The COW format that probes true; nullptr: no COW file. */
const struct cw_cow_format *probe(const std::string &path, int fd) {
    std::vector<u8> head(CW_HEAD_LEN);
    ssize_t n = pread(fd, head.data(), head.size(), 0);
    if (n < 0) {
        throw io_error(path, "cannot read", errno);
    }
    for (unsigned int i = 0; i < cw_cow_formats_count; i++) {
        if (cw_cow_formats[i]->probe(head.data(), static_cast<u32>(n))) {
            return cw_cow_formats[i];
        }
    }
    return nullptr;
}

/* A COW log keeps its codec and level. */
void check_settings(const std::string &path, int fd, const struct cw_cow_format &format,
                    const CowSettings &settings) {
    if (settings.codec == nullptr && !settings.level) {
        return;
    }
    if (&format != &cw_cow_log) {
        throw Error(path + ": a COW file of format " + format.name +
                        " does not compress; leave --cow-codec and --cow-level away",
                    EINVAL);
    }
    auto super = read_log_super(fd, path);
    if (!super) {
        return; /* the driver reports the fault */
    }
    const cw_codec *codec = codec_of(*super);
    const int level = static_cast<int>(cw_from_le32(super->codec_level));
    if (codec == nullptr || codec != &cow_codec(settings) || level != cow_level(settings)) {
        throw Error(path + ": was made with codec " + (codec == nullptr ? "?" : codec->name) +
                        " level " + std::to_string(level) +
                        " and keeps it; leave --cow-codec and --cow-level away",
                    EINVAL);
    }
}

void refuse_image(const std::string &path, int fd) {
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
        throw io_error(path, "cannot be read", errno);
    }
    const std::string format = image_kind(Io::adopt(own, path));
    if (!format.empty()) {
        throw Error(path + ": is an image of format " + format +
                        ", not a COW file, and is left as it is; name another file, it is made "
                        "when it does not exist",
                    EINVAL);
    }
}

/* Refuses a log that has only its second superblock left, which no format probes. */
void refuse_overwritten(const std::string &path, int fd, const std::string &or_else = "") {
    if (read_log_super(fd, path)) {
        throw Error(path + ": the beginning of this COW file is overwritten; 'cloopwck " + path +
                        "' tells with what, 'cloopwck -y " + path +
                        "' writes it again if nothing is lost by that" + or_else,
                    EINVAL);
    }
}

CowFile check_device_without_cow(const std::string &path, int fd, const CowFormat *format,
                                 const CowSettings &settings) {
    if (format != nullptr && format != &default_cow_format()) {
        throw Error(path + ": a COW of format " + format->name + " cannot be made on a device",
                    EINVAL);
    }
    const off_t size = lseek(fd, 0, SEEK_END);
    if (!settings.overwrite) {
        refuse_overwritten(path, fd, "; --force makes a new one, and what it holds is lost");
    }
    if (!settings.overwrite && !is_blank(fd, path, static_cast<uint64_t>(size))) {
        throw Error(path + ": holds something that is no COW, and is left as it is; 'wipefs " +
                        path +
                        "' may tell what; --force makes it a COW all the same, and what it "
                        "holds is lost",
                    EINVAL);
    }
    return CowFile::kBlankDevice;
}

CowFile check_without_cow(const std::string &path, int fd, bool is_device, const CowFormat *format,
                          const CowSettings &settings) {
    if (!settings.overwrite) {
        refuse_image(path, fd);
    }
    if (is_device) {
        return check_device_without_cow(path, fd, format, settings);
    }
    refuse_overwritten(path, fd);
    throw Error(path +
                    ": is not a COW file and is left as it is; name another file, it is made "
                    "when it does not exist",
                EINVAL);
}

bool is_unfinished(const std::string &path, int device) {
    const off_t size = lseek(device, 0, SEEK_END);
    return size > 0 && is_unfinished_log(device, path, static_cast<uint64_t>(size));
}

std::string directory_of(const std::string &path) {
    std::filesystem::path parent = std::filesystem::path(path).parent_path();
    return parent.empty() ? "." : parent.string();
}

Error cannot_make(const std::string &path, int err) {
    const char *remedy = "";
    if (err == EEXIST) {
        remedy = "something of that name has appeared meanwhile";
    } else if (err == EROFS) {
        remedy = "put it on a file system that can be written";
    }
    return io_error(path, "cannot make the COW file", err, remedy);
}

void sync_directory(const std::string &path) {
    Fd dir(open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    /* Some file systems cannot sync a directory; then there is nothing to do. */
    if (dir.get() >= 0 && fsync(dir.get()) != 0 && errno != EINVAL) {
        throw io_error(directory_of(path), "cannot sync", errno);
    }
}

void sync_file(int fd, const std::string &path) {
    if (fsync(fd) != 0) {
        throw io_error(path, "cannot sync", errno);
    }
}

bool create_unnamed(const std::string &path, const std::function<void(int)> &fill) {
    Fd fd(open(directory_of(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kMode));
    if (fd.get() < 0) {
        if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) {
            return false;
        }
        throw cannot_make(path, errno);
    }
    fill(fd.get());
    sync_file(fd.get(), path);
    std::string link = "/proc/self/fd/" + std::to_string(fd.get());
    if (linkat(AT_FDCWD, link.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
        if (errno == EEXIST) {
            throw cannot_make(path, errno);
        }
        return false; /* no /proc, or no hard links */
    }
    return true;
}

/* Removes a temporary file unless it got its name. */
class TemporaryName {
public:
    explicit TemporaryName(std::string name) : name_(std::move(name)) {}
    TemporaryName(const TemporaryName &) = delete;
    TemporaryName &operator=(const TemporaryName &) = delete;
    ~TemporaryName() {
        if (!name_.empty()) {
            unlink(name_.c_str());
        }
    }
    void keep() { name_.clear(); }

private:
    std::string name_;
};

/* The temporary name has no part of the other, which may have the maximum length. */
constexpr const char *kTemporary = ".cloopw.new.";
constexpr const char *kRandom = "XXXXXX";

/* A power cut leaves such a file. Nobody takes an hour between two writes to one. */
bool is_left_over(const std::filesystem::directory_entry &entry) {
    const std::string name = entry.path().filename().string();
    struct stat st = {};
    return name.starts_with(kTemporary) && name.size() == strlen(kTemporary) + strlen(kRandom) &&
           lstat(entry.path().c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
           time(nullptr) - st.st_mtime > 3600;
}

void remove_left_over(const std::string &directory) {
    std::error_code code;
    for (const auto &entry : std::filesystem::directory_iterator(directory, code)) {
        if (is_left_over(entry)) {
            unlink(entry.path().c_str());
        }
    }
}

void create_renamed(const std::string &path, const std::function<void(int)> &fill) {
    remove_left_over(directory_of(path));
    std::string temporary = directory_of(path) + "/" + kTemporary + kRandom;
    Fd fd(mkostemp(temporary.data(), O_CLOEXEC));
    if (fd.get() < 0) {
        throw cannot_make(path, errno);
    }
    TemporaryName guard(temporary);
    fill(fd.get());
    sync_file(fd.get(), path);
    const int err = rename_to_new(temporary, path);
    if (err != 0) {
        throw cannot_make(path, err);
    }
    guard.keep();
}

}  // namespace

const CowFormat *cow_format_by_name(const std::string &name) {
    for (const CowFormat &format : kFormats) {
        if (name == format.name) {
            return &format;
        }
    }
    return nullptr;
}

const CowFormat &default_cow_format() { return kFormats.front(); }

bool has_cow_settings(const std::string &format) {
    const CowFormat *row = cow_format_by_name(format);
    return row == nullptr || row->has_settings;
}

const CowFormat &layer_cow_format() { return *cow_format_by_name(cw_cow_log.name); }

bool can_be_frozen(const std::string &format) { return format == cw_cow_log.name; }

Names cow_format_names() {
    Names names;
    for (const CowFormat &format : kFormats) {
        names.emplace_back(format.name);
    }
    return names;
}

namespace {

/* The device's bytes, as the engine would let it grow. */
uint64_t device_size(const std::string &name, uint64_t below, uint64_t wanted) {
    cw_report report = {};
    const int err =
        wanted == 0 ? 0 : cw_cow_check_size(&cw_cow_log, name.c_str(), below, wanted, &report);
    if (err != 0) {
        throw error_of(report, err, name);
    }
    return wanted == 0 ? below : wanted;
}

}  // namespace

LogCowConfig log_cow_config(const std::string &name, const CowBase &base,
                            const CowSettings &settings) {
    LogCowConfig config;
    config.base_size = cw_round_up(base.size, CW_SECTOR_SIZE);
    config.size = device_size(name, config.base_size, settings.device_size);
    config.uuid = random_uuid();
    config.base_uuid = base.uuid;
    config.base_mtime = base.mtime;
    config.over_layer = base.is_layer;
    config.parent = base.is_layer ? cow_parent_hint(name, base.path) : uml_base_path(base.path);
    config.codec = cow_codec(settings).name;
    config.level = cow_level(settings);
    config.limit = settings.limit.value_or(0);
    config.first_generation = random_generation();
    return config;
}

void write_cow_log(int fd, const std::string &name, const CowBase &base,
                   const CowSettings &settings) {
    write_log_cow(fd, name, log_cow_config(name, base, settings));
}

CowFile check_cow_file(const std::string &path, const CowFormat *format,
                       const CowSettings &settings) {
    struct stat st = {};
    if (stat(path.c_str(), &st) != 0) {
        if (errno != ENOENT) {
            throw io_error(path, "cannot be looked at", errno);
        }
        if (lstat(path.c_str(), &st) == 0) {
            throw Error(
                path + ": is a symbolic link to nothing; remove it or make what it points to",
                ENOENT);
        }
        if (stat(directory_of(path).c_str(), &st) != 0) {
            throw io_error(path, "its directory", errno, "make the directory first");
        }
        return CowFile::kMissing;
    }
    if (S_ISDIR(st.st_mode)) {
        throw Error(path + ": is a directory, not a COW file; name a file in it", EISDIR);
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        throw Error(path + ": is neither a file nor a block device", EINVAL);
    }
    Fd fd(open_data(path, O_RDONLY));
    if (fd.get() < 0) {
        throw io_error(path, "cannot open", errno);
    }
    if (S_ISREG(st.st_mode) && st.st_size == 0) {
        throw Error(path + ": is empty, not a COW file; remove it, a new one is made then", EINVAL);
    }
    const struct cw_cow_format *found = probe(path, fd.get());
    if (found == nullptr) {
        return check_without_cow(path, fd.get(), S_ISBLK(st.st_mode), format, settings);
    }
    if (found == &cw_cow_log && S_ISBLK(st.st_mode) && is_unfinished(path, fd.get())) {
        return CowFile::kBlankDevice;
    }
    if (format != nullptr && std::string(format->name) != found->name) {
        throw Error(path + ": is a COW file of format " + found->name + ", not " + format->name +
                        "; leave --cow-format away",
                    EINVAL);
    }
    check_settings(path, fd.get(), *found, settings);
    return CowFile::kThere;
}

bool create_whole_file(const std::string &path, Appear how, const std::function<void(int)> &fill) {
    if (how == Appear::kRenamed) {
        create_renamed(path, fill);
    } else if (!create_unnamed(path, fill)) {
        return false;
    }
    sync_directory(path);
    return true;
}

Fd create_cow_file(const std::string &path, const CowFormat &format, const CowBase &base,
                   const CowSettings &settings) {
    Fd made;
    auto fill = [&](int fd) {
        format.write(fd, path, base, settings);
        made = Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    };
    if (!create_whole_file(path, Appear::kUnnamed, fill)) {
        create_whole_file(path, Appear::kRenamed, fill);
    }
    return made;
}

NewCow::~NewCow() {
    if (path_.empty()) {
        return;
    }
    if (what_ == CowFile::kBlankDevice) {
        remove_cow_from_device(path_, uuid_);
    } else {
        (void)remove_unused(file_.get(), path_);
    }
}

void NewCow::create(const std::string &path, CowFile what, const CowFormat &format,
                    const CowBase &base, const CowSettings &settings) {
    if (what == CowFile::kBlankDevice) {
        uuid_ = create_cow_on_device(path, base, settings);
    } else {
        file_ = create_cow_file(path, format, base, settings);
    }
    path_ = path;
    what_ = what;
}

void NewCow::keep() {
    path_.clear();
    file_ = Fd();
}

}  // namespace cloopw

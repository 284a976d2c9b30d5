// SPDX-License-Identifier: GPL-2.0
#include "support/fake_kernel.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

constexpr unsigned int kMajor = 251;
constexpr int kControl = -1;
constexpr unsigned int kDiskMajor = 8; /* major of sda, on which all files lie */

std::string path_of(int fd) {
    return fs::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
}

std::string id_of(unsigned int major, unsigned int minor) {
    return std::to_string(major) + ":" + std::to_string(minor);
}

std::string without_newline(std::string text) {
    if (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    return text;
}

}  // namespace

FakeKernel::FakeKernel(std::string dir, int devices, bool loaded_now)
    : dir_(std::move(dir)), devices_(devices) {
    for (const char *sub : {"/dev", "/sys/block", "/sys/dev/block", "/proc/self"}) {
        fs::create_directories(dir_ + sub);
    }
    add_block("sda", kDiskMajor, 0);
    write_file("/sys/block/sda/device/model", "disk\n");
    if (loaded_now) {
        load();
    }
}

void FakeKernel::load() {
    loaded = true;
    write_file("/sys/class/misc/cloopw-control/dev", "10:120\n");
    for (int i = 0; i < devices_; i++) {
        add_disk(i);
    }
}

std::string FakeKernel::block_dir(int number) const {
    return "/sys/block/cloopw" + std::to_string(number);
}

void FakeKernel::write_file(const std::string &path, const std::string &text) const {
    fs::create_directories(fs::path(dir_ + path).parent_path());
    std::ofstream(dir_ + path) << text;
}

void FakeKernel::link(const std::string &path, const std::string &target) const {
    fs::create_directories(fs::path(dir_ + path).parent_path());
    fs::create_symlink(target, dir_ + path);
}

void FakeKernel::add_node(const std::string &name, unsigned int major, unsigned int minor) {
    nodes_[dev() + "/" + name] = {major, minor};
}

void FakeKernel::add_block(const std::string &name, unsigned int major, unsigned int minor) {
    add_node(name, major, minor);
    link("/sys/dev/block/" + id_of(major, minor), "../../devices/virtual/block/" + name);
    write_file("/sys/block/" + name + "/dev", id_of(major, minor) + "\n");
}

void FakeKernel::add_partition(int number, int partition) {
    constexpr unsigned int kExtended = 259;
    std::string disk = "cloopw" + std::to_string(number);
    std::string name = disk + "p" + std::to_string(partition);
    auto minor = static_cast<unsigned int>(number * 16 + partition);
    add_node(name, kExtended, minor);
    link("/sys/dev/block/" + id_of(kExtended, minor),
         "../../devices/virtual/block/" + disk + "/" + name);
    write_file(block_dir(number) + "/" + name + "/dev", id_of(kExtended, minor) + "\n");
    write_file(block_dir(number) + "/" + name + "/partition", std::to_string(partition) + "\n");
}

void FakeKernel::add_disk(int number) {
    std::string name = "cloopw" + std::to_string(number);
    disks[number] = nullptr;
    link("/sys/dev/block/" + id_of(kMajor, static_cast<unsigned int>(number)),
         "../../devices/virtual/block/" + name);
    write_file(block_dir(number) + "/dev", id_of(kMajor, static_cast<unsigned int>(number)) + "\n");
    set_attribute(number, "state", "idle");
}

std::string FakeKernel::attribute(int number, const std::string &name) const {
    std::ifstream file(dir_ + block_dir(number) + "/cloopw/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return without_newline(text.str());
}

void FakeKernel::set_attribute(int number, const std::string &name, const std::string &text) const {
    write_file(block_dir(number) + "/cloopw/" + name, text + "\n");
}

int FakeKernel::open(const std::string &path, int flags) {
    if (auto error = open_errors.find(path); error != open_errors.end()) {
        return error->second;
    }
    int disk = kControl;
    if (path == dev() + "/" CLOOPW_CONTROL_NAME) {
        if (!loaded || !nodes_show()) {
            return -ENOENT;
        }
    } else {
        struct stat st = {};
        int err = stat(path, &st);
        if (err != 0) {
            return err;
        }
        disk = static_cast<int>(minor(st.st_rdev));
        if (major(st.st_rdev) != kMajor || disks.count(disk) == 0) {
            return -ENXIO;
        }
        if (claimed && (flags & O_EXCL) != 0) {
            return -EBUSY;
        }
    }
    open_handles++;
    handles_[next_fd_] = disk;
    return next_fd_++;
}

void FakeKernel::close(int fd) {
    handles_.erase(fd);
    open_handles--;
}

int FakeKernel::stat(const std::string &path, struct stat *st) {
    *st = {};
    st->st_mode = S_IFBLK | 0600;
    if (auto found = nodes_.find(path); found != nodes_.end()) {
        st->st_rdev = makedev(found->second.major, found->second.minor);
        return 0;
    }
    for (const auto &disk : disks) {
        if (nodes_show() && path == node(disk.first)) {
            st->st_rdev = makedev(kMajor, static_cast<unsigned int>(disk.first));
            return 0;
        }
    }
    if (::stat(path.c_str(), st) != 0) {
        return -errno;
    }
    st->st_dev = makedev(kDiskMajor, 0);
    for (const auto &[begin, dev] : devices_of) {
        if (path.rfind(begin, 0) == 0) {
            st->st_dev = dev;
        }
    }
    return 0;
}

int FakeKernel::run(const std::vector<std::string> &argv, std::string *said) {
    ran.push_back(argv);
    *said = modprobe_says;
    if (modprobe_status == 0 && !loaded) {
        load();
    }
    return modprobe_status;
}

void FakeKernel::pause(std::chrono::milliseconds length) {
    pauses++;
    time += length;
    if (on_pause) {
        on_pause();
    }
}

int FakeKernel::ioctl(int fd, unsigned int request, unsigned long arg) {
    if (auto error = ioctl_errors.find(request); error != ioctl_errors.end()) {
        return error->second;
    }
    int disk = handles_.at(fd);
    if (disk == kControl) {
        return request == CLOOPW_CTL_QUERY ? query(reinterpret_cast<struct cloopw_query *>(arg))
                                           : control(request, static_cast<int>(arg));
    }
    switch (request) {
        case CLOOPW_CONFIGURE:
            return configure(disk, reinterpret_cast<struct cloopw_config *>(arg));
        case CLOOPW_CLEAR:
            return clear(disk);
        case CLOOPW_SNAPSHOT:
            return snapshot(disk, reinterpret_cast<struct cloopw_snapshot *>(arg));
        case CLOOPW_RESIZE:
            return resize(disk, reinterpret_cast<struct cloopw_resize *>(arg));
        case CLOOPW_RESET:
            return reset(disk, reinterpret_cast<struct cloopw_reset *>(arg));
        case CLOOPW_GET_READS:
            return reads(disk, reinterpret_cast<struct cloopw_reads *>(arg));
        case CLOOPW_FLUSH:
        case BLKFLSBUF:
            return flush(disk, request);
        case CLOOPW_GET_STATUS:
            return status(disk, reinterpret_cast<struct cloopw_status *>(arg));
        default:
            return -ENOTTY;
    }
}

/* A few at once, so that the caller has to come again. */
int FakeKernel::reads(int number, struct cloopw_reads *request) {
    constexpr u32 kMost = 3;
    cw_recorder *recorder = disks.at(number)->engine->image().recorder;
    if (recorder == nullptr) {
        return -ENODATA;
    }
    auto *room = reinterpret_cast<cw_first_read *>(request->reads);
    request->nr = cw_recorder_get(recorder, request->from, std::min<u32>(request->nr, kMost), room);
    request->block_size = disks.at(number)->engine->image().block_size;
    return 0;
}

int FakeKernel::control(unsigned int request, int number) {
    constexpr int kMost = 1 << 20;
    if (request == CLOOPW_CTL_ADD && number >= kMost) {
        return -EINVAL;
    }
    if (request == CLOOPW_CTL_ADD) {
        if (disks.count(number) != 0) {
            return -EEXIST;
        }
        add_disk(number);
        return number;
    }
    if (request != CLOOPW_CTL_GET_FREE) {
        return -ENOTTY;
    }
    for (const auto &disk : disks) {
        if (!disk.second) {
            return disk.first;
        }
    }
    add_disk(static_cast<int>(disks.size()));
    return static_cast<int>(disks.size()) - 1;
}

std::string codecs_of_both_worlds(const char *between) {
    std::string names;
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        if (cw_codecs[i]->world == CW_CODEC_BOTH) {
            names.append(names.empty() ? "" : between).append(cw_codecs[i]->name);
        }
    }
    return names;
}

int FakeKernel::query(struct cloopw_query *query) const {
    if (query->size != sizeof(*query)) {
        return -EINVAL;
    }
    query->max_layers = CLOOPW_MAX_LAYERS;
    query->features = CLOOPW_FEATURES;
    strcpy(query->version, "0.1-test");
    strcpy(query->image_formats, "cloopw raw");
    strcpy(query->cow_formats, "log uml");
    codecs.copy(query->codecs, sizeof(query->codecs) - 1);
    cow_codecs.copy(query->cow_codecs, sizeof(query->cow_codecs) - 1);
    return 0;
}

cloopw_reason reason_of(const Error &refusal) {
    cloopw_reason reason = {};
    reason.code = refusal.code();
    std::string(refusal.what()).copy(reason.text, sizeof(reason.text) - 1);
    return reason;
}

/* Fills what the caller has for the reason, as the driver does. */
static void answer(__u64 address, const cloopw_reason &reason) {
    auto *to = reinterpret_cast<cloopw_reason *>(address);
    if (to != nullptr && to->size == sizeof(*to)) {
        to->code = reason.code;
        memcpy(to->text, reason.text, sizeof(to->text));
    }
}

int FakeKernel::configure(int number, struct cloopw_config *config) {
    if (config->size != sizeof(*config) || (config->flags & ~CLOOPW_F_ALL) != 0) {
        return -EINVAL;
    }
    struct cloopw_reason reason = configure_reason;
    int err = configure_error;
    if (disks[number] || stolen_devices > 0) {
        stolen_devices = std::max(stolen_devices - 1, 0);
        reason = reason_of(Error("cloopw" + std::to_string(number) + ": is already attached", EBUSY,
                                 CLOOPW_R_ATTACHED));
        err = -EBUSY;
    }
    if (err == 0) {
        err = attach(number, config, &reason);
    }
    if (err != 0) {
        answer(config->reason, reason);
    }
    return err;
}

void FakeKernel::show_attributes(int number, const Attached &attached) {
    const cw_image &image = *attached.engine->info().image;
    set_attribute(number, "image", attached.image);
    set_attribute(number, "image_format", image.format->name);
    set_attribute(number, "size", std::to_string(attached.engine->size()));
    set_attribute(number, "offset", std::to_string(attached.config.offset));
    set_attribute(number, "sizelimit", std::to_string(attached.config.sizelimit));
    set_attribute(number, "read_only",
                  (attached.config.flags & CLOOPW_F_READ_ONLY) != 0 ? "1" : "0");
    set_attribute(number, "dio",
                  (attached.config.flags & CLOOPW_F_DIRECT_IO) != 0 && has_direct_io ? "1" : "0");
    set_attribute(number, "ratio", "2.50");
    set_attribute(number, "state", "ok");
    set_attribute(number, "cache_hits", "17");
    set_attribute(number, "codecs", "lz4 zstd");
    if (!attached.layers.empty()) {
        set_attribute(number, "low_space", "10%");
        set_attribute(number, "cow_live_bytes", "1048576");
        set_attribute(number, "cow_dead_bytes", "524288");
        set_attribute(number, "cow_total_bytes", "2097152");
        set_attribute(number, "cow_ratio", "1.50");
    }
}

int FakeKernel::attach(int number, struct cloopw_config *config, struct cloopw_reason *reason) {
    auto attached = std::make_unique<Attached>();
    attached->config = *config;
    attached->format = config->format;
    attached->image = path_of(config->image_fd);
    std::vector<Io> layers;
    const auto *fds = reinterpret_cast<const __s32 *>(config->layer_fds);
    for (__u32 i = 0; i < config->nr_layers; i++) {
        attached->layers.push_back(path_of(fds[i]));
        attached->layer_flags.push_back(fcntl(fds[i], F_GETFL) & O_ACCMODE);
        layers.push_back(Io::adopt(dup(fds[i]), attached->layers.back()));
    }
    Device::Config wanted;
    wanted.format = attached->format;
    wanted.read_only = (config->flags & CLOOPW_F_READ_ONLY) != 0;
    wanted.record = (config->flags & CLOOPW_F_RECORD) != 0;
    try {
        attached->engine = std::make_unique<Device>(
            Io::adopt(dup(config->image_fd), attached->image, config->offset, config->sizelimit),
            std::move(layers), wanted);
    } catch (const Error &e) {
        *reason = reason_of(e);
        return -e.err();
    }
    show_attributes(number, *attached);
    disks[number] = std::move(attached);
    show_layers(number);
    for (const std::string &name : full_attributes) {
        fs::remove(dir_ + block_dir(number) + "/cloopw/" + name);
        link(block_dir(number) + "/cloopw/" + name, "/dev/full");
    }
    return 0;
}

void FakeKernel::show_layers(int number) {
    const Attached &attached = *disks[number];
    for (size_t i = 0; i < attached.layers.size(); i++) {
        const std::string dir = "layers/" + std::to_string(i) + "/";
        set_attribute(number, dir + "path", attached.layers[i]);
        set_attribute(number, dir + "format",
                      cw_device_layer_format(&attached.engine->get(), static_cast<u32>(i)));
    }
    if (!attached.layers.empty()) {
        struct cw_cow_space space = {};
        cw_device_get_space(&attached.engine->get(), &space);
        set_attribute(number, "cow_limit", std::to_string(space.limit));
    }
}

int FakeKernel::snapshot(int number, struct cloopw_snapshot *request) {
    if (request->size != sizeof(*request) || request->flags != CLOOPW_SNAPSHOT_ELSEWHERE) {
        return -EINVAL;
    }
    if (!disks[number]) {
        return -ENXIO;
    }
    if (snapshot_error != 0) {
        return snapshot_error;
    }
    Attached &attached = *disks[number];
    const std::string path = path_of(request->layer_fd);
    try {
        attached.engine->snapshot(Io::adopt(dup(request->layer_fd), path));
    } catch (const Error &e) {
        answer(request->reason, reason_of(e));
        return -e.err();
    }
    attached.layers.insert(attached.layers.begin(), path);
    attached.layer_flags.insert(attached.layer_flags.begin(), O_RDWR);
    set_attribute(number, "size", std::to_string(attached.engine->size()));
    show_layers(number);
    return 0;
}

int FakeKernel::resize(int number, struct cloopw_resize *request) {
    if (request->size != sizeof(*request) || (request->flags & ~CLOOPW_RESIZE_GROW) != 0) {
        return -EINVAL;
    }
    struct cw_report report = {};
    cw_device &engine = disks[number]->engine->get();
    const u64 size = request->flags != 0 ? request->device_size : 0;
    const int err = cw_device_resize(&engine, size, &report);
    if (err != 0) {
        answer(request->reason, reason_of(Error(report.text, -err, report.code)));
    }
    request->device_size = disks[number]->engine->size();
    set_attribute(number, "size", std::to_string(request->device_size));
    return err;
}

int FakeKernel::reset(int number, struct cloopw_reset *request) {
    if (request->size != sizeof(*request) || request->flags != 0) {
        return -EINVAL;
    }
    struct cw_report report = {};
    const int err = cw_device_reset(&disks[number]->engine->get(), &report);
    if (err != 0) {
        answer(request->reason, reason_of(Error(report.text, -err, report.code)));
    }
    return err;
}

int FakeKernel::flush(int number, unsigned int request) {
    flushed.push_back((request == CLOOPW_FLUSH ? "driver " : "buffers ") + std::to_string(number));
    return flush_error;
}

int FakeKernel::clear(int number) {
    if (!disks[number]) {
        return -ENXIO;
    }
    if (busy_clears > 0) {
        busy_clears--;
        return -EBUSY;
    }
    if (clear_error != 0 && !clear_detaches) {
        return clear_error;
    }
    disks[number].reset();
    fs::remove_all(dir_ + block_dir(number) + "/cloopw");
    set_attribute(number, "state", "idle");
    return clear_error;
}

int FakeKernel::status(int number, struct cloopw_status *status) {
    if (!disks[number]) {
        return 0;
    }
    struct stat st = {};
    fstat(disks[number]->engine->info().image->io != nullptr
              ? cw_fd_io_fd(disks[number]->engine->info().image->io)
              : -1,
          &st);
    status->device_size = size_shows ? disks[number]->engine->size() : 0;
    status->image_dev = st.st_dev;
    status->image_ino = st.st_ino;
    return 0;
}

}  // namespace cloopw::test

// SPDX-License-Identifier: GPL-2.0
#include "server.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "control.h"
#include "gate.h"
#include "lib/cow/chain.h"
#include "lib/device_node.h"
#include "lib/error.h"
#include "lib/escape.h"
#include "lib/fd.h"
#include "lib/net/settings.h"
#include "lib/net/source.h"
#include "lib/net/url.h"
#include "lib/process.h"
#include "lib/replace_file.h"
#include "lib/serve/status.h"
#include "pool.h"
#include "queue.h"
#include "successor.h"

namespace cloopw {
namespace {

using namespace std::chrono_literals;

constexpr unsigned int kDepth = 64;
constexpr unsigned int kSectorShift = 9;
constexpr uint16_t kQuiesced = 2; /* the kernel's state of a device without a server */
constexpr auto kNode = 2s;        /* for the character device to appear */
constexpr auto kNoticed = 10s;    /* kernels look every 5 s for a server's end */

unsigned int processors() { return std::max(1u, std::thread::hardware_concurrency()); }

/* Decompression wants the processors, and who waits for a medium leaves them alone. */
unsigned int pool_threads(const UblkOptions &options) {
    constexpr unsigned int kLeast = 4;
    return options.threads != 0 ? options.threads : std::max(kLeast, 2 * processors());
}

ublksrv_ctrl_dev_info wanted_device(const UblkOptions &options) {
    ublksrv_ctrl_dev_info info = {};
    const unsigned int queues = options.queues != 0 ? options.queues : processors();
    info.nr_hw_queues = static_cast<uint16_t>(std::min(queues, kMostQueues));
    info.queue_depth = static_cast<uint16_t>(options.depth != 0 ? options.depth : kDepth);
    info.max_io_buf_bytes = kMostBytes;
    info.dev_id = options.device;
    info.ublksrv_pid = getpid();
    info.flags = ublk::kUserCopy | ublk::kIoctlEncode | ublk::kUserRecovery | ublk::kReissue;
    return info;
}

uint8_t shift_of(uint32_t bytes) { return static_cast<uint8_t>(std::bit_width(bytes) - 1); }

ublk_params params_of(const cw_device_info &device, const UblkOptions &options) {
    constexpr uint32_t kMostSectors = UINT32_MAX >> kSectorShift;
    ublk_params params = {};
    params.types = UBLK_PARAM_TYPE_BASIC;
    ublk_param_basic &basic = params.basic;
    basic.attrs = device.writable ? UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA : UBLK_ATTR_READ_ONLY;
    basic.logical_bs_shift = shift_of(options.sector_size);
    basic.physical_bs_shift = shift_of(CW_PAGE_SIZE);
    basic.io_min_shift = shift_of(CW_PAGE_SIZE);
    basic.io_opt_shift = shift_of(CW_PAGE_SIZE);
    basic.max_sectors = kMostBytes >> kSectorShift;
    basic.dev_sectors = device.size >> kSectorShift;
    if (device.writable) {
        params.types |= UBLK_PARAM_TYPE_DISCARD;
        params.discard.discard_granularity = CW_PAGE_SIZE;
        params.discard.max_discard_sectors = device.can_discard ? kMostSectors : 0;
        params.discard.max_write_zeroes_sectors = kMostSectors;
        params.discard.max_discard_segments = 1;
    }
    return params;
}

bool make_node(const std::string &path, const std::string &name) {
    std::ifstream file("/sys/class/ublk-char/" + name + "/dev");
    std::string numbers;
    std::getline(file, numbers);
    return make_device_node(path, S_IFCHR, numbers) == 0;
}

Fd open_node(uint32_t id) {
    const std::string name = "ublkc" + std::to_string(id);
    const std::string path = "/dev/" + name;
    const auto until = std::chrono::steady_clock::now() + kNode;
    for (;;) {
        Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
        if (fd.get() >= 0) {
            return fd;
        }
        const int err = errno;
        if (std::chrono::steady_clock::now() >= until) {
            throw io_error(path, "cannot be opened", err);
        }
        if (err != ENOENT || !make_node(path, name)) {
            std::this_thread::sleep_for(1ms);
        }
    }
}

/* path may be empty: nobody wants to know. */
void put_line(const std::string &path, const std::string &line) {
    if (!path.empty()) {
        replace_file(path, line + "\n", S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
    }
}

/* Stops the device at its end, so that its queues end. */
class StopAtEnd {
public:
    StopAtEnd(UblkControl &control, uint32_t id) : control_(control), id_(id) {}
    StopAtEnd(const StopAtEnd &) = delete;
    StopAtEnd &operator=(const StopAtEnd &) = delete;
    ~StopAtEnd() {
        try {
            control_.stop(id_);
        } catch (const Error &) {
            /* it was never started, or others have stopped it */
        }
    }

private:
    UblkControl &control_;
    const uint32_t id_;
};

/*
 * The device's threads. All that may be missing for them is there before begin(), so that a
 * recovery of the device does not fail half-way.
 */
class Service {
public:
    Service(Device &device, const ublksrv_ctrl_dev_info &info, unsigned int threads,
            std::atomic<bool> &failed)
        : pool_(device, threads, size_t{info.nr_hw_queues} * info.queue_depth, failed) {
        for (unsigned int i = 0; i < info.nr_hw_queues; i++) {
            queues_.push_back(
                std::make_unique<Queue>(device.get(), pool_, i, info.queue_depth, begun_));
        }
    }

    /*
     * node: the character device, which is open until the end. Then the device is stopped
     * before the end, so that its queues end. Throws Error.
     */
    void begin(int node) {
        for (const auto &queue : queues_) {
            queue->share(node);
        }
        pool_.begin(node);
        begun_.open();
    }

private:
    Gate begun_;
    Pool pool_;
    std::vector<std::unique_ptr<Queue>> queues_; /* end before the pool */
};

/* sigwait() takes the signals that end a server, in all threads. */
sigset_t ending_signals(bool stay) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    (void)std::signal(SIGINT, SIG_DFL);
    for (int number : {SIGTERM, SIGHUP}) {
        if (stay) {
            (void)std::signal(number, SIG_IGN);
        } else {
            sigaddset(&set, number);
        }
    }
    (void)std::signal(SIGXFSZ, SIG_IGN); /* a COW that may not grow is full */
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    return set;
}

/*
 * SIGINT ends the process at once meanwhile. So programs that wait for a device without a
 * server get errors, even when an image at a URL cannot be reached.
 */
class EndsAtOnce {
public:
    EndsAtOnce() {
        sigemptyset(&set_);
        sigaddset(&set_, SIGINT);
        pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
    }
    EndsAtOnce(const EndsAtOnce &) = delete;
    EndsAtOnce &operator=(const EndsAtOnce &) = delete;
    ~EndsAtOnce() { pthread_sigmask(SIG_BLOCK, &set_, nullptr); }

private:
    sigset_t set_{};
};

void wait_for_end(const sigset_t &set) {
    int number = 0;
    while (sigwait(&set, &number) == EINTR) {
    }
}

/* Keeps the tops of snapshots, and the size of the cache, for the servers to come. */
class Memory : public Remembers {
public:
    explicit Memory(ServerState &state) : state_(state) {}

    void push_top(const std::string &path) override {
        const uint32_t nr = state_.nr_tops;
        if (nr >= CLOOPW_MAX_LAYERS || path.size() >= PATH_MAX) {
            throw Error(path + ": no more layers can be kept in mind", E2BIG);
        }
        path.copy(state_.top[nr], path.size());
        state_.top[nr][path.size()] = '\0';
        state_.uuid[nr + 1] = identify_cow(path).uuid;
        state_.nr_tops = nr + 1;
    }
    void pop_top() override { state_.nr_tops--; }
    void set_cache(u64 bytes) override { state_.cache = bytes; }
    void set_direct_io(bool wanted) override { state_.direct_io = wanted ? 1 : 0; }
    void set_low_space(const LowSpace &mark) override {
        state_.low_percent = mark.percent;
        state_.low_bytes = mark.bytes;
    }
    void want_resizable() override {
        control_ = std::make_unique<UblkControl>();
        if ((control_->features() & ublk::kCanUpdateSize) == 0) {
            throw Error(
                "this kernel's driver ublk cannot change the size of a device in use, which Linux "
                "can from 6.16 on: detach it, and attach it with --resize=SIZE",
                EOPNOTSUPP);
        }
    }
    void show_size(u64 bytes) override {
        control_->update_size(state_.device, bytes >> kSectorShift);
    }
    void take_over(const std::string &program) override {
        const pid_t supervisor = state_.supervisor;
        if (!state_.serves || !can_recover(state_)) {
            throw Error("the server has only begun; try again", EBUSY);
        }
        if (state_.failed) {
            throw Error(
                "its COW has failed, and another server could not write it, either; detach the "
                "device, and attach it again",
                EIO);
        }
        if (getppid() != supervisor) {
            const pid_t watch = state_.watch;
            const bool is_watched = watch > 0 && kill(watch, 0) == 0;
            throw Error("the server has lost its supervisor; " +
                            (is_watched ? "'kill -KILL " + std::to_string(getpid()) +
                                              "' starts both anew, then try again"
                                        : std::string("detach the device and attach it again")),
                        ESRCH);
        }
        check_successor(program);
        program.copy(state_.successor, program.size());
        state_.successor[program.size()] = '\0';
        kill(supervisor, SIGUSR1);
    }

private:
    ServerState &state_;
    std::unique_ptr<UblkControl> control_; /* the status thread's */
};

/*
 * Sends an event of the disk, which the kernel marks as a program's: SYNTH_ARG_CLOOPWSTATE
 * and so on. The rules of udev give them the driver's names. The kernel takes letters and
 * digits alone; the one state with another sign, read-only, is of a COW without a watch.
 */
class TellsUdev : public TellsSpace {
public:
    explicit TellsUdev(ServerState &state) : state_(state) {}

    bool tell(const SpaceEvent &event) override {
        if (event.state == CW_COW_FAILED) {
            state_.failed = true;
        }
        if (!state_.serves) {
            return false; /* there may be no disk yet */
        }
        if (event.state == CW_COW_FULL) {
            (void)fputs("cloopw-ublkd: the COW is full, and writes fail: " CW_COW_FULL_REMEDY "\n",
                        stderr);
        }
        std::string line = "change " + std::string(kNoUuid) +
                           " CLOOPWSTATE=" + cw_cow_state_name(event.state) +
                           " CLOOPWLOWSPACE=" + (event.low ? "1" : "0");
        if (event.available != CW_CAPACITY_UNKNOWN) {
            line += " CLOOPWAVAILABLE=" + std::to_string(event.available);
        }
        const std::string path = "/sys/block/ublkb" + std::to_string(state_.device) + "/uevent";
        const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (file.get() < 0 ||
            write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
            (void)fprintf(stderr, "cloopw-ublkd: %s cannot be told: %s\n", path.c_str(),
                          errno_text(errno).c_str());
        }
        return true;
    }

private:
    /* The kernel wants one before the arguments, to tell such events apart. */
    static constexpr const char *kNoUuid = "00000000-0000-0000-0000-000000000000";
    ServerState &state_;
};

/*
 * A later server opens the present layers. The settings of a new COW are in that COW by
 * now, and may have been changed since.
 */
ServedOptions present_stack(const ServedOptions &options, const ServerState &state) {
    ServedOptions served = options;
    for (uint32_t i = 0; i < state.nr_tops; i++) {
        served.cows.insert(served.cows.begin(), state.top[i]);
    }
    served.cow = {};
    served.arguments = {};
    served.cow_format.clear();
    if (state.cache != 0) {
        served.cache = state.cache;
    }
    if (state.direct_io >= 0) {
        served.direct_io = state.direct_io != 0;
    }
    return served;
}

Uuid top_uuid(const ServedOptions &options) {
    return options.cows.empty() ? Uuid{} : identify_cow(options.cows.front()).uuid;
}

/* Under the name of the COW there may be another one by now. */
void want_same_cow(const ServedOptions &options, const ServerState &state) {
    if (top_uuid(options) != state.uuid[state.nr_tops]) {
        throw Error(options.cows.front() + ": is another COW by now, so no other server can go on",
                    ESTALE);
    }
}

/* Under the name of the image there may be another one by now. */
std::string present_image(const ServerState &state) {
    return state.image < 0 ? "" : "/proc/self/fd/" + std::to_string(state.image);
}

/*
 * A server may have ended between the growth of the COW and that of the block device. The
 * device is in use, so a failure does not end it.
 */
void show_size_again(UblkControl &control, uint32_t id, const Device &device) {
    try {
        if ((control.features() & ublk::kCanUpdateSize) != 0) {
            control.update_size(id, device.size() >> kSectorShift);
        }
    } catch (const Error &e) {
        (void)fprintf(stderr, "cloopw-ublkd: %s\n", escaped(e.what()).c_str());
    }
}

Device open_first(const UblkOptions &options, ServerState &state, NewCow &top) {
    ServedOptions served = options.served;
    served.image_at = present_image(state);
    Device device = open_served(served, top);
    state.uuid[0] = top_uuid(served);
    state.version_sum = version_sum(device.base().get());
    return device;
}

/* A loss of a server before is final: nothing is written after that. */
Device open_stack_again(ServedOptions &served, ServerState &state, NewCow &top) {
    served.failed = state.failed;
    try {
        return open_served(served, top, Opening::kAgain);
    } catch (const Error &e) {
        if (e.code() != CLOOPW_R_UNWRITABLE) {
            throw;
        }
        (void)fprintf(stderr, "cloopw-ublkd: %s\n", escaped(e.what()).c_str());
    }
    state.failed = true;
    served.failed = true;
    return open_served(served, top, Opening::kAgain);
}

Device open_again(const UblkOptions &options, ServerState &state, NewCow &top) {
    const EndsAtOnce ends;
    net_settings().patient = true; /* a device waits for it, and no user */
    ServedOptions served = present_stack(options.served, state);
    served.image_at = present_image(state);
    Device device = open_stack_again(served, state, top);
    want_same_cow(served, state);
    if (version_sum(device.base().get()) != state.version_sum) {
        throw Error(
            shown_name(served.image) + ": has changed on its server, so no other server can go on",
            ESTALE);
    }
    return device;
}

/* Nothing of it is needed to go on: a device is worth more than its status. */
void listen(StatusServer &status, const std::string &path, bool recovers) {
    try {
        status.listen(path);
    } catch (const Error &e) {
        if (!recovers) {
            throw;
        }
        (void)fprintf(stderr, "cloopw-ublkd: %s\n", escaped(e.what()).c_str());
        status.listen("");
    }
}

/*
 * "SUPERVISOR SERVER START START": the process to signal, the one that serves, and when each
 * of them began.
 */
void write_pids(const std::string &path, bool recovers) {
    const Process supervisor = process_of(getppid());
    const Process server = process_of(getpid());
    try {
        put_line(path, std::to_string(supervisor.pid) + " " + std::to_string(server.pid) + " " +
                           std::to_string(supervisor.start) + " " + std::to_string(server.start));
    } catch (const Error &) {
        if (!recovers) {
            throw;
        }
    }
}

/* The pause that programs saw while another version of the server took over. */
void say_pause(ServerState &state) {
    const int64_t since = state.paused_since.exchange(-1);
    if (since >= 0) {
        (void)fprintf(stderr, "cloopw-ublkd: " CLOOPW_VERSION " goes on after a pause of %lld ms\n",
                      static_cast<long long>(now_ms() - since));
    }
}

/*
 * Waits until the kernel has noticed that the server before has ended. Without state.restarts
 * the device is lost when this server fails after that.
 */
void start_recovery(UblkControl &control, ServerState &state) {
    const auto until = std::chrono::steady_clock::now() + kNoticed;
    for (;;) {
        state.recovering = true; /* before it can be so */
        try {
            if (control.start_recovery(state.device)) {
                return;
            }
        } catch (const Error &) {
            state.recovering = false;
            throw;
        }
        state.recovering = false;
        if (std::chrono::steady_clock::now() >= until) {
            throw Error("/dev/ublkb" + std::to_string(state.device) +
                            ": cannot be recovered: the kernel has it with the server before",
                        EBUSY);
        }
        std::this_thread::sleep_for(2ms);
    }
}

void go_live(UblkControl &control, ServerState &state, Service &service, int node) {
    service.begin(node);
    control.start(state.device);
}

/* On failure the process ends: to unwind it would stop the device, which others take over. */
void go_on(UblkControl &control, ServerState &state, Service &service, int node) {
    try {
        service.begin(node);
        control.end_recovery(state.device);
    } catch (const std::exception &e) {
        (void)fprintf(stderr, "cloopw-ublkd: error: %s\n", escaped(e.what()).c_str());
        _exit(EXIT_FAILURE);
    }
    state.recovering = false;
}

/* node: of the device, so that it is this one. */
void remove_served(UblkControl &control, const UblkOptions &options, ServerState &state, Fd node) {
    try {
        control.remove(state.device, std::move(node));
    } catch (const Error &e) {
        if (e.err() != ENODEV) {
            throw;
        }
    }
    state.device = UINT32_MAX;
    if (!options.idfile.empty()) {
        unlink(options.idfile.c_str());
    }
}

ublksrv_ctrl_dev_info make_device(UblkControl &control, const UblkOptions &options,
                                  ServerState &state, const Device &device) {
    const ublksrv_ctrl_dev_info info = control.add(wanted_device(options));
    state.device = info.dev_id;
    state.restarts = (control.features() & ublk::kCanUpdateSize) != 0;
    put_line(options.idfile, std::to_string(info.dev_id));
    control.set_params(info.dev_id, params_of(device.info(), options));
    return info;
}

}  // namespace

int exit_code_of(const std::exception &reason) {
    const auto *error = dynamic_cast<const Error *>(&reason);
    const int err = error != nullptr ? error->err() : 0;
    const bool never = err == ESTALE || err == ENOENT || err == EINVAL || err == ENODEV;
    return never ? kExitNever : EXIT_FAILURE;
}

bool can_recover(const ServerState &state) {
    return state.ready && state.device != UINT32_MAX && (!state.recovering || state.restarts);
}

int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

void check_machine() {
    UblkControl control;
    if ((control.features() & ublk::kUserCopy) == 0) {
        throw Error(
            "ublk: this kernel's driver cannot move data by read and write, which Linux "
            "has from 6.5 on",
            EOPNOTSUPP);
    }
}

void remove_device(uint32_t id, bool only_orphan) {
    UblkControl control;
    const ublksrv_ctrl_dev_info info = control.info(id);
    const pid_t server = info.ublksrv_pid;
    /* Without one, another process may have the number. */
    const bool may_have_one = info.state != kQuiesced && server > 0;
    if (only_orphan && may_have_one && kill(server, 0) == 0) {
        throw Error(
            "/dev/ublkb" + std::to_string(id) + ": has a server, process " + std::to_string(server),
            EBUSY);
    }
    try {
        control.stop(id);
    } catch (const Error &e) {
        if (e.err() == ENODEV) {
            throw;
        }
    }
    control.remove(id, Fd());
}

void serve(const UblkOptions &options, ServerState &state) {
    const sigset_t ending = ending_signals(options.served.stay);
    const uint32_t before = state.device;
    const bool recovers = before != UINT32_MAX;
    NewCow top;
    Device device = recovers ? open_again(options, state, top) : open_first(options, state, top);
    Memory memory(state);
    TellsUdev udev(state);
    SpaceWatch watch(&udev);
    watch.set_mark({state.low_percent, state.low_bytes});
    StatusServer status;
    if (options.served.stay) {
        status.bound_log();
    }
    listen(status, options.served.status, recovers);
    UblkControl control;
    const ublksrv_ctrl_dev_info info =
        recovers ? control.info(before) : make_device(control, options, state, device);
    status.start(device, memory, watch);
    Fd node;
    {
        Service service(device, info, pool_threads(options), state.failed);
        if (recovers) {
            start_recovery(control, state);
        }
        node = open_node(info.dev_id);
        const StopAtEnd stop(control, info.dev_id);
        recovers ? go_on(control, state, service, node.get())
                 : go_live(control, state, service, node.get());
        if (recovers) {
            show_size_again(control, info.dev_id, device);
        }
        state.serves_since = now_ms();
        state.serves = true;
        say_pause(state);
        top.keep();
        state.ready = true;
        write_pids(options.pidfile, recovers);
        wait_for_end(ending);
        abandon_source(device.base().get());
    }
    status.stop();
    remove_served(control, options, state, std::move(node));
    device.close();
}

}  // namespace cloopw

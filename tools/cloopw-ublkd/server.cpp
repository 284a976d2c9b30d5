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
#include "lib/cow/chain.h"
#include "lib/device_node.h"
#include "lib/error.h"
#include "lib/escape.h"
#include "lib/fd.h"
#include "lib/net/settings.h"
#include "lib/net/source.h"
#include "lib/net/url.h"
#include "lib/replace_file.h"
#include "lib/serve/status.h"
#include "pool.h"
#include "queue.h"
#include "successor.h"

namespace cloopw {
namespace {

using namespace std::chrono_literals;

constexpr unsigned int kMostQueues = 4;
constexpr unsigned int kDepth = 64;
constexpr unsigned int kSectorShift = 9;
constexpr auto kNode = 2s; /* for the character device to appear */

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

/* The device's threads, from their start to the stop of the device. */
class Service {
public:
    Service(cw_device &device, UblkControl &control, const ublksrv_ctrl_dev_info &info,
            unsigned int threads)
        : node_(open_node(info.dev_id)),
          pool_(device, node_.get(), threads),
          queues_(make_queues(device, pool_, node_.get(), info)),
          stop_(control, info.dev_id) {
        for (const auto &queue : queues_) {
            queue->start();
        }
    }

private:
    using Queues = std::vector<std::unique_ptr<Queue>>;

    static Queues make_queues(cw_device &device, Pool &pool, int node,
                              const ublksrv_ctrl_dev_info &info) {
        Queues queues;
        for (unsigned int i = 0; i < info.nr_hw_queues; i++) {
            queues.push_back(std::make_unique<Queue>(device, pool, node, i, info.queue_depth));
        }
        return queues;
    }

    Fd node_;
    Pool pool_;
    Queues queues_;  /* end before the pool */
    StopAtEnd stop_; /* before them, also when one cannot start */
};

/* sigwait() takes the signals that end a server, in all threads. */
sigset_t ending_signals(bool stay) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
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
        if (!can_recover(state_)) {
            throw Error("the server has only begun; try again", EBUSY);
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
    explicit TellsUdev(uint32_t device)
        : path_("/sys/block/ublkb" + std::to_string(device) + "/uevent") {}

    void tell(const SpaceEvent &event) override {
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
        const Fd file(open(path_.c_str(), O_WRONLY | O_CLOEXEC));
        if (file.get() < 0 ||
            write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
            (void)fprintf(stderr, "cloopw-ublkd: %s cannot be told: %s\n", path_.c_str(),
                          errno_text(errno).c_str());
        }
    }

private:
    /* The kernel wants one before the arguments, to tell such events apart. */
    static constexpr const char *kNoUuid = "00000000-0000-0000-0000-000000000000";
    const std::string path_;
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
    if (state.nr_tops == 0 && top_uuid(options) != state.uuid) {
        throw Error(options.cows.front() + ": is another COW by now, so no other server can go on",
                    ESTALE);
    }
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

/* The first server's, or a later one's. */
Device open_device(const UblkOptions &options, ServerState &state, bool recovers, NewCow &top) {
    if (!recovers) {
        Device device = open_served(options.served, top);
        state.uuid = top_uuid(options.served);
        state.version_sum = version_sum(device.base().get());
        return device;
    }
    net_settings().patient = true; /* a device waits for it, and no user */
    const ServedOptions now = present_stack(options.served, state);
    Device device = open_served(now, top, MissingTop::kRefuse);
    want_same_cow(now, state);
    if (version_sum(device.base().get()) != state.version_sum) {
        throw Error(
            shown_name(now.image) + ": has changed on its server, so no other server can go on",
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

/* "SUPERVISOR SERVER": the process to signal, and the one that serves. */
void write_pids(const std::string &path, bool recovers) {
    try {
        put_line(path, std::to_string(getppid()) + " " + std::to_string(getpid()));
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

void remove_if_there(UblkControl &control, uint32_t id) {
    try {
        control.remove(id);
    } catch (const Error &e) {
        if (e.err() != ENODEV) {
            throw;
        }
    }
}

}  // namespace

bool can_recover(const ServerState &state) { return state.ready && !state.recovering; }

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
    const pid_t server = control.info(id).ublksrv_pid;
    if (only_orphan && server > 0 && kill(server, 0) == 0) {
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
    control.remove(id);
}

void serve(const UblkOptions &options, ServerState &state) {
    const sigset_t ending = ending_signals(options.served.stay);
    const uint32_t before = state.device;
    const bool recovers = before != UINT32_MAX;
    NewCow top;
    Device device = open_device(options, state, recovers, top);
    Memory memory(state);
    StatusServer status;
    listen(status, options.served.status, recovers);
    UblkControl control;
    state.recovering = recovers;
    if (recovers) {
        control.start_recovery(before);
    }
    const ublksrv_ctrl_dev_info info =
        recovers ? control.info(before) : control.add(wanted_device(options));
    state.device = info.dev_id;
    if (!recovers) {
        put_line(options.idfile, std::to_string(info.dev_id));
        control.set_params(info.dev_id, params_of(device.info(), options));
    }
    TellsUdev udev(info.dev_id);
    SpaceWatch watch(&udev);
    watch.set_mark({state.low_percent, state.low_bytes});
    {
        const Service service(device.get(), control, info, pool_threads(options));
        recovers ? control.end_recovery(info.dev_id) : control.start(info.dev_id);
        state.recovering = false;
        if (recovers) {
            show_size_again(control, info.dev_id, device);
        }
        state.serves_since = now_ms();
        state.serves = true;
        say_pause(state);
        status.start(device, memory, watch);
        top.keep();
        state.ready = true;
        write_pids(options.pidfile, recovers);
        wait_for_end(ending);
    }
    status.stop();
    device.close();
    remove_if_there(control, info.dev_id);
    state.device = UINT32_MAX;
    if (!options.idfile.empty()) {
        unlink(options.idfile.c_str());
    }
}

}  // namespace cloopw

// SPDX-License-Identifier: GPL-2.0
/*
 * The engine as an nbdkit plugin, where no module can be loaded:
 *
 *     nbdkit cloopw image=disk.cloopw cow=changes.cow
 *
 * All connections share one device; its calls may come from any thread at once. The plugin
 * opens the device before nbdkit goes to the background, so that errors appear on the
 * terminal. It closes the device, with a flush, when the server ends.
 *
 * nbdkit forks in between, into the background and for --run. Its parent calls exit() with
 * an outdated copy of all this, while the child serves. So nothing here has a destructor.
 * Only cleanup() closes anything, and only the serving process calls it.
 */
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lib/cow/cow_file.h"
#include "lib/cow/image_facts.h"
#include "lib/escape.h"
#include "lib/names.h"
#include "lib/net/source.h"
#include "lib/net/url.h"
#include "lib/serve/read_hints.h"
#include "lib/serve/served.h"
#include "lib/serve/status.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace {

using namespace cloopw;

/* The objects that live across the fork. new makes them, and only cleanup() ends them. */
struct Plugin {
    ServedOptions *options; /* first config(); constant from get_ready() on */
    Device *served;         /* get_ready() to cleanup() */
    StatusServer *status;   /* for as long */
};

Plugin self;
static_assert(std::is_trivially_destructible_v<Plugin>);

std::atomic<unsigned int> clients;
static_assert(decltype(clients)::is_always_lock_free); /* a signal handler reads it */

ServedOptions &options() {
    if (self.options == nullptr) {
        self.options = new ServedOptions();
    }
    return *self.options;
}

template <typename T>
void end(T **object) {
    delete *object;
    *object = nullptr;
}

/*
 * Turns exceptions, which must not reach nbdkit, into -1 and a printed text. Otherwise 0.
 */
template <typename Function>
int guarded(Function function) {
    try {
        function();
        return 0;
    } catch (const Error &e) {
        nbdkit_set_error(e.err() != 0 ? e.err() : EINVAL);
        nbdkit_error("%s", escaped(e.what()).c_str());
    } catch (const std::exception &e) {
        nbdkit_set_error(ENOMEM);
        nbdkit_error("%s", e.what());
    }
    return -1;
}

/*
 * Limits the lines of a minute. A client that repeats a failing request gets its error each
 * time. A log of all of them would fill the file system.
 */
bool is_worth_a_line() {
    constexpr int64_t kMinute = 60;
    constexpr int kMost = 20;
    static std::atomic<int64_t> minute;
    static std::atomic<int> said;
    const int64_t now = time(nullptr) / kMinute;
    if (minute.exchange(now) != now) {
        said = 0;
    }
    return said++ < kMost;
}

/* "changes.cow: is full: cannot write at byte 0: No space left on device; free space.." */
std::string failure(int err, const char *what, uint64_t offset) {
    const bool full = err == -ENOSPC && !options().cows.empty();
    const std::string file =
        full ? options().cows.front() + ": is full" : shown_name(options().image);
    return escaped(file + ": cannot " + what + " at byte " + std::to_string(offset) + ": " +
                   errno_text(err) + (full ? "; " CW_COW_FULL_REMEDY : ""));
}

/* Turns the engine's 0 or -errno into nbdkit's answer. */
int answer(int err, const char *what, uint64_t offset) {
    if (err == 0) {
        return 0;
    }
    nbdkit_set_error(-err);
    if (is_worth_a_line()) {
        nbdkit_error("%s", failure(err, what, offset).c_str());
    }
    return -1;
}

cw_device &device() { return self.served->get(); }

/* ---- parameters ---- */

/* nbdkit may change its directory before files are opened. */
std::string absolute(const char *path) {
    if (is_url(path)) {
        return path;
    }
    std::unique_ptr<char, decltype(&std::free)> found(nbdkit_absolute_path(path), std::free);
    if (!found) {
        throw Error(std::string(path) + ": cannot tell its absolute path", errno);
    }
    return found.get();
}

int config(const char *key, const char *value) {
    return guarded([&] {
        const std::string name = key;
        if (*value == '\0') {
            throw Error(name + "=: is empty; give it a value or leave it out", EINVAL);
        }
        const Parameters parameters = served_parameters(options());
        const Parameter *parameter = find_parameter(parameters, name);
        if (parameter == nullptr) {
            throw Error("unknown parameter '" + name + "'; nbdkit cloopw --help lists all", EINVAL);
        }
        parameter->set(parameter->is_path ? absolute(value) : value);
    });
}

int config_complete() {
    return guarded([] { check_options(options()); });
}

int get_ready() {
    return guarded([] {
        (void)std::signal(SIGXFSZ, SIG_IGN); /* a COW that may not grow is full */
        NewCow top;
        auto served = std::make_unique<Device>(open_served(options(), top));
        auto status = std::make_unique<StatusServer>();
        status->listen(options().status);
        top.keep();
        rest_source(served->base().get());
        self.served = served.release();
        self.status = status.release();
    });
}

/* nbdkit ends at all three signals, and has set its handlers before. */
void on_end(int) {
    if (clients == 0) {
        kill(getpid(), SIGINT);
    }
}

void stay_while_in_use() {
    struct sigaction action = {};
    action.sa_handler = on_end;
    action.sa_flags = SA_RESTART;
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGHUP, &action, nullptr);
}

/* No other process serves this device later. */
Remembers &nothing() {
    static auto *memory = new Remembers();
    return *memory;
}

/* There is no block device here of which udev could be told. */
SpaceWatch &silent() {
    static auto *watch = new SpaceWatch();
    return *watch;
}

/* Runs in the serving process. Threads do not survive the fork. */
int after_fork() {
    if (options().stay) {
        stay_while_in_use();
        self.status->bound_log();
    }
    return guarded([] { self.status->start(*self.served, nothing(), silent()); });
}

void cleanup() {
    end(&self.status);
    if (self.served != nullptr) {
        (void)guarded([] { self.served->close(); });
    }
    end(&self.served);
    end(&self.options);
}

/* ---- abilities of a client ---- */

void *open_connection(int) {
    clients++;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

void close_connection(void *) { clients--; }

int64_t get_size(void *) { return static_cast<int64_t>(self.served->size()); }

int can_write(void *) { return self.served->info().writable ? 1 : 0; }

int can_trim(void *) { return self.served->info().can_discard ? 1 : 0; }

int yes(void *) { return 1; }

int no(void *) { return 0; }

int can_fua(void *) { return NBDKIT_FUA_NATIVE; }

/* A client that asks for caching has the data read: the engine's cache keeps it. */
int can_cache(void *) { return NBDKIT_CACHE_EMULATE; }

/* A write of less than a page costs a read; a read of less than a cluster too. */
int block_size(void *, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum) {
    const cw_device_info info = self.served->info();
    const uint32_t wanted = info.writable ? info.granularity : info.cluster;
    *minimum = 1;
    *preferred = wanted >= CW_PAGE_SIZE && cw_is_power_of_2(wanted) ? wanted : CW_PAGE_SIZE;
    *maximum = UINT32_MAX;
    return 0;
}

/* ---- output ---- */

void dump_plugin() {
    printf("cloopw_image_formats=%s\n", joined(image_format_names()).c_str());
    printf("cloopw_codecs=%s\n", joined(codec_names()).c_str());
    printf("cloopw_cow_formats=%s\n", joined(cow_format_names()).c_str());
    printf("cloopw_cow_codecs=%s\n", joined(cow_codec_names()).c_str());
}

/* ---- requests ---- */

int flush_if(bool fua, uint64_t offset) {
    return fua ? answer(cw_device_flush(&device()), "flush", offset) : 0;
}

int read(void *, void *buf, uint32_t count, uint64_t offset, uint32_t) {
    hint_read(device(), {offset, count});
    return answer(cw_device_read(&device(), offset, count, buf), "read", offset);
}

int write(void *, const void *buf, uint32_t count, uint64_t offset, uint32_t flags) {
    if (answer(cw_device_write(&device(), offset, count, buf), "write", offset) != 0) {
        return -1;
    }
    return flush_if((flags & NBDKIT_FLAG_FUA) != 0, offset);
}

int flush(void *, uint32_t) { return flush_if(true, 0); }

int trim(void *, uint32_t count, uint64_t offset, uint32_t flags) {
    if (answer(cw_device_discard(&device(), offset, count), "trim", offset) != 0) {
        return -1;
    }
    return flush_if((flags & NBDKIT_FLAG_FUA) != 0, offset);
}

int zero(void *, uint32_t count, uint64_t offset, uint32_t flags) {
    if ((flags & NBDKIT_FLAG_FAST_ZERO) != 0 && !self.served->info().can_zero) {
        nbdkit_set_error(EOPNOTSUPP); /* zeros would be written: not fast */
        return -1;
    }
    if (answer(cw_device_zero(&device(), offset, count), "zero", offset) != 0) {
        return -1;
    }
    return flush_if((flags & NBDKIT_FLAG_FUA) != 0, offset);
}

int extents(void *, uint32_t count, uint64_t offset, uint32_t flags, nbdkit_extents *list) {
    uint64_t end = offset + count;
    while (offset < end) {
        u64 n = 0;
        int is_zero = cw_device_is_zero(&device(), offset, end - offset, &n);
        if (is_zero < 0) {
            return answer(is_zero, "look up", offset);
        }
        uint32_t type = is_zero != 0 ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
        if (nbdkit_add_extent(list, offset, n, type) != 0) {
            return -1;
        }
        if ((flags & NBDKIT_FLAG_REQ_ONE) != 0) {
            break;
        }
        offset += n;
    }
    return 0;
}

/* nbdkit keeps the pointer. */
const std::string &help_text() {
    static const std::string text = [] {
        ServedOptions none;
        return help_of(served_parameters(none));
    }();
    return text;
}

nbdkit_plugin make_plugin() {
    nbdkit_plugin p = {};
    p.name = "cloopw";
    p.longname = "compressed, writable disk images (cloopw, cloop, raw)";
    p.version = CLOOPW_VERSION;
    p.config = config;
    p.config_complete = config_complete;
    p.config_help = help_text().c_str();
    p.dump_plugin = dump_plugin;
    p.magic_config_key = "image";
    p.get_ready = get_ready;
    p.after_fork = after_fork;
    p.cleanup = cleanup;
    p.open = open_connection;
    p.close = close_connection;
    p.get_size = get_size;
    p.can_write = can_write;
    p.can_flush = can_write;
    p.can_trim = can_trim;
    p.can_zero = yes;
    p.can_fast_zero = yes;
    p.can_fua = can_fua;
    p.can_extents = yes;
    p.can_cache = can_cache;
    p.can_multi_conn = yes;
    p.is_rotational = no;
    p.block_size = block_size;
    p.pread = read;
    p.pwrite = write;
    p.flush = flush;
    p.trim = trim;
    p.zero = zero;
    p.extents = extents;
    return p;
}

nbdkit_plugin plugin = make_plugin();

}  // namespace

NBDKIT_REGISTER_PLUGIN(plugin)

/* SPDX-License-Identifier: GPL-2.0 */
/* Tells on a socket how the device does. */
#ifndef CLOOPW_SERVE_STATUS_H
#define CLOOPW_SERVE_STATUS_H

#include <sys/stat.h>

#include <string>
#include <thread>

#include "lib/cloopw.h"
#include "orders.h"

namespace cloopw {

/*
 * The values that the driver has in sysfs, under the same names: a JSON object of texts.
 */
std::string status_text(const Device &device, const SpaceWatch &watch);

/*
 * Whoever connects to the socket and says nothing gets the text; root and the server's
 * own user may give orders, see orders.h. Meanwhile it looks now and then whether a full
 * COW has space again, as the driver does.
 */
class StatusServer {
public:
    StatusServer() = default;
    StatusServer(const StatusServer &) = delete;
    StatusServer &operator=(const StatusServer &) = delete;
    ~StatusServer();

    /* Before nbdkit forks. path empty: no socket. Throws Error. */
    void listen(const std::string &path);
    /* Standard error is a file of this server's own, which is kept short. */
    void bound_log() { bounds_log_ = true; }
    /* Afterwards. All three are there until stop(). */
    void start(Device &device, Remembers &memory, SpaceWatch &watch);
    void stop();

private:
    void serve(Device &device) const;
    void talk(Device &device, int client) const;
    void tend(Device &device) const;

    std::string path_;            /* empty: nothing to remove */
    struct stat file_ = {};       /* which file that is */
    bool bounds_log_ = false;     /* constant once it serves */
    Remembers *memory_ = nullptr; /* the same */
    SpaceWatch *watch_ = nullptr; /* the same */
    int socket_ = -1;
    int wake_[2] = {-1, -1}; /* a byte in it: stop */
    std::thread thread_;
};

}  // namespace cloopw

#endif

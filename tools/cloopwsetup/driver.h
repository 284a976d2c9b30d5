/* SPDX-License-Identifier: GPL-2.0 */
/* Finds devices, makes them, and the module behind them. */
#ifndef CLOOPWSETUP_DRIVER_H
#define CLOOPWSETUP_DRIVER_H

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel.h"
#include "kernel/cloopw/uapi/cloopw.h"
#include "lib/error.h"

namespace cloopw {

struct UserspaceDevice;

struct DeviceRef {
    int number = 0;
    std::string name; /* "cloopw3" */
    std::string path; /* "/dev/cloopw3", or the path it was asked for by */
    /* Set: it is attached without the driver, see userspace.h. */
    std::shared_ptr<const UserspaceDevice> userspace = nullptr;
};

/* The module is not there and cannot be loaded: other ways may do. */
class NoModule : public Error {
public:
    using Error::Error;
    explicit NoModule(const Error &error) : Error(error) {}
};

/* Says what is being done, for --verbose. */
using Say = std::function<void(const std::string &)>;

class Driver {
public:
    Driver(Kernel &kernel, Say say) : kernel_(kernel), say_(std::move(say)) {}

    Kernel &kernel() { return kernel_; }
    void say(const std::string &text) const { say_(text); }

    /* A device without an image; loads the module and adds a device if need be. */
    DeviceRef find_free();

    /*
     * The device that the user named: "/dev/cloopw3", "cloopw3" or a link to
     * it. With make, it is added if it is missing. Throws Error for what is no
     * cloopw device.
     */
    DeviceRef find(const std::string &arg, bool make);

    /* All that there are, by number. Empty when the module is not loaded. */
    std::vector<DeviceRef> devices();

    /* An attribute's text, without the newline at its end; "" when there is none. */
    std::string attribute(const DeviceRef &device, const std::string &name);
    /* "path" or "format" of each COW layer, the top first. */
    std::vector<std::string> layers(const DeviceRef &device, const std::string &name);
    /* Sets one; 0 or -errno. */
    int set_attribute(const DeviceRef &device, const std::string &name, const std::string &text);
    /* Has an image. */
    bool attached(const DeviceRef &device);

    /* The node. Throws Error when it cannot be opened. */
    Handle open(const DeviceRef &device, int flags);

    /* Waits until udev, where it runs, has dealt with all that is new. */
    void wait_for_udev();

    /* nullopt when it cannot be had, for want of permission for example. */
    std::optional<struct cloopw_status> status(const DeviceRef &device);

    /* Does not load the module. nullopt and *err 0: it is not loaded; else -errno. */
    std::optional<struct cloopw_query> query(int *err = nullptr);

private:
    /* Calls the control device, with the module loaded. -errno or the result. */
    int control(unsigned int request, long arg);
    Handle open_control();
    void load_module();
    DeviceRef device_of(int number);
    void add(int number);
    void wait_for_node(const DeviceRef &device);
    std::optional<DeviceRef> known_block_device(const std::string &arg, const struct stat &st);

    Kernel &kernel_;
    Say say_;
};

/* N of "cloopwN", nothing else; nullopt otherwise. */
std::optional<int> device_number(const std::string &name);

/* A small file's text without the newline at its end; "" when unreadable. */
std::string text_of(const std::string &path);

}  // namespace cloopw

#endif

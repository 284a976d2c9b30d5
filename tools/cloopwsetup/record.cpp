// SPDX-License-Identifier: GPL-2.0
#include "record.h"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <vector>

#include "lib/error.h"
#include "userspace/userspace.h"

namespace cloopw {

namespace {

FirstReads ask_driver(Driver &driver, const DeviceRef &device, uint64_t from) {
    std::vector<struct cloopw_first_read> room(4096);
    struct cloopw_reads request = {};
    request.size = sizeof(request);
    request.nr = static_cast<__u32>(room.size());
    request.from = from;
    request.reads = reinterpret_cast<__u64>(room.data());
    Handle node = driver.open(device, O_RDONLY | O_NONBLOCK);
    const int err = node.ioctl(CLOOPW_GET_READS, reinterpret_cast<unsigned long>(&request));
    if (err == -ENODATA) {
        throw Error(device.path + ": nothing is recorded of it; attach it with --recording, and " +
                        "a compressed image",
                    ENODATA);
    }
    if (err < 0) {
        throw io_error(device.path, "its record cannot be read", -err,
                       err == -ENOTTY ? "this program and the module are of different versions"
                                      : "run this as root");
    }
    FirstReads reads;
    reads.block_size = request.block_size;
    for (size_t n = 0; n < request.nr; n++) {
        reads.reads.push_back({room[n].block, room[n].ms});
    }
    return reads;
}

}  // namespace

void record(Driver &driver, const DeviceRef &device, const std::string &path) {
    std::ofstream file;
    for (uint64_t from = 0;;) {
        const FirstReads some = device.userspace ? first_reads_userspace(device, from)
                                                 : ask_driver(driver, device, from);
        if (!file.is_open()) { /* only now is there something for it */
            file.open(path);
            file << "# blocks of " << some.block_size
                 << " bytes, in the order of their first read\n";
        }
        for (const FirstReads::Read &read : some.reads) {
            file << read.block << "\t# " << read.ms << " ms\n";
        }
        from += some.reads.size();
        if (some.reads.empty()) {
            break;
        }
    }
    file.close();
    if (!file) {
        throw io_error(path, "cannot be written", errno);
    }
}

}  // namespace cloopw

/* SPDX-License-Identifier: GPL-2.0 */
/* COW files over images, for mkcloopw to read. */
#ifndef CLOOPW_TESTS_MKCLOOPW_LAYERS_H
#define CLOOPW_TESTS_MKCLOOPW_LAYERS_H

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lib/cloopw.h"
#include "lib/cow/chain.h"
#include "lib/cow/lock.h"
#include "lib/cow/log_writer.h"
#include "lib/cow/uml_writer.h"
#include "support/mkcloopw_tool.h"

namespace cloopw::test {

class MkcloopwLayers : public Mkcloopw {
protected:
    /* An empty log over this base. */
    std::string make_log(const std::string &name, const std::string &base,
                         LogCowConfig config = {}) const {
        Image image(Io::open(base, Io::Mode::kRead));
        config.size = cw_round_up(image.size(), 512);
        std::copy_n(image.info().uuid, CW_UUID_LEN, config.base_uuid.begin());
        config.uuid.fill(7);
        config.parent = base;
        return make(name, config);
    }

    std::string make_uml(const std::string &name, const std::string &base) const {
        std::string path = dir_ / name;
        int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        Io io = Io::open(base, Io::Mode::kRead);
        write_uml_cow(fd, path, {base, io.get().mtime, Image(std::move(io)).size()});
        ::close(fd);
        return path;
    }

    /* layers: the top first. All but the first are frozen, or UML's. */
    static Device attach(const std::string &base, const std::vector<std::string> &layers,
                         bool read_only = false) {
        std::vector<Io> ios;
        for (const std::string &layer : layers) {
            bool write = ios.empty() && !read_only;
            ios.push_back(Io::open(layer, write ? Io::Mode::kReadWrite : Io::Mode::kRead));
        }
        Device::Config config;
        config.read_only = read_only;
        return Device(Io::open(base, Io::Mode::kRead), std::move(ios), config);
    }

    static Bytes shown(const std::string &base, const std::vector<std::string> &layers) {
        Device device = attach(base, layers, true);
        Bytes bytes(device.size());
        device.read(bytes.data(), static_cast<u32>(bytes.size()), 0);
        return bytes;
    }

    static void write(const std::string &base, const std::vector<std::string> &layers, u64 off,
                      const Bytes &data) {
        Device device = attach(base, layers);
        device.write(data.data(), static_cast<u32>(data.size()), off);
        device.close();
    }

    /* Freezes the top of these layers, unless it is UML's, and makes a new one over it. */
    std::string put_over(const std::string &base, const std::vector<std::string> &layers,
                         const std::string &name, LogCowConfig config = {}) const {
        CowLayer top = identify_cow(layers.front());
        Device device = attach(base, layers, top.frozen);
        config.size = device.size();
        config.uuid = random_uuid();
        config.over_layer = true;
        config.parent = cow_parent_hint(dir_ / name, layers.front());
        config.base_uuid = top.frozen || top.format != "log" ? top.uuid : random_uuid();
        std::string path = make(name, config);
        if (top.format == "log" && !top.frozen) {
            device.snapshot(Io::open(path, Io::Mode::kReadWrite));
        }
        device.close();
        return path;
    }

private:
    std::string make(const std::string &name, const LogCowConfig &config) const {
        std::string path = dir_ / name;
        int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        write_log_cow(fd, path, config);
        ::close(fd);
        return path;
    }
};

}  // namespace cloopw::test

#endif

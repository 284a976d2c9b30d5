// SPDX-License-Identifier: GPL-2.0
/*
 * cowcat [-w OFFSET FILE]... BASE [COW...]: reads the device that the engine
 * makes of a base image and COW files, the top first, and writes it to stdout.
 * With -w, writes FILE to it at byte OFFSET instead.
 */
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "lib/cloopw.h"

namespace {

using cloopw::Device;
using cloopw::Error;
using cloopw::Io;

struct Write {
    u64 off;
    std::string file;
};

std::vector<u8> slurp(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        throw Error(path + ": cannot be opened");
    }
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void put_all(const Device &device) {
    std::vector<u8> buf(1 << 20);
    for (u64 off = 0; off < device.size(); off += buf.size()) {
        const u32 len = static_cast<u32>(cw_min(buf.size(), device.size() - off));
        device.read(buf.data(), len, off);
        if (fwrite(buf.data(), 1, len, stdout) != len) {
            throw Error("cannot write to stdout", errno);
        }
    }
    if (fflush(stdout) != 0) {
        throw Error("cannot write to stdout", errno);
    }
}

void run(std::vector<std::string> args) {
    std::vector<Write> writes;
    while (args.size() > 2 && args[0] == "-w") {
        writes.push_back({std::stoull(args[1]), args[2]});
        args.erase(args.begin(), args.begin() + 3);
    }
    if (args.empty()) {
        throw Error("usage: cowcat [-w OFFSET FILE]... BASE [COW...]");
    }
    Device::Config config;
    config.read_only = writes.empty();
    std::vector<Io> layers;
    for (size_t i = 1; i < args.size(); i++) {
        const bool written = i == 1 && !writes.empty();
        layers.push_back(Io::open(args[i], written ? Io::Mode::kReadWrite : Io::Mode::kRead));
    }
    Device device(Io::open(args[0], Io::Mode::kRead), std::move(layers), config);
    for (const Write &write : writes) {
        const std::vector<u8> bytes = slurp(write.file);
        device.write(bytes.data(), static_cast<u32>(bytes.size()), write.off);
    }
    if (writes.empty()) {
        put_all(device);
    }
    device.close();
}

}  // namespace

int main(int argc, char **argv) {
    try {
        run(std::vector<std::string>(argv + 1, argv + argc));
    } catch (const std::exception &e) {
        fprintf(stderr, "cowcat: %s\n", e.what());
        return 1;
    }
    return 0;
}

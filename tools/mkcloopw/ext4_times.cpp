// SPDX-License-Identifier: GPL-2.0
/*
 * The structures are described in Documentation/filesystems/ext4 of the Linux
 * kernel. Numbers below are offsets in them.
 */
#include "ext4_times.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace cloopw {

namespace {

constexpr u64 kSuperAt = 1024;
constexpr u32 kMagic = 0xef53;
constexpr u32 kRootInode = 2;
constexpr u32 kIncompat64Bit = 0x80;
constexpr u32 kIncompatMetaBg = 0x10;
constexpr u32 kRoCompatMetadataCsum = 0x400;
constexpr u16 kUninitialised = 1;

/* Little-endian numbers at offsets. */
class Record {
public:
    Record(u8 *bytes, size_t len) : bytes_(bytes), len_(len) {}

    u16 get16(size_t at) const { return cw_from_le16(load<__le16>(at)); }
    u32 get32(size_t at) const { return cw_from_le32(load<__le32>(at)); }
    void put16(size_t at, u16 value) { store(at, cw_to_le16(value)); }
    void put32(size_t at, u32 value) { store(at, cw_to_le32(value)); }
    const u8 *bytes() const { return bytes_; }
    size_t len() const { return len_; }

private:
    template <typename T>
    T load(size_t at) const {
        T value;
        std::memcpy(&value, bytes_ + at, sizeof(value));
        return value;
    }
    template <typename T>
    void store(size_t at, T value) {
        std::memcpy(bytes_ + at, &value, sizeof(value));
    }

    u8 *const bytes_;
    const size_t len_;
};

/* The geometry of the file system that mke2fs made. */
struct Geometry {
    u32 inodes;
    u32 inodes_per_group;
    u32 first_inode; /* lost+found; those below are the file system's own */
    u32 block_size;
    u32 inode_size;
    u32 desc_size;
    u64 desc_at;
    bool checksums;
    std::array<u8, 16> uuid;

    u32 groups() const { return static_cast<u32>(cw_div_up(inodes, inodes_per_group)); }
};

Geometry read_geometry(const Io &io) {
    std::array<u8, 1024> super_bytes{};
    io.read(super_bytes.data(), super_bytes.size(), kSuperAt);
    Record super(super_bytes.data(), super_bytes.size());
    u32 incompat = super.get32(0x60);
    Geometry geometry = {};
    geometry.inodes = super.get32(0x00);
    geometry.inodes_per_group = super.get32(0x28);
    geometry.first_inode = super.get32(0x54);
    geometry.block_size = 1024U << (super.get32(0x18) & 15);
    geometry.inode_size = super.get16(0x58);
    geometry.desc_size = (incompat & kIncompat64Bit) != 0 ? super.get16(0xfe) : 32;
    geometry.desc_at = (u64{super.get32(0x14)} + 1) * geometry.block_size;
    geometry.checksums = (super.get32(0x64) & kRoCompatMetadataCsum) != 0;
    std::memcpy(geometry.uuid.data(), super_bytes.data() + 0x68, geometry.uuid.size());
    if (super.get16(0x38) != kMagic || geometry.inode_size < 256 || geometry.inode_size > 4096 ||
        geometry.inodes_per_group == 0 || geometry.desc_size < 32 || geometry.desc_size > 1024 ||
        (incompat & kIncompatMetaBg) != 0) {
        throw Error(std::string(io.name()) + ": mke2fs made a file system of an unknown kind; " +
                        "look at /etc/mke2fs.conf",
                    EINVAL);
    }
    return geometry;
}

class Settler {
public:
    Settler(const Io &io, const struct stat &root, const Ext4Times &times)
        : io_(io), root_(root), times_(times), geometry_(read_geometry(io)) {}

    void run() {
        for (u32 group = 0; group < geometry_.groups(); group++) {
            settle_group(group);
        }
    }

private:
    void settle_group(u32 group) {
        std::vector<u8> desc_bytes(geometry_.desc_size);
        io_.read(desc_bytes.data(), desc_bytes.size(),
                 geometry_.desc_at + u64{group} * geometry_.desc_size);
        Record desc(desc_bytes.data(), desc_bytes.size());
        if ((desc.get16(0x12) & kUninitialised) != 0) {
            return;
        }
        bool wide = geometry_.desc_size >= 64;
        u64 table = desc.get32(0x08) | (wide ? u64{desc.get32(0x28)} << 32 : 0);
        u32 unused = desc.get16(0x1c) | (wide ? u32{desc.get16(0x32)} << 16 : 0);
        if (unused > geometry_.inodes_per_group) {
            throw Error(std::string(io_.name()) + ": mke2fs made a group that cannot be", EIO);
        }
        settle_table(group, table * geometry_.block_size, geometry_.inodes_per_group - unused);
    }

    void settle_table(u32 group, u64 at, u32 used) {
        constexpr u32 kAtOnce = 256;
        std::vector<u8> buffer;
        for (u32 first = 0; first < used; first += kAtOnce) {
            u32 count = static_cast<u32>(cw_min(kAtOnce, used - first));
            buffer.resize(size_t{count} * geometry_.inode_size);
            u64 off = at + u64{first} * geometry_.inode_size;
            io_.read(buffer.data(), buffer.size(), off);
            for (u32 i = 0; i < count; i++) {
                Record inode(buffer.data() + size_t{i} * geometry_.inode_size,
                             geometry_.inode_size);
                settle_inode(group * geometry_.inodes_per_group + first + i + 1, inode);
            }
            io_.write(buffer.data(), buffer.size(), off);
        }
    }

    void settle_inode(u32 number, Record inode) {
        if (inode.get16(0x00) == 0) {
            return; /* not in use */
        }
        if (number == kRootInode) {
            inode.put16(0x00, static_cast<u16>((inode.get16(0x00) & S_IFMT) |
                                               (root_.st_mode & ~u32{S_IFMT})));
        }
        put_mtime(inode, settled_mtime(number, inode));
        for (size_t at : {0x08, 0x0c, 0x90}) { /* read, changed, made */
            inode.put32(at, inode.get32(0x10));
        }
        for (size_t at : {0x8c, 0x84, 0x94}) {
            inode.put32(at, inode.get32(0x88));
        }
        if (geometry_.checksums) {
            put_checksum(number, inode);
        }
    }

    s64 settled_mtime(u32 number, const Record &inode) const {
        const u64 most = static_cast<u64>(kExt4Newest);
        s64 time = static_cast<s64>(std::min(times_.now, most)); /* mke2fs's own */
        if (number == kRootInode) {
            time = root_.st_mtime;
        } else if (number > geometry_.first_inode) {
            time = times_.oldest + (inode.get32(0x10) - static_cast<u32>(times_.oldest));
        }
        return std::min(time, static_cast<s64>(std::min(times_.latest.value_or(most), most)));
    }

    /* 34 bits: seconds, signed, and an epoch in the field that has nanoseconds, too. */
    static void put_mtime(Record &inode, s64 seconds) {
        auto low = static_cast<u32>(seconds);
        s64 epoch = (seconds - static_cast<int32_t>(low)) >> 32;
        inode.put32(0x10, low);
        inode.put32(0x88, static_cast<u32>(epoch) & 3);
    }

    /* The checksum covers UUID, number, generation and the inode with a zero checksum. */
    void put_checksum(u32 number, Record &inode) {
        inode.put16(0x7c, 0);
        inode.put16(0x82, 0);
        std::vector<u8> sum(geometry_.uuid.begin(), geometry_.uuid.end());
        __le32 words[] = {cw_to_le32(number), cw_to_le32(inode.get32(0x64))};
        const auto *word_bytes = reinterpret_cast<const u8 *>(words);
        sum.insert(sum.end(), word_bytes, word_bytes + sizeof(words));
        sum.insert(sum.end(), inode.bytes(), inode.bytes() + inode.len());
        u32 crc = ~cw_crc32c(sum.data(), sum.size()); /* without the last inversion */
        inode.put16(0x7c, static_cast<u16>(crc));
        inode.put16(0x82, static_cast<u16>(crc >> 16));
    }

    const Io &io_;
    const struct stat &root_;
    const Ext4Times times_;
    const Geometry geometry_;
};

}  // namespace

void settle_ext4(const Io &io, const struct stat &root, const Ext4Times &times) {
    Settler(io, root, times).run();
}

}  // namespace cloopw

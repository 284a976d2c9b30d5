// SPDX-License-Identifier: GPL-2.0
/*
 * docs/reference/format.md against format.h. A table that stands under a line
 * `struct NAME` has the columns offset, size, type, field and meaning.
 */
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "lib/core.h"

namespace cloopw::test {
namespace {

struct Row {
    size_t offset;
    size_t size;
    std::string type;
    std::string field;
};

struct Field {
    size_t offset;
    size_t size;
};

using Fields = std::map<std::string, Field>;

#define FIELD(type, member)                                       \
    {                                                             \
#member, { offsetof(type, member), sizeof(type::member) } \
    }

struct Struct {
    size_t size;
    Fields fields;
};

const std::map<std::string, Struct> kStructs = {
    {"cw_disk_super",
     {sizeof(cw_disk_super), {FIELD(cw_disk_super, magic),      FIELD(cw_disk_super, version),
                              FIELD(cw_disk_super, crc),        FIELD(cw_disk_super, compat),
                              FIELD(cw_disk_super, ro_compat),  FIELD(cw_disk_super, incompat),
                              FIELD(cw_disk_super, uuid),       FIELD(cw_disk_super, size),
                              FIELD(cw_disk_super, file_bytes), FIELD(cw_disk_super, block_size),
                              FIELD(cw_disk_super, levels),     FIELD(cw_disk_super, codecs),
                              FIELD(cw_disk_super, codec),      FIELD(cw_disk_super, level),
                              FIELD(cw_disk_super, reserved0),  FIELD(cw_disk_super, created),
                              FIELD(cw_disk_super, root),       FIELD(cw_disk_super, label),
                              FIELD(cw_disk_super, boot_bytes), FIELD(cw_disk_super, reserved)}}},
    {"cw_disk_ref",
     {sizeof(cw_disk_ref),
      {FIELD(cw_disk_ref, where), FIELD(cw_disk_ref, stored), FIELD(cw_disk_ref, crc)}}},
    {"cw_disk_index_page", {sizeof(cw_disk_index_page), {FIELD(cw_disk_index_page, ref)}}},
    {"cw_disk_cloop_head",
     {sizeof(cw_disk_cloop_head),
      {FIELD(cw_disk_cloop_head, preamble), FIELD(cw_disk_cloop_head, block_size),
       FIELD(cw_disk_cloop_head, blocks)}}},
    {"cw_disk_uml1",
     {sizeof(cw_disk_uml1),
      {FIELD(cw_disk_uml1, magic), FIELD(cw_disk_uml1, version), FIELD(cw_disk_uml1, base),
       FIELD(cw_disk_uml1, mtime), FIELD(cw_disk_uml1, size), FIELD(cw_disk_uml1, sector_size)}}},
    {"cw_disk_uml2",
     {sizeof(cw_disk_uml2),
      {FIELD(cw_disk_uml2, magic), FIELD(cw_disk_uml2, version), FIELD(cw_disk_uml2, base),
       FIELD(cw_disk_uml2, mtime), FIELD(cw_disk_uml2, size), FIELD(cw_disk_uml2, sector_size)}}},
    {"cw_disk_uml3_padded",
     {sizeof(cw_disk_uml3_padded),
      {FIELD(cw_disk_uml3_padded, magic), FIELD(cw_disk_uml3_padded, version),
       FIELD(cw_disk_uml3_padded, mtime), FIELD(cw_disk_uml3_padded, mtime_be),
       FIELD(cw_disk_uml3_padded, size), FIELD(cw_disk_uml3_padded, sector_size),
       FIELD(cw_disk_uml3_padded, alignment), FIELD(cw_disk_uml3_padded, cow_format),
       FIELD(cw_disk_uml3_padded, base), FIELD(cw_disk_uml3_padded, padding)}}},
    {"cw_disk_uml3",
     {sizeof(cw_disk_uml3),
      {FIELD(cw_disk_uml3, magic), FIELD(cw_disk_uml3, version), FIELD(cw_disk_uml3, mtime),
       FIELD(cw_disk_uml3, size), FIELD(cw_disk_uml3, sector_size), FIELD(cw_disk_uml3, alignment),
       FIELD(cw_disk_uml3, cow_format), FIELD(cw_disk_uml3, base)}}},
    {"cw_disk_log_super",
     {sizeof(cw_disk_log_super),
      {FIELD(cw_disk_log_super, magic),        FIELD(cw_disk_log_super, version),
       FIELD(cw_disk_log_super, crc),          FIELD(cw_disk_log_super, compat),
       FIELD(cw_disk_log_super, ro_compat),    FIELD(cw_disk_log_super, incompat),
       FIELD(cw_disk_log_super, uuid),         FIELD(cw_disk_log_super, seq),
       FIELD(cw_disk_log_super, size),         FIELD(cw_disk_log_super, base_uuid),
       FIELD(cw_disk_log_super, base_mtime),   FIELD(cw_disk_log_super, codec),
       FIELD(cw_disk_log_super, codec_level),  FIELD(cw_disk_log_super, limit),
       FIELD(cw_disk_log_super, gen_limit),    FIELD(cw_disk_log_super, segments),
       FIELD(cw_disk_log_super, log_gen),      FIELD(cw_disk_log_super, log_seq),
       FIELD(cw_disk_log_super, log_segment),  FIELD(cw_disk_log_super, log_sector),
       FIELD(cw_disk_log_super, meta_segment), FIELD(cw_disk_log_super, meta_sector),
       FIELD(cw_disk_log_super, map_root),     FIELD(cw_disk_log_super, usage_root),
       FIELD(cw_disk_log_super, parent),       FIELD(cw_disk_log_super, codec_hc),
       FIELD(cw_disk_log_super, reserved0),    FIELD(cw_disk_log_super, plain_pages),
       FIELD(cw_disk_log_super, base_digest),  FIELD(cw_disk_log_super, base_size),
       FIELD(cw_disk_log_super, reserved)}}},
    {"cw_disk_log_record",
     {sizeof(cw_disk_log_record),
      {FIELD(cw_disk_log_record, magic), FIELD(cw_disk_log_record, header_crc),
       FIELD(cw_disk_log_record, gen), FIELD(cw_disk_log_record, seq),
       FIELD(cw_disk_log_record, page), FIELD(cw_disk_log_record, pages),
       FIELD(cw_disk_log_record, stored), FIELD(cw_disk_log_record, payload_crc),
       FIELD(cw_disk_log_record, type), FIELD(cw_disk_log_record, codec),
       FIELD(cw_disk_log_record, data_mask), FIELD(cw_disk_log_record, zero_mask),
       FIELD(cw_disk_log_record, sectors), FIELD(cw_disk_log_record, reserved),
       FIELD(cw_disk_log_record, from), FIELD(cw_disk_log_record, next_gen)}}},
};

std::vector<std::string> cells_of(const std::string &line) {
    std::vector<std::string> cells;
    std::istringstream in(line.substr(1)); /* behind the first bar */
    for (std::string cell; std::getline(in, cell, '|');) {
        const size_t begin = cell.find_first_not_of(' ');
        const size_t end = cell.find_last_not_of(' ');
        cells.push_back(begin == std::string::npos ? "" : cell.substr(begin, end - begin + 1));
    }
    return cells;
}

/* The tables of format.md by the struct they describe. */
std::map<std::string, std::vector<Row>> documented() {
    std::map<std::string, std::vector<Row>> tables;
    std::ifstream in(CLOOPW_SOURCE_DIR "/docs/reference/format.md");
    const std::string mark = "`struct ";
    std::string current;
    for (std::string line; std::getline(in, line);) {
        if (line.rfind(mark, 0) == 0 && line.back() == '`') {
            current = line.substr(mark.size(), line.size() - mark.size() - 1);
            tables[current];
        } else if (!current.empty() && !line.empty() && line.front() == '|') {
            const std::vector<std::string> cells = cells_of(line);
            if (cells.size() == 5 && !cells[0].empty() && isdigit(cells[0][0]) != 0) {
                tables[current].push_back(
                    {std::stoul(cells[0]), std::stoul(cells[1]), cells[2], cells[3]});
            }
        } else if (!line.empty()) {
            current.clear();
        }
    }
    return tables;
}

class CoreFormatDoc : public testing::TestWithParam<std::string> {
protected:
    const Struct &struct_of() const { return kStructs.at(GetParam()); }
    std::vector<Row> rows() const { return documented()[GetParam()]; }
};

TEST_P(CoreFormatDoc, HasEveryFieldWhereItIs) {
    Fields left = struct_of().fields;
    for (const Row &row : rows()) {
        ASSERT_EQ(left.count(row.field), 1u) << row.field;
        EXPECT_EQ(left[row.field].offset, row.offset) << row.field;
        EXPECT_EQ(left[row.field].size, row.size) << row.field;
        left.erase(row.field);
    }
    EXPECT_TRUE(left.empty()) << left.begin()->first << " is not there";
}

TEST_P(CoreFormatDoc, LeavesNoByteOut) {
    size_t end = 0;
    for (const Row &row : rows()) {
        EXPECT_EQ(row.offset, end) << row.field;
        end = row.offset + row.size;
    }
    EXPECT_EQ(end, struct_of().size);
}

TEST_P(CoreFormatDoc, TypesAreAsLongAsTheirFields) {
    static const std::map<std::string, size_t> kSizes = {
        {"le16", 2}, {"le32", 4}, {"le64", 8}, {"be32", 4}, {"be64", 8}, {"u8", 1}, {"ref", 16}};
    for (const Row &row : rows()) {
        const auto known = kSizes.find(row.type);
        EXPECT_TRUE(known == kSizes.end() || known->second == row.size) << row.field;
    }
}

std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const auto &[name, ignored] : kStructs) {
        names.push_back(name);
    }
    return names;
}

INSTANTIATE_TEST_SUITE_P(Structs, CoreFormatDoc, testing::ValuesIn(names()),
                         [](const auto &info) { return info.param; });

TEST(CoreFormatDocAll, DescribesNoStructThisTestDoesNotKnow) {
    for (const auto &[name, ignored] : documented()) {
        EXPECT_EQ(kStructs.count(name), 1u) << name;
    }
}

/* A line of format.md for each id. The first of two codecs with one id reads it. */
TEST(CoreFormatDocAll, HasEveryCodec) {
    std::set<int> ids;
    std::vector<std::string> wanted;
    auto want = [&](int id, const std::string &name, const std::string &stream) {
        if (ids.insert(id).second) {
            wanted.push_back("| " + std::to_string(id) + " | " + name + " | " + stream + " |");
        }
    };
#define WANT(ID, name, id, world, min, max, level, stream) want(id, #name, stream);
    CW_CODECS(WANT)
#undef WANT
    std::ifstream in(CLOOPW_SOURCE_DIR "/docs/reference/format.md");
    std::vector<std::string> found;
    for (std::string line; std::getline(in, line);) {
        if (line == "| codec | name | stream |") {
            std::getline(in, line); /* the rule below the heading */
            while (std::getline(in, line) && !line.empty()) {
                found.push_back(line);
            }
            break;
        }
    }
    EXPECT_EQ(found, wanted) << "run 'make lists'";
}

/* format.md gives the checksum's value for the usual test string. */
TEST(CoreFormatDocAll, TheChecksumIsTheOneItNames) {
    EXPECT_EQ(cw_crc32c("123456789", 9), 0xe3069283u);
}

TEST(CoreFormatDocAll, TheMagicsAreTheOnesItNames) {
    EXPECT_EQ(std::string(CW_IMAGE_MAGIC), "\x63\x6c\x6f\x6f\x70\x77\x1a\x0a");
    EXPECT_EQ(CW_UML_MAGIC, 0x4f4f4f4du);
    EXPECT_EQ(std::string(CW_LOG_MAGIC), "\x63\x6c\x6f\x6f\x70\x77\x43\x0a");
    EXPECT_EQ(CW_LOG_RECORD_MAGIC, 0x52576c63u);
    EXPECT_EQ(std::string(CW_CLOOP2_SIGNATURE), "\x56\x32\x2e\x30");
    EXPECT_EQ(CW_CLOOP_SIGNATURE_AT, 11u);
}

}  // namespace
}  // namespace cloopw::test

// SPDX-License-Identifier: GPL-2.0
#include "summary.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/escape.h"
#include "lib/size.h"
#include "lib/uuid.h"

namespace cloopw {

namespace {

double rate(u64 bytes, double seconds) {
    return seconds > 0 ? static_cast<double>(bytes) / seconds / 1e6 : 0;
}

/* Blocks that this run compressed, or tried to compress. */
u64 compressed_blocks(const ImageWriterStats &stats) {
    return stats.blocks - stats.zero_blocks - stats.copied_blocks;
}

}  // namespace

Json compress_json(const Job &job, const CompressResult &result, double seconds) {
    const ImageWriterStats &stats = result.stats;
    Json json;
    json["input"] = job.input;
    json["output"] = job.output;
    json["format"] = job.format->name;
    json["codec"] = job.options.codec->name;
    json["level"] = job.options.level;
    json["block_size"] = job.options.block_size;
    json["threads"] = job.threads;
    json["input_bytes"] = stats.input_bytes;
    json["output_bytes"] = stats.output_bytes;
    json["ratio"] =
        static_cast<double>(stats.input_bytes) / static_cast<double>(stats.output_bytes);
    json["blocks"] = stats.blocks;
    json["zero_blocks"] = stats.zero_blocks;
    json["copied_blocks"] = stats.copied_blocks;
    json["compressed_blocks"] = compressed_blocks(stats);
    json["duplicate_blocks"] = stats.duplicate_blocks;
    json["raw_blocks"] = stats.raw_blocks;
    json["seconds"] = seconds;
    json["megabytes_per_second"] = rate(stats.input_bytes, seconds);
    json["uuid"] = format_uuid(result.uuid.data());
    json["label"] = job.options.label;
    return json;
}

void add_lost(Json &json, const std::vector<Rescue::Range> &lost) {
    u64 bytes = 0;
    json["lost"] = Json::array();
    for (const Rescue::Range &range : lost) {
        json["lost"].push_back({{"offset", range.off}, {"length", range.len}});
        bytes += range.len;
    }
    json["lost_bytes"] = bytes;
}

std::string compress_text(const Job &job, const CompressResult &result, double seconds) {
    const ImageWriterStats &stats = result.stats;
    std::string copied =
        stats.copied_blocks != 0 ? fmt::format("{} copied, ", stats.copied_blocks) : "";
    return fmt::format(
        "{}: {} -> {} ({:.1f} %), {} level {}\n"
        "{} blocks of {}: {}{} zero, {} duplicate, {} not shrunk; {:.1f} s, {:.0f} MB/s\n",
        escaped(job.output), format_size(stats.input_bytes), format_size(stats.output_bytes),
        100.0 * static_cast<double>(stats.output_bytes) / static_cast<double>(stats.input_bytes),
        job.options.codec->name, job.options.level, stats.blocks,
        exact_size(job.options.block_size), copied, stats.zero_blocks, stats.duplicate_blocks,
        stats.raw_blocks, seconds, rate(stats.input_bytes, seconds));
}

Json extract_json(const Job &job, const ExtractResult &result, double seconds) {
    Json json;
    json["input"] = job.input;
    json["output"] = job.output;
    json["format"] = result.format;
    json["threads"] = job.threads;
    json["input_bytes"] = result.image_bytes;
    json["output_bytes"] = result.bytes;
    json["seconds"] = seconds;
    json["megabytes_per_second"] = rate(result.bytes, seconds);
    return json;
}

Json estimate_json(const Job &job, const EstimateResult &result) {
    Json json;
    json["input"] = job.input;
    json["format"] = job.format->name;
    json["block_size"] = job.options.block_size;
    json["input_bytes"] = result.input_bytes;
    json["blocks"] = result.blocks;
    json["sampled_blocks"] = result.sampled_blocks;
    json["estimates"] = Json::array();
    for (const EstimateResult::Line &line : result.lines) {
        json["estimates"].push_back({{"codec", line.codec},
                                     {"level", line.level},
                                     {"output_bytes", line.output_bytes},
                                     {"ratio", static_cast<double>(result.input_bytes) /
                                                   static_cast<double>(line.output_bytes)}});
    }
    return json;
}

std::string estimate_text(const Job &job, const EstimateResult &result) {
    Table table(
        {{"CODEC"}, {"LEVEL", Table::kRight}, {"SIZE", Table::kRight}, {"PERCENT", Table::kRight}});
    for (const EstimateResult::Line &line : result.lines) {
        table.add({line.codec, std::to_string(line.level), format_size(line.output_bytes),
                   fmt::format("{:.1f}", 100.0 * static_cast<double>(line.output_bytes) /
                                             static_cast<double>(result.input_bytes))});
    }
    std::ostringstream out;
    out << fmt::format("{}: {}, from {} of {} blocks of {}; {} would have about\n",
                       escaped(job.input), format_size(result.input_bytes), result.sampled_blocks,
                       result.blocks, exact_size(job.options.block_size), job.format->name);
    table.print(out);
    return out.str();
}

std::string extract_text(const Job &job, const ExtractResult &result, double seconds) {
    return fmt::format("{}: {} from {} ({}); {:.1f} s, {:.0f} MB/s\n", escaped(job.output),
                       format_size(result.bytes), escaped(job.input), result.format, seconds,
                       rate(result.bytes, seconds));
}

}  // namespace cloopw

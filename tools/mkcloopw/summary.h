/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The results of mkcloopw, as JSON or as text for people. Sizes in JSON are in bytes;
 * seconds: duration of the job.
 */
#ifndef CLOOPW_MKCLOOPW_SUMMARY_H
#define CLOOPW_MKCLOOPW_SUMMARY_H

#include <string>

#include "jobs.h"
#include "tools/common/table.h"

namespace cloopw {
/* The result of a job, as an object with sizes in bytes, and as lines for people. */
Json compress_json(const Job &job, const CompressResult &result, double seconds);
/* Adds the ranges that --rescue could not read. */
void add_lost(Json &json, const std::vector<Rescue::Range> &lost);
std::string compress_text(const Job &job, const CompressResult &result, double seconds);

Json extract_json(const Job &job, const ExtractResult &result, double seconds);
std::string extract_text(const Job &job, const ExtractResult &result, double seconds);

/*
 * One object: the sizes of the input and the sample, and an entry a codec. Sizes are in
 * bytes.
 */
Json estimate_json(const Job &job, const EstimateResult &result);
std::string estimate_text(const Job &job, const EstimateResult &result);

}  // namespace cloopw

#endif

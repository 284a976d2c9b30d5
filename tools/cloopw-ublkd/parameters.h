/* SPDX-License-Identifier: GPL-2.0 */
/* The parameters of cloopw-ublkd. */
#ifndef CLOOPW_UBLKD_PARAMETERS_H
#define CLOOPW_UBLKD_PARAMETERS_H

#include <cstdint>
#include <optional>
#include <string>

#include "lib/serve/parameter.h"
#include "server.h"

namespace cloopw {

struct UblkArguments {
    UblkOptions options;
    std::optional<uint32_t> remove; /* end this device, and serve nothing */
    std::optional<uint32_t> orphan; /* the same, when it has no server */
    std::optional<uint32_t> state;  /* descriptor of the state of a server to replace */
};

/* The parameters that set them; the arguments outlive these. */
Parameters device_parameters(UblkOptions &options);
Parameters removal_parameters(UblkArguments &arguments);
Parameters all_parameters(UblkArguments &arguments);

/* The text of --help. */
std::string ublkd_help();

/* Sets what the word KEY=VALUE says. Throws UsageError. */
void set_parameter(const Parameters &parameters, const std::string &word);

}  // namespace cloopw

#endif

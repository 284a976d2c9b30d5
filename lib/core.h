/* SPDX-License-Identifier: GPL-2.0 */
/* The engine's headers for C++. */
#ifndef CLOOPW_LIB_CORE_H
#define CLOOPW_LIB_CORE_H

extern "C" {
#include "cache.h"
#include "codec.h"
#include "cow.h"
#include "device.h"
#include "format.h"
#include "image.h"
#include "io.h"
#include "report.h"
}

#endif

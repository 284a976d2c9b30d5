/* SPDX-License-Identifier: GPL-2.0 */
/* The attached devices as a table, as JSON, as lines. One row of a table a column. */
#ifndef CLOOPWSETUP_LIST_H
#define CLOOPWSETUP_LIST_H

#include <ostream>
#include <string>
#include <vector>

#include "driver.h"
#include "lib/names.h"

namespace cloopw {

struct ListOptions {
    std::string columns; /* names with commas; empty: the usual */
    bool all_columns = false;
    bool json = false;
    bool raw = false;
    bool headings = true;
};

/* Throws UsageError for unknown columns, before anything is printed. */
void list(Driver &driver, const std::vector<DeviceRef> &devices, const ListOptions &options,
          std::ostream &out);

/* All of one device, "key: value" lines. */
void print_status(Driver &driver, const DeviceRef &device, std::ostream &out);

/* The devices whose image or COW the file is. */
std::vector<DeviceRef> associated(Driver &driver, const std::vector<DeviceRef> &devices,
                                  const std::string &file);

Names column_keys(); /* "name", "size"... */

}  // namespace cloopw

#endif

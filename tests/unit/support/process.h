/* SPDX-License-Identifier: GPL-2.0 */
/* Real files and real programs, for tests against other people's tools. */
#ifndef CLOOPW_TESTS_PROCESS_H
#define CLOOPW_TESTS_PROCESS_H

#include <string>
#include <vector>

#include "support/test_io.h"

namespace cloopw::test {

/* A directory that the destructor removes. */
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir &) = delete;
    TempDir &operator=(const TempDir &) = delete;

    std::string path(const std::string &name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

/* Both throw std::runtime_error on failure. */
Bytes read_file(const std::string &path);
void write_file(const std::string &path, const Bytes &content);
/* st_mtime */
s64 mtime_of(const std::string &path);

/*
 * Runs a program without its output. Returns its exit status; -1: it could not be run or
 * was killed.
 */
int run(const std::vector<std::string> &argv);

}  // namespace cloopw::test

#endif

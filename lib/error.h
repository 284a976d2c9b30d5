/* SPDX-License-Identifier: GPL-2.0 */
/* The exceptions of the C++ side: a text for people and the errno behind it. */
#ifndef CLOOPW_LIB_ERROR_H
#define CLOOPW_LIB_ERROR_H

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cloopw {

/* A whole message without the program's name: "FILE: what failed: reason; remedy". */
class Error : public std::runtime_error {
public:
    explicit Error(const std::string &message, int err = 0)
        : std::runtime_error(message), err_(err) {}

    /* A positive errno, or 0 when no system call failed. */
    int err() const { return err_; }

private:
    int err_;
};

/* The user's arguments are wrong in themselves. A tool adds "try 'TOOL --help'". */
class UsageError : public Error {
public:
    using Error::Error;
};

/* "No such file or directory"; err has either sign. */
std::string errno_text(int err);

/* "FILE: what: reason" or "FILE: what: reason; remedy". err has either sign. */
Error io_error(std::string_view file, std::string_view what, int err, std::string_view remedy = {});

}  // namespace cloopw

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The exceptions of the C++ side: a text for people, the errno behind it, and a code. */
#ifndef CLOOPW_LIB_ERROR_H
#define CLOOPW_LIB_ERROR_H

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cloopw {

/*
 * Reasons that only programs have, beside those of enum cloopw_reason_code: a server of a
 * device ended, or does not answer.
 */
constexpr unsigned int kServerLost = 1u << 16;

/* A whole message without the program's name: "FILE: what failed: reason; remedy". */
class Error : public std::runtime_error {
public:
    explicit Error(const std::string &message, int err = 0, unsigned int code = 0)
        : std::runtime_error(message), err_(err), code_(code) {}

    /* A positive errno, or 0 when no system call failed. */
    int err() const { return err_; }
    /* enum cloopw_reason_code, or one of the above; 0: the errno is all that is known. */
    unsigned int code() const { return code_; }
    /* The same refusal in other words. */
    Error with(const std::string &message) const { return Error(message, err_, code_); }

private:
    int err_;
    unsigned int code_;
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

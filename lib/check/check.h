/* SPDX-License-Identifier: GPL-2.0 */
/* The findings of a check, and its options. */
#ifndef CLOOPW_LIB_CHECK_H
#define CLOOPW_LIB_CHECK_H

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/byte_range.h"
#include "lib/core.h"

namespace cloopw {

struct Finding {
    enum class Severity {
        kNote,  /* worth knowing; nothing is wrong */
        kError, /* something is wrong */
    };
    Severity severity;
    std::string what; /* which part: "superblock", "index", "block", "map".. */
    std::string text; /* without the file's name */
    std::optional<ByteRange> range;
    bool repairable = false; /* in place, without a loss */
    bool repaired = false;
};

/* All findings of one file. It keeps a limited number of them and counts the rest. */
class Findings {
public:
    static constexpr size_t kMax = 1000;
    static constexpr size_t kMaxLost = 200000; /* for a list that is the result itself */

    Findings() = default;
    explicit Findings(size_t max) : max_(max) {}
    /* Each adds a finding about a part of the file; beyond max it is only counted. */
    void note(const std::string &what, const std::string &text);
    void error(const std::string &what, const std::string &text);
    void repairable(const std::string &what, const std::string &text);
    /* Joins the range with the last finding's, when they are side by side and alike. */
    void damage(const std::string &what, const std::string &text, ByteRange range);
    void doubt(const std::string &what, const std::string &text, ByteRange range);

    const std::vector<Finding> &all() const { return all_; }
    std::vector<Finding> &all() { return all_; }
    u64 left_out() const { return left_out_; } /* findings above the greatest number */
    u64 errors() const { return errors_; }     /* with the ones left out */

private:
    void add(Finding finding);
    void join(Finding finding);

    size_t max_ = kMax;
    std::vector<Finding> all_;
    u64 left_out_ = 0;
    u64 errors_ = 0;
};

struct CheckOptions {
    bool quick = false; /* checks what leads to the data, not the data */
    /*
     * Called now and then with the bytes done since the last call. May throw to end the
     * check.
     */
    std::function<void(u64 bytes)> progress;

    void advance(u64 bytes) const {
        if (progress) {
            progress(bytes);
        }
    }
};

/* Removes the file's name, with which the engine's text begins. */
std::string without_name(const std::string &text, const std::string &name);

}  // namespace cloopw

#endif

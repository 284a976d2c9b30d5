/* SPDX-License-Identifier: GPL-2.0 */
/* What a check of a file finds, and what it needs from whoever asked for it. */
#ifndef CLOOPW_LIB_CHECK_H
#define CLOOPW_LIB_CHECK_H

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/core.h"

namespace cloopw {

/* Bytes of an image or of a device. */
struct ByteRange {
    u64 off;
    u64 len;
};

struct Finding {
    enum class Severity {
        kNote,  /* worth knowing; nothing is wrong */
        kError, /* something is */
    };
    Severity severity;
    std::string what; /* which part: "superblock", "index", "block", "map".. */
    std::string text; /* without the file's name */
    std::optional<ByteRange> range;
    bool repairable = false; /* in place, without a loss */
    bool repaired = false;
};

/* All that was found in one file; a number of them at most, the rest is counted. */
class Findings {
public:
    static constexpr size_t kMax = 1000;
    static constexpr size_t kMaxLost = 200000; /* where the list is what matters */

    Findings() = default;
    explicit Findings(size_t max) : max_(max) {}

    void note(const std::string &what, const std::string &text);
    void error(const std::string &what, const std::string &text);
    void repairable(const std::string &what, const std::string &text);
    /* Joined with the last one when that is side by side and the same. */
    void damage(const std::string &what, const std::string &text, ByteRange range);
    void doubt(const std::string &what, const std::string &text, ByteRange range);

    const std::vector<Finding> &all() const { return all_; }
    std::vector<Finding> &all() { return all_; }
    u64 left_out() const { return left_out_; }
    u64 errors() const { return errors_; } /* those left out included */

private:
    void add(Finding finding);
    void join(Finding finding);

    size_t max_ = kMax;
    std::vector<Finding> all_;
    u64 left_out_ = 0;
    u64 errors_ = 0;
};

struct CheckOptions {
    bool quick = false; /* what leads to the data, not the data itself */
    /* Called now and then with bytes done since; may throw to end the check. */
    std::function<void(u64 bytes)> progress;

    void advance(u64 bytes) const {
        if (progress) {
            progress(bytes);
        }
    }
};

/* The engine's text begins with the file's name; what is left without it. */
std::string without_name(const std::string &text, const std::string &name);

}  // namespace cloopw

#endif

// SPDX-License-Identifier: GPL-2.0
#include "check.h"

#include <utility>

namespace cloopw {

void Findings::add(Finding finding) {
    errors_ += finding.severity == Finding::Severity::kError ? 1 : 0;
    if (all_.size() == kMax) {
        left_out_++;
        return;
    }
    all_.push_back(std::move(finding));
}

void Findings::note(const std::string &what, const std::string &text) {
    add({Finding::Severity::kNote, what, text, std::nullopt});
}

void Findings::error(const std::string &what, const std::string &text) {
    add({Finding::Severity::kError, what, text, std::nullopt});
}

void Findings::repairable(const std::string &what, const std::string &text) {
    add({Finding::Severity::kError, what, text, std::nullopt, true});
}

void Findings::damage(const std::string &what, const std::string &text, ByteRange range) {
    if (!all_.empty() && left_out_ == 0) {
        Finding &last = all_.back();
        if (last.range && last.range->off + last.range->len == range.off && last.what == what &&
            last.text == text) {
            last.range->len += range.len;
            return;
        }
    }
    add({Finding::Severity::kError, what, text, range});
}

std::string without_name(const std::string &text, const std::string &name) {
    return text.rfind(name + ": ", 0) == 0 ? text.substr(name.size() + 2) : text;
}

}  // namespace cloopw

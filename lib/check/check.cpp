// SPDX-License-Identifier: GPL-2.0
#include "check.h"

#include <utility>

namespace cloopw {

void Findings::add(Finding finding) {
    errors_ += finding.severity == Finding::Severity::kError ? 1 : 0;
    if (all_.size() == max_) {
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

void Findings::join(Finding finding) {
    if (!all_.empty() && left_out_ == 0) {
        Finding &last = all_.back();
        if (last.range && last.range->off + last.range->len == finding.range->off &&
            last.severity == finding.severity && last.what == finding.what &&
            last.text == finding.text) {
            last.range->len += finding.range->len;
            return;
        }
    }
    add(std::move(finding));
}

void Findings::damage(const std::string &what, const std::string &text, ByteRange range) {
    join({Finding::Severity::kError, what, text, range});
}

void Findings::doubt(const std::string &what, const std::string &text, ByteRange range) {
    join({Finding::Severity::kNote, what, text, range});
}

std::string without_name(const std::string &text, const std::string &name) {
    return text.rfind(name + ": ", 0) == 0 ? text.substr(name.size() + 2) : text;
}

}  // namespace cloopw

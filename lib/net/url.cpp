// SPDX-License-Identifier: GPL-2.0
#include "url.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "lib/error.h"

namespace cloopw {
namespace {

constexpr const char *kEnd = "://";

/* Lower case; empty: there is none. */
std::string scheme_of(const std::string &name) {
    const size_t end = name.find(kEnd);
    if (end == std::string::npos || end == 0 || std::isalpha(name[0]) == 0) {
        return "";
    }
    std::string scheme = name.substr(0, end);
    const bool good = std::all_of(scheme.begin(), scheme.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.';
    });
    std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return good ? scheme : "";
}

std::string rest_of(const std::string &url) { return url.substr(url.find(kEnd) + 3); }

/* "user@host:80" */
std::string authority_of(const std::string &url) {
    const std::string rest = rest_of(url);
    return rest.substr(0, rest.find_first_of("/?#"));
}

std::optional<char> escaped_byte(const std::string &text, size_t at) {
    constexpr int kHex = 16;
    const std::string digits = text.substr(at, 2);
    if (digits.size() != 2 || std::isxdigit(static_cast<unsigned char>(digits[0])) == 0 ||
        std::isxdigit(static_cast<unsigned char>(digits[1])) == 0) {
        return std::nullopt;
    }
    return static_cast<char>(std::stoi(digits, nullptr, kHex));
}

std::string unescaped_path(const std::string &url, const std::string &path) {
    std::string out;
    for (size_t i = 0; i < path.size(); i++) {
        if (path[i] != '%') {
            out += path[i];
            continue;
        }
        const auto byte = escaped_byte(path, i + 1);
        if (!byte || *byte == '\0') {
            throw Error(url +
                            ": has a % that no two hexadecimal digits of a byte follow; write "
                            "%25 for the character %",
                        EINVAL);
        }
        out += *byte;
        i += 2;
    }
    return out;
}

}  // namespace

bool is_url(const std::string &name) { return !scheme_of(name).empty(); }

void check_url(const std::string &url) {
    const std::string scheme = scheme_of(url);
    const bool odd = std::any_of(url.begin(), url.end(), [](unsigned char c) {
        return std::isspace(c) != 0 || std::iscntrl(c) != 0;
    });
    if (scheme == "file") {
        return;
    }
    if (scheme != "http" && scheme != "https") {
        throw Error(shown_name(url) + ": images come by http, https or file, not by " + scheme,
                    EPROTONOSUPPORT);
    }
    const std::string authority = authority_of(url);
    if (authority.find('@') != std::string::npos) {
        throw Error(scheme + kEnd + authority.substr(authority.rfind('@') + 1) +
                        ": a user's name and password in a URL are seen by others; put them "
                        "into ~/.netrc",
                    EINVAL);
    }
    if (odd) {
        throw Error(shown_name(url) + ": has a space or a control character; write %20 for a space",
                    EINVAL);
    }
    if (authority.empty() || rest_of(url).size() <= authority.size() + 1) {
        throw Error(shown_name(url) + ": names no file on a server; the form is " + scheme +
                        "://SERVER/FILE",
                    EINVAL);
    }
}

bool is_remote(const std::string &name) { return is_url(name) && scheme_of(name) != "file"; }

std::string without_file_scheme(const std::string &name) {
    if (scheme_of(name) != "file") {
        return name;
    }
    const std::string host = authority_of(name);
    const std::string path = rest_of(name).substr(host.size());
    if ((!host.empty() && host != "localhost") || path.empty()) {
        throw Error(name + ": names no file of this machine; the form is file:///PATH", EINVAL);
    }
    return unescaped_path(name, path);
}

std::string absolute_name(const std::string &name) {
    std::error_code code;
    const std::filesystem::path whole = std::filesystem::absolute(name, code);
    return is_url(name) || code ? name : whole.string();
}

std::string shown_name(const std::string &name) {
    return is_url(name) ? name.substr(0, name.find_first_of("?#")) : name;
}

}  // namespace cloopw

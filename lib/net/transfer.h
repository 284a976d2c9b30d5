/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One range of the file at a URL, by one request. The answer counts only when it is that
 * range, of the version of the file that the attach saw.
 */
#ifndef CLOOPW_NET_TRANSFER_H
#define CLOOPW_NET_TRANSFER_H

#include <functional>
#include <string>

#include "curl_library.h"
#include "lib/byte_range.h"
#include "settings.h"

namespace cloopw {

/* The identity of a file on a server. Two answers with the same of it are of the same file. */
struct RemoteVersion {
    u64 length = 0;       /* bytes */
    std::string etag;     /* with its quotes; empty: none */
    std::string modified; /* an HTTP date; empty: none */

    bool operator==(const RemoteVersion &other) const;
    /* Would the server tell us if the file had changed? */
    bool is_certain() const { return !etag.empty() || !modified.empty(); }
};

/* The tag without the mark of a weak one. */
std::string strong_tag(const std::string &etag);

class Transfer {
public:
    struct Request {
        std::string url;
        ByteRange range{};                     /* not empty */
        const RemoteVersion *pinned = nullptr; /* borrowed; nullptr: any version */
        bool past_caches = false;              /* proxies between the server and us must ask it */
        std::function<void(const char *, size_t)> take; /* gets the bytes, in order */
    };

    Transfer(Request request, const NetSettings &settings);
    Transfer(const Transfer &) = delete;
    Transfer &operator=(const Transfer &) = delete;

    CURL *handle() const { return handle_.get(); }

    enum class Kind {
        kGood,
        kFailed,  /* another try may succeed */
        kRefused, /* the server's answer is an answer: no such file, no ranges */
        kChanged, /* the version is not the pinned one */
    };
    struct Outcome {
        Kind kind;
        std::string reason; /* for people */
    };
    /* After the transfer, of which libcurl said code. */
    Outcome outcome(CURLcode code) const;

    /* The version that the answer is of. */
    const RemoteVersion &answered() const { return answered_; }

private:
    static size_t take_header(char *line, size_t size, size_t count, void *self);
    static size_t take_body(char *bytes, size_t size, size_t count, void *self);
    void set(CURLoption option, long value);
    void set(CURLoption option, const char *value);
    void set_callbacks();
    void set_limits(const NetSettings &settings);
    void set_headers();
    void parse_header(const std::string &line);
    void parse_content_range(const std::string &value);
    /* Is the answer what was asked for? Sets refusal_. */
    bool check_answer();
    Outcome refuse_status() const;
    curl_off_t said_length() const;

    const Request request_;
    CurlEasy handle_;
    CurlList headers_;
    char error_[CURL_ERROR_SIZE] = ""; /* libcurl's own words */

    long status_ = 0; /* the last answer's: others were redirects */
    bool has_range_ = false;
    ByteRange range_{}; /* when has_range_ */
    RemoteVersion answered_;
    u64 received_ = 0; /* bytes of the body */
    bool checked_ = false;
    Outcome refusal_{Kind::kGood, ""};
};

}  // namespace cloopw

#endif

// SPDX-License-Identifier: GPL-2.0
#include "transfer.h"

#include <strings.h>

#include <cstdio>
#include <exception>

#include "url.h"

namespace cloopw {
namespace {

constexpr long kOk = 200;
constexpr long kPartial = 206;
constexpr long kNoRange = 416;
constexpr long kFirstError = 400;
constexpr long kFirstServerError = 500;
constexpr long kTimeout = 408;
constexpr long kTooMany = 429;

std::string trimmed(const std::string &text) {
    const size_t first = text.find_first_not_of(" \t");
    const size_t last = text.find_last_not_of(" \t\r\n");
    return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

bool is_weak(const std::string &etag) { return etag.rfind("W/", 0) == 0; }

/* A server in trouble, or one that wants to be asked later. */
bool is_passing(long status) {
    return status >= kFirstServerError || status == kTimeout || status == kTooMany;
}

}  // namespace

/* Apache calls a new file's tag weak for a second, and then the same tag strong. */
std::string strong_tag(const std::string &etag) { return is_weak(etag) ? etag.substr(2) : etag; }

bool RemoteVersion::operator==(const RemoteVersion &other) const {
    return length == other.length && strong_tag(etag) == strong_tag(other.etag) &&
           modified == other.modified;
}

Transfer::Transfer(Request request, const NetSettings &settings)
    : request_(std::move(request)), handle_(new_curl_easy()) {
    set_callbacks();
    set_limits(settings);
    set_headers();
}

void Transfer::set(CURLoption option, long value) {
    (void)curl_library().easy_setopt(handle_.get(), option, value);
}

void Transfer::set(CURLoption option, const char *value) {
    (void)curl_library().easy_setopt(handle_.get(), option, value);
}

void Transfer::set_callbacks() {
    const CurlLibrary &curl = curl_library();
    CURL *handle = handle_.get();
    (void)curl.easy_setopt(handle, CURLOPT_ERRORBUFFER, error_);
    (void)curl.easy_setopt(handle, CURLOPT_HEADERFUNCTION, &Transfer::take_header);
    (void)curl.easy_setopt(handle, CURLOPT_HEADERDATA, this);
    (void)curl.easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Transfer::take_body);
    (void)curl.easy_setopt(handle, CURLOPT_WRITEDATA, this);
    (void)curl.easy_setopt(handle, CURLOPT_PRIVATE, this);
}

void Transfer::set_limits(const NetSettings &settings) {
    constexpr long kConnect = 10; /* seconds */
    constexpr long kSlow = 1024;  /* bytes a second: slower is an outage */
    constexpr long kRedirects = 5;
    constexpr long kBuffer = 256 << 10;
    const bool secure = strncasecmp(request_.url.c_str(), "https:", sizeof("https:") - 1) == 0;
    set(CURLOPT_URL, request_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kRedirects);
    set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, kConnect);
    set(CURLOPT_LOW_SPEED_LIMIT, kSlow);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(settings.stall));
    set(CURLOPT_BUFFERSIZE, kBuffer);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_USERAGENT, "cloopw/" CLOOPW_VERSION);
    if (!settings.cacert.empty()) {
        set(CURLOPT_CAINFO, settings.cacert.c_str());
    }
}

void Transfer::set_headers() {
    const CurlLibrary &curl = curl_library();
    const u64 last = request_.range.off + request_.range.len - 1;
    set(CURLOPT_RANGE, (std::to_string(request_.range.off) + "-" + std::to_string(last)).c_str());
    curl_slist *list = nullptr;
    /* Without a strong tag the answer alone tells: check_answer() compares. */
    if (request_.pinned != nullptr && !request_.pinned->etag.empty() &&
        !is_weak(request_.pinned->etag)) {
        list = curl.slist_append(list, ("If-Range: " + request_.pinned->etag).c_str());
    }
    if (request_.past_caches) {
        list = curl.slist_append(list, "Cache-Control: no-cache");
        list = curl.slist_append(list, "Pragma: no-cache");
    }
    headers_.reset(list);
    (void)curl.easy_setopt(handle_.get(), CURLOPT_HTTPHEADER, list);
}

size_t Transfer::take_header(char *line, size_t size, size_t count, void *self) {
    try {
        static_cast<Transfer *>(self)->parse_header(std::string(line, size * count));
    } catch (const std::exception &) { /* libcurl is C: the transfer fails */
        return 0;
    }
    return size * count;
}

void Transfer::parse_header(const std::string &line) {
    if (line.rfind("HTTP/", 0) == 0) { /* the first line of an answer, perhaps after a redirect */
        const size_t space = line.find(' ');
        status_ = space != std::string::npos ? strtol(line.c_str() + space, nullptr, 10) : 0;
        has_range_ = false;
        answered_ = {};
        return;
    }
    const size_t colon = line.find(':');
    if (colon == std::string::npos) {
        return;
    }
    const std::string name = line.substr(0, colon);
    const std::string value = trimmed(line.substr(colon + 1));
    if (strcasecmp(name.c_str(), "etag") == 0) {
        answered_.etag = value;
    } else if (strcasecmp(name.c_str(), "last-modified") == 0) {
        answered_.modified = value;
    } else if (strcasecmp(name.c_str(), "content-range") == 0) {
        parse_content_range(value);
    }
}

/* "bytes 0-4095/1048576" */
void Transfer::parse_content_range(const std::string &value) {
    unsigned long long first = 0;
    unsigned long long last = 0;
    unsigned long long length = 0;
    int used = 0;
    has_range_ =
        sscanf(value.c_str(), "bytes %llu-%llu/%llu%n", &first, &last, &length, &used) == 3 &&
        static_cast<size_t>(used) == value.size() && first <= last && last < length;
    if (has_range_) {
        range_ = {first, last - first + 1};
        answered_.length = length;
    }
}

/* The body's bytes, by the answer's head; -1: it does not say. */
curl_off_t Transfer::said_length() const {
    curl_off_t length = -1;
    (void)curl_library().easy_getinfo(handle_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return length;
}

bool Transfer::check_answer() {
    const RemoteVersion *pinned = request_.pinned;
    checked_ = true;
    if (status_ != kPartial) {
        refusal_ = refuse_status();
    } else if (!has_range_ || range_.off != request_.range.off || range_.len > request_.range.len) {
        refusal_ = {Kind::kFailed, "the server sent another range than it was asked for"};
    } else if (pinned != nullptr && !(answered_ == *pinned)) {
        refusal_ = {Kind::kChanged, "the file has changed on the server"};
    } else if (said_length() != -1 && static_cast<u64>(said_length()) != range_.len) {
        refusal_ = {Kind::kFailed, "the server sent a range of another length than it said"};
    } else if (range_.len != request_.range.len) {
        refusal_ = {Kind::kFailed, "the server sent less than it was asked for"};
    }
    return refusal_.kind == Kind::kGood;
}

Transfer::Outcome Transfer::refuse_status() const {
    const RemoteVersion *pinned = request_.pinned;
    if (status_ == kOk) {
        if (pinned == nullptr) {
            return {Kind::kRefused, "the server cannot send parts of a file (no range requests)"};
        }
        return strong_tag(answered_.etag) == strong_tag(pinned->etag) &&
                       answered_.modified == pinned->modified
                   ? Outcome{Kind::kFailed, "the server sent the whole file instead of a part"}
                   : Outcome{Kind::kChanged, "the file has changed on the server"};
    }
    if (status_ == kNoRange && pinned == nullptr) {
        return {Kind::kRefused, "the file is empty"};
    }
    const std::string text = "the server answered with status " + std::to_string(status_);
    return {status_ >= kFirstError && !is_passing(status_) ? Kind::kRefused : Kind::kFailed, text};
}

size_t Transfer::take_body(char *bytes, size_t size, size_t count, void *self) {
    auto *transfer = static_cast<Transfer *>(self);
    const size_t len = size * count;
    if (!transfer->checked_ && !transfer->check_answer()) {
        return 0;
    }
    if (len > transfer->request_.range.len - transfer->received_) {
        transfer->refusal_ = {Kind::kFailed, "the server sent more than it said"};
        return 0;
    }
    transfer->received_ += len;
    transfer->request_.take(bytes, len);
    return len;
}

Transfer::Outcome Transfer::outcome(CURLcode code) const {
    if (refusal_.kind != Kind::kGood) {
        return refusal_;
    }
    if (code != CURLE_OK) {
        const char *text = error_[0] != '\0' ? error_ : curl_library().easy_strerror(code);
        const bool refused = code == CURLE_PEER_FAILED_VERIFICATION ||
                             code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_TOO_MANY_REDIRECTS;
        return {refused ? Kind::kRefused : Kind::kFailed, text};
    }
    if (!checked_ && status_ != kPartial) {
        return refuse_status(); /* it had no body */
    }
    if (received_ != request_.range.len) {
        return {Kind::kFailed, "the connection ended in the middle"};
    }
    return {Kind::kGood, ""};
}

}  // namespace cloopw

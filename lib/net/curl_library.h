/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libcurl, loaded when the first URL is read. A machine that reads files alone needs none
 * of the libraries behind it, and neither does an initramfs.
 */
#ifndef CLOOPW_NET_CURL_LIBRARY_H
#define CLOOPW_NET_CURL_LIBRARY_H

#include <curl/curl.h>

#include <memory>

namespace cloopw {

/* The functions of libcurl that the fetcher calls. */
struct CurlLibrary {
    decltype(&::curl_global_init) global_init;
    decltype(&::curl_easy_init) easy_init;
    decltype(&::curl_easy_cleanup) easy_cleanup;
    decltype(&::curl_easy_reset) easy_reset;
    decltype(&::curl_easy_perform) easy_perform;
    decltype(&::curl_easy_setopt) easy_setopt;
    decltype(&::curl_easy_getinfo) easy_getinfo;
    decltype(&::curl_easy_strerror) easy_strerror;
    decltype(&::curl_getdate) getdate;
    decltype(&::curl_slist_append) slist_append;
    decltype(&::curl_slist_free_all) slist_free_all;
    decltype(&::curl_multi_init) multi_init;
    decltype(&::curl_multi_cleanup) multi_cleanup;
    decltype(&::curl_multi_setopt) multi_setopt;
    decltype(&::curl_multi_add_handle) multi_add_handle;
    decltype(&::curl_multi_remove_handle) multi_remove_handle;
    decltype(&::curl_multi_perform) multi_perform;
    decltype(&::curl_multi_poll) multi_poll;
    decltype(&::curl_multi_wakeup) multi_wakeup;
    decltype(&::curl_multi_info_read) multi_info_read;
};

/* Any thread. Throws Error with the package's name when the library is not there. */
const CurlLibrary &curl_library();

struct CurlEasyEnd {
    void operator()(CURL *handle) const { curl_library().easy_cleanup(handle); }
};
struct CurlMultiEnd {
    void operator()(CURLM *handle) const { (void)curl_library().multi_cleanup(handle); }
};
struct CurlListEnd {
    void operator()(curl_slist *list) const { curl_library().slist_free_all(list); }
};
using CurlEasy = std::unique_ptr<CURL, CurlEasyEnd>;
using CurlMulti = std::unique_ptr<CURLM, CurlMultiEnd>;
using CurlList = std::unique_ptr<curl_slist, CurlListEnd>;

/* Throw std::bad_alloc. */
CurlEasy new_curl_easy();
CurlMulti new_curl_multi();

}  // namespace cloopw

#endif

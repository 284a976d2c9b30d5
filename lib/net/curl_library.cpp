// SPDX-License-Identifier: GPL-2.0
#include "curl_library.h"

#include <dlfcn.h>

#include <cerrno>
#include <new>

#include "lib/error.h"

namespace cloopw {
namespace {

constexpr const char *kLibraries[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

void *open_library() {
    for (const char *name : kLibraries) {
        if (void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
            return library;
        }
    }
    throw Error(
        "libcurl is not installed, which fetches images by http ('apt-get install "
        "libcurl4')",
        ENOENT);
}

template <typename Function>
void find(void *library, const char *name, Function *function) {
    void *symbol = dlsym(library, name);
    if (symbol == nullptr) {
        throw Error(std::string("libcurl is too old: it has no ") + name +
                        "(); version 7.85 or later is needed",
                    ENOSYS);
    }
    *function = reinterpret_cast<Function>(symbol);
}

CurlLibrary load() {
    void *library = open_library(); /* for the rest of the process */
    CurlLibrary curl = {};
    find(library, "curl_global_init", &curl.global_init);
    find(library, "curl_easy_init", &curl.easy_init);
    find(library, "curl_easy_cleanup", &curl.easy_cleanup);
    find(library, "curl_easy_reset", &curl.easy_reset);
    find(library, "curl_easy_perform", &curl.easy_perform);
    find(library, "curl_easy_setopt", &curl.easy_setopt);
    find(library, "curl_easy_getinfo", &curl.easy_getinfo);
    find(library, "curl_easy_strerror", &curl.easy_strerror);
    find(library, "curl_getdate", &curl.getdate);
    find(library, "curl_slist_append", &curl.slist_append);
    find(library, "curl_slist_free_all", &curl.slist_free_all);
    find(library, "curl_multi_init", &curl.multi_init);
    find(library, "curl_multi_cleanup", &curl.multi_cleanup);
    find(library, "curl_multi_setopt", &curl.multi_setopt);
    find(library, "curl_multi_add_handle", &curl.multi_add_handle);
    find(library, "curl_multi_remove_handle", &curl.multi_remove_handle);
    find(library, "curl_multi_perform", &curl.multi_perform);
    find(library, "curl_multi_poll", &curl.multi_poll);
    find(library, "curl_multi_wakeup", &curl.multi_wakeup);
    find(library, "curl_multi_info_read", &curl.multi_info_read);
    if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        throw std::bad_alloc();
    }
    return curl;
}

}  // namespace

const CurlLibrary &curl_library() {
    static const CurlLibrary curl = load();
    return curl;
}

CurlEasy new_curl_easy() {
    CurlEasy handle(curl_library().easy_init());
    if (!handle) {
        throw std::bad_alloc();
    }
    return handle;
}

CurlMulti new_curl_multi() {
    CurlMulti handle(curl_library().multi_init());
    if (!handle) {
        throw std::bad_alloc();
    }
    return handle;
}

}  // namespace cloopw

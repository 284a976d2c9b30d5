/* SPDX-License-Identifier: GPL-2.0 */
/* A web server for tests, which does what servers and proxies in trouble do. */
#ifndef CLOOPW_TESTS_HTTP_SERVER_H
#define CLOOPW_TESTS_HTTP_SERVER_H

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/test_io.h"

namespace cloopw::test {

struct HttpRequest {
    std::string target;                         /* "/image?x" */
    std::map<std::string, std::string> headers; /* names in lower case */
    size_t first = 0;                           /* the first byte of the range */
    size_t last = 0;
};

/* The answer that a sound server gives. A test makes it an unsound one. */
struct HttpAnswer {
    int status = 206;
    std::map<std::string, std::string> headers;
    std::string body;
    size_t cut = std::string::npos; /* bytes of the body after which the connection ends */
    bool silent = false;            /* nothing is sent at all, the connection stays */
};

class HttpServer {
public:
    explicit HttpServer(Bytes content);
    HttpServer(const HttpServer &) = delete;
    HttpServer &operator=(const HttpServer &) = delete;
    ~HttpServer() { stop(); }

    std::string url(const std::string &target = "/image") const;
    /* Called for each request, in any thread, before its answer is sent. */
    void on_request(std::function<void(const HttpRequest &, HttpAnswer &)> hook);
    void set_content(Bytes content, const std::string &etag);

    void stop();  /* no connection is taken, and those there are end */
    void start(); /* at the same port again */

    std::vector<HttpRequest> requests() const;
    void forget_requests();

private:
    void serve();
    void talk(int client);
    HttpAnswer answer_to(const HttpRequest &request);
    static void send(int client, const HttpAnswer &answer);

    mutable std::mutex lock_;
    Bytes content_;                                               /* lock_ */
    std::string etag_ = "\"1\"";                                  /* lock_ */
    std::vector<HttpRequest> requests_;                           /* lock_ */
    std::function<void(const HttpRequest &, HttpAnswer &)> hook_; /* lock_ */
    std::vector<int> clients_;                                    /* lock_; open connections */
    std::atomic<bool> stopping_ = false;
    int socket_ = -1;
    int port_ = 0;
    std::thread thread_;
    std::vector<std::thread> talks_; /* thread_'s, then stop()'s */
};

}  // namespace cloopw::test

#endif

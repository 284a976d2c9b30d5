// SPDX-License-Identifier: GPL-2.0
#include "support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <stdexcept>

namespace cloopw::test {
namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/* nullopt: the client has gone. rest: what came after the last request. */
std::optional<std::string> read_head(int client, std::string *rest) {
    constexpr const char *kEnd = "\r\n\r\n";
    char buf[4096];
    size_t end = 0;
    while ((end = rest->find(kEnd)) == std::string::npos) {
        const ssize_t n = recv(client, buf, sizeof(buf), 0);
        if (n <= 0) {
            return std::nullopt;
        }
        rest->append(buf, static_cast<size_t>(n));
    }
    std::string head = rest->substr(0, end + 2);
    rest->erase(0, end + 4);
    return head;
}

HttpRequest parse(const std::string &head, size_t size) {
    HttpRequest request;
    const size_t target = head.find(' ') + 1;
    request.target = head.substr(target, head.find(' ', target) - target);
    for (size_t at = head.find("\r\n") + 2; at < head.size();) {
        const size_t end = head.find("\r\n", at);
        const size_t colon = head.find(": ", at);
        request.headers[lower(head.substr(at, colon - at))] =
            head.substr(colon + 2, end - colon - 2);
        at = end + 2;
    }
    request.last = size - 1;
    auto range = request.headers.find("range");
    if (range != request.headers.end()) {
        (void)sscanf(range->second.c_str(), "bytes=%zu-%zu", &request.first, &request.last);
    }
    request.last = std::min(request.last, size - 1);
    return request;
}

}  // namespace

HttpServer::HttpServer(Bytes content) : content_(std::move(content)) { start(); }

std::string HttpServer::url(const std::string &target) const {
    return "http://127.0.0.1:" + std::to_string(port_) + target;
}

void HttpServer::on_request(std::function<void(const HttpRequest &, HttpAnswer &)> hook) {
    const std::lock_guard guard(lock_);
    hook_ = std::move(hook);
}

void HttpServer::set_content(Bytes content, const std::string &etag) {
    const std::lock_guard guard(lock_);
    content_ = std::move(content);
    etag_ = etag;
}

std::vector<HttpRequest> HttpServer::requests() const {
    const std::lock_guard guard(lock_);
    return requests_;
}

void HttpServer::forget_requests() {
    const std::lock_guard guard(lock_);
    requests_.clear();
}

void HttpServer::start() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(address);
    const int on = 1;
    stopping_ = false;
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(socket_, reinterpret_cast<sockaddr *>(&address), len) != 0 ||
        listen(socket_, SOMAXCONN) != 0 ||
        getsockname(socket_, reinterpret_cast<sockaddr *>(&address), &len) != 0) {
        throw std::runtime_error("no socket to serve on");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
}

void HttpServer::stop() {
    if (socket_ < 0) {
        return;
    }
    stopping_ = true;
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    {
        const std::lock_guard guard(lock_);
        for (int client : clients_) {
            shutdown(client, SHUT_RDWR);
        }
    }
    for (std::thread &talk : talks_) {
        talk.join();
    }
    talks_.clear();
    close(socket_);
    socket_ = -1;
}

void HttpServer::serve() {
    for (;;) {
        const int client = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) {
            return;
        }
        const std::lock_guard guard(lock_);
        clients_.push_back(client);
        talks_.emplace_back([this, client] { talk(client); });
    }
}

HttpAnswer HttpServer::answer_to(const HttpRequest &request) {
    HttpAnswer answer;
    std::function<void(const HttpRequest &, HttpAnswer &)> hook;
    {
        const std::lock_guard guard(lock_);
        requests_.push_back(request);
        hook = hook_;
        auto condition = request.headers.find("if-range");
        const bool whole = condition != request.headers.end() && condition->second != etag_;
        const size_t first = whole ? 0 : request.first;
        const size_t last = whole ? content_.size() - 1 : request.last;
        const char *bytes = reinterpret_cast<const char *>(content_.data());
        answer.status = whole ? 200 : 206;
        answer.body.assign(bytes + first, last - first + 1);
        answer.headers = {{"ETag", etag_}, {"Last-Modified", "Tue, 01 Sep 2026 00:00:00 GMT"}};
        if (!whole) {
            answer.headers["Content-Range"] = "bytes " + std::to_string(first) + "-" +
                                              std::to_string(last) + "/" +
                                              std::to_string(content_.size());
        }
    }
    if (hook) {
        hook(request, answer);
    }
    answer.headers.emplace("Content-Length", std::to_string(answer.body.size()));
    return answer;
}

void HttpServer::send(int client, const HttpAnswer &answer) {
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " X\r\n";
    for (const auto &[name, value] : answer.headers) {
        text += name + ": " + value + "\r\n";
    }
    text += "\r\n" + answer.body.substr(0, answer.cut);
    for (size_t at = 0; at < text.size();) {
        const ssize_t n = ::send(client, text.data() + at, text.size() - at, MSG_NOSIGNAL);
        if (n <= 0) {
            return;
        }
        at += static_cast<size_t>(n);
    }
}

void HttpServer::talk(int client) {
    std::string rest;
    while (!stopping_) {
        const auto head = read_head(client, &rest);
        if (!head) {
            break;
        }
        size_t size = 0;
        {
            const std::lock_guard guard(lock_);
            size = content_.size();
        }
        const HttpAnswer answer = answer_to(parse(*head, size));
        if (!answer.silent) {
            send(client, answer);
        }
        if (answer.cut != std::string::npos) {
            break;
        }
    }
    const std::lock_guard guard(lock_);
    clients_.erase(std::find(clients_.begin(), clients_.end(), client));
    close(client);
}

}  // namespace cloopw::test

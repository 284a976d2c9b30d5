// SPDX-License-Identifier: GPL-2.0
#include "fetcher.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "lib/error.h"
#include "url.h"

namespace cloopw {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMostUrgent = 32;
constexpr size_t kMostAhead = 4; /* they share the link with urgent ones */
constexpr auto kFirstPause = 100ms;
constexpr auto kLongestPause = 5s;
constexpr auto kQuietFor = 3s; /* a shorter outage is not reported */
constexpr int kPollMs = 1000;

/* 100 ms, 200 ms, ... 5 s */
std::chrono::milliseconds pause_after(unsigned int tries) {
    constexpr unsigned int kDoublings = 6;
    const auto pause = kFirstPause * (1u << std::min(tries, kDoublings));
    return std::min<std::chrono::milliseconds>(pause, kLongestPause);
}

/* Signals are for the program's own threads. */
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked &) = delete;
    SignalsBlocked &operator=(const SignalsBlocked &) = delete;
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

}  // namespace

Fetcher::Fetcher(std::string url, const NetSettings &settings)
    : url_(std::move(url)), settings_(settings) {}

Fetcher::~Fetcher() { rest(); }

RemoteVersion Fetcher::ask_version() const {
    Transfer::Request request;
    request.url = url_;
    request.range = {0, 1};
    request.take = [](const char *, size_t) {};
    Transfer transfer(std::move(request), settings_);
    const CURLcode code = curl_library().easy_perform(transfer.handle());
    const Transfer::Outcome outcome = transfer.outcome(code);
    if (outcome.kind != Transfer::Kind::kGood) {
        throw Error(shown_name(url_) + ": cannot be read: " + outcome.reason,
                    outcome.kind == Transfer::Kind::kFailed ? EAGAIN : EIO);
    }
    return transfer.answered();
}

const RemoteVersion &Fetcher::pin() {
    const auto began = Clock::now();
    for (unsigned int tries = 0;; tries++) {
        try {
            pinned_ = ask_version();
            return pinned_;
        } catch (const Error &e) {
            const bool enough = settings_.timeout != 0 &&
                                Clock::now() - began >= std::chrono::seconds(settings_.timeout);
            if (!settings_.patient || enough || e.err() != EAGAIN) {
                throw Error(e.what(), EIO);
            }
        }
        std::this_thread::sleep_for(pause_after(tries));
    }
}

void Fetcher::submit(const std::shared_ptr<FetchJob> &job) {
    const std::lock_guard guard(lock_);
    if (!multi_) {
        multi_ = new_curl_multi();
    }
    if (!thread_.joinable()) {
        const SignalsBlocked blocked;
        thread_ = std::thread([this] { run(); });
    }
    (job->urgent ? urgent_ : ahead_).push_back(job); /* last: what throws leaves no job behind */
    (void)curl_library().multi_wakeup(multi_.get());
}

void Fetcher::hurry(const std::shared_ptr<FetchJob> &job) {
    const std::lock_guard guard(lock_);
    auto found = std::find(ahead_.begin(), ahead_.end(), job);
    if (found == ahead_.end()) {
        return; /* it has begun, or is urgent */
    }
    job->urgent = true;
    urgent_.push_back(job);
    ahead_.erase(found);
    (void)curl_library().multi_wakeup(multi_.get());
}

void Fetcher::rest() {
    std::thread thread;
    {
        const std::lock_guard guard(lock_);
        stopping_ = true;
        thread.swap(thread_);
        if (multi_) {
            (void)curl_library().multi_wakeup(multi_.get());
        }
    }
    if (thread.joinable()) {
        thread.join();
    }
    const std::lock_guard guard(lock_);
    multi_.reset();
    stopping_ = false;
}

void Fetcher::abandon() {
    const std::lock_guard guard(lock_);
    abandoned_ = true;
    if (multi_) {
        (void)curl_library().multi_wakeup(multi_.get());
    }
}

bool Fetcher::is_abandoned() const {
    const std::lock_guard guard(lock_);
    return abandoned_;
}

Fetcher::Stats Fetcher::stats() const {
    const std::lock_guard guard(lock_);
    return stats_;
}

size_t Fetcher::running_in_advance() const {
    return static_cast<size_t>(
        std::count_if(running_.begin(), running_.end(),
                      [](const auto &running) { return !running->job->urgent; }));
}

/* Moves jobs that may begin to running_. false: the thread has to end. */
bool Fetcher::take_jobs() {
    const std::lock_guard guard(lock_);
    auto take = [&](std::deque<std::shared_ptr<FetchJob>> &from, size_t most, size_t now) {
        for (; now < most && !from.empty(); now++) {
            auto running = std::make_unique<Running>();
            running->job = from.front();
            running->began = Clock::now();
            running->next_try = running->began;
            running_.push_back(std::move(running));
            from.pop_front();
        }
    };
    const size_t ahead = running_in_advance();
    take(urgent_, kMostUrgent, running_.size() - ahead);
    take(ahead_, kMostAhead, ahead);
    return !stopping_;
}

void Fetcher::begin(CURLM *multi, Running &running) {
    const FetchJob &job = *running.job;
    Transfer::Request request;
    request.url = url_;
    request.range = {job.range.off + running.received, job.range.len - running.received};
    request.pinned = &pinned_;
    request.past_caches = job.past_caches;
    request.take = [this, &running](const char *bytes, size_t len) {
        running.received += len;
        {
            const std::lock_guard guard(lock_);
            stats_.bytes += len; /* before a reader can have them */
        }
        running.job->take(bytes, len);
    };
    try {
        running.transfer = std::make_unique<Transfer>(std::move(request), settings_);
    } catch (const std::exception &) { /* no memory */
    }
    if (!running.transfer ||
        curl_library().multi_add_handle(multi, running.transfer->handle()) != CURLM_OK) {
        running.transfer.reset();
        running.reason = errno_text(ENOMEM);
        running.next_try = Clock::now() + pause_after(running.tries++);
        return;
    }
    const std::lock_guard guard(lock_);
    stats_.requests++;
}

bool Fetcher::is_over(const Running &running) const {
    return settings_.timeout != 0 &&
           Clock::now() - running.began >= std::chrono::seconds(settings_.timeout);
}

void Fetcher::begin_due(CURLM *multi) {
    const auto now = Clock::now();
    for (size_t i = 0; i < running_.size();) {
        Running &running = *running_[i];
        if (!running.transfer && running.tries != 0 && is_over(running)) {
            give_up(running);
            continue;
        }
        if (!running.transfer && running.next_try <= now) {
            begin(multi, running);
        }
        i++;
    }
}

void Fetcher::finish(Running &running, int err) {
    auto job = std::move(running.job);
    auto self = std::find_if(running_.begin(), running_.end(),
                             [&](const auto &other) { return other.get() == &running; });
    running_.erase(self);
    job->done(err);
}

void Fetcher::note_failure(const std::string &reason) {
    const auto now = Clock::now();
    if (failing_since_ == Clock::time_point()) {
        failing_since_ = now;
    }
    if (said_ || now - failing_since_ < kQuietFor) {
        return;
    }
    said_ = true;
    const std::string until = settings_.timeout == 0
                                  ? "is tried until it is there"
                                  : "fails after " + std::to_string(settings_.timeout) + " s";
    cw_log_bad("%s: is not reached: %s; a read %s", shown_name(url_).c_str(), reason.c_str(),
               until.c_str());
}

void Fetcher::note_success() {
    if (said_) {
        const auto seconds =
            std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - failing_since_);
        cw_log_bad("%s: is reached again, after %lld s", shown_name(url_).c_str(),
                   static_cast<long long>(seconds.count()));
    }
    said_ = false;
    failing_since_ = {};
}

/* The time of its reader is over. Takes it out of running_. */
void Fetcher::give_up(Running &running) {
    cw_log_bad("%s: a read failed after %u s: %s", shown_name(url_).c_str(), settings_.timeout,
               running.reason.c_str());
    finish(running, -EIO);
}

void Fetcher::try_later(Running &running, const std::string &reason) {
    note_failure(reason);
    running.reason = reason;
    if (!running.job->urgent) {
        finish(running, -EIO); /* a reader who wants it has it fetched again */
    } else if (is_over(running)) {
        give_up(running);
    } else {
        running.next_try = Clock::now() + pause_after(running.tries++);
    }
}

void Fetcher::end(Running &running, CURLcode code) {
    const Transfer::Outcome outcome = running.transfer->outcome(code);
    running.transfer.reset();
    switch (outcome.kind) {
        case Transfer::Kind::kGood:
            note_success();
            finish(running, 0);
            break;
        case Transfer::Kind::kChanged:
            cw_log_bad("%s: %s since it was attached; detach, and attach the new one",
                       shown_name(url_).c_str(), outcome.reason.c_str());
            finish(running, -EIO);
            break;
        default:
            try_later(running, outcome.reason);
    }
}

bool Fetcher::collect(CURLM *multi) {
    const CurlLibrary &curl = curl_library();
    int left = 0;
    bool any = false;
    while (CURLMsg *message = curl.multi_info_read(multi, &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        any = true;
        CURL *handle = message->easy_handle;
        const CURLcode code = message->data.result;
        (void)curl.multi_remove_handle(multi, handle);
        auto found = std::find_if(running_.begin(), running_.end(), [&](const auto &running) {
            return running->transfer && running->transfer->handle() == handle;
        });
        if (found != running_.end()) {
            end(**found, code);
        }
    }
    return any;
}

/* Milliseconds until a try is due. */
int Fetcher::wait_time() const {
    int wait = kPollMs;
    const auto now = Clock::now();
    for (const auto &running : running_) {
        if (!running->transfer) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(running->next_try - now);
            wait = std::min(wait, std::max(0, static_cast<int>(left.count())) + 1);
        }
    }
    return wait;
}

void Fetcher::cancel(CURLM *multi, int err) {
    for (auto &running : running_) {
        if (running->transfer) {
            (void)curl_library().multi_remove_handle(multi, running->transfer->handle());
        }
    }
    while (!running_.empty()) {
        finish(*running_.front(), err);
    }
    std::deque<std::shared_ptr<FetchJob>> waiting;
    {
        const std::lock_guard guard(lock_);
        waiting.swap(urgent_);
        waiting.insert(waiting.end(), ahead_.begin(), ahead_.end());
        ahead_.clear();
    }
    for (auto &job : waiting) {
        job->done(err);
    }
}

void Fetcher::run() {
    const CurlLibrary &curl = curl_library();
    CURLM *multi = multi_.get(); /* there until the thread has ended */
    while (take_jobs()) {
        if (is_abandoned()) {
            cancel(multi, -EIO);
        }
        begin_due(multi);
        int active = 0;
        (void)curl.multi_perform(multi, &active);
        if (!collect(multi)) { /* else a job that waits may have its place */
            (void)curl.multi_poll(multi, nullptr, 0, wait_time(), nullptr);
        }
    }
    cancel(multi, -EAGAIN);
}

}  // namespace cloopw

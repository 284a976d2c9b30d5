// SPDX-License-Identifier: GPL-2.0
#include "support/hooks.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

namespace {

std::mutex lock; /* guards what follows */
std::function<bool(size_t)> should_fail;
bool no_spare_memory;
std::function<void()> on_free;
std::vector<std::string> *log_lines;
std::atomic<bool> counting;
std::atomic<u64> counted;

bool fails(size_t size) {
    if (counting) {
        counted += size;
    }
    std::lock_guard<std::mutex> hold(lock);
    return should_fail && should_fail(size);
}

/* Fails allocations that the caller can do without. */
bool fails_soft(size_t size) {
    const bool failed = fails(size);
    std::lock_guard<std::mutex> hold(lock);
    return failed || no_spare_memory;
}

}  // namespace

extern "C" {

void *__real_cw_alloc(size_t size);
void *__real_cw_alloc_raw(size_t size);
void *__real_cw_alloc_cached(size_t size);
void *__real_cw_try_alloc(size_t size);
void *__real_cw_need_alloc(size_t size);
void __real_cw_free(void *p);

void *__wrap_cw_alloc(size_t size) { return fails(size) ? nullptr : __real_cw_alloc(size); }

void *__wrap_cw_alloc_raw(size_t size) { return fails(size) ? nullptr : __real_cw_alloc_raw(size); }

void *__wrap_cw_alloc_cached(size_t size) {
    return fails_soft(size) ? nullptr : __real_cw_alloc_cached(size);
}

void *__wrap_cw_try_alloc(size_t size) {
    return fails_soft(size) ? nullptr : __real_cw_try_alloc(size);
}

void *__wrap_cw_need_alloc(size_t size) {
    return fails(size) ? nullptr : __real_cw_need_alloc(size);
}

void __wrap_cw_free(void *p) {
    std::function<void()> action;
    if (p != nullptr) {
        std::lock_guard<std::mutex> hold(lock);
        action = on_free;
    }
    if (action) {
        action();
    }
    __real_cw_free(p);
}

void __wrap_cw_log_bad(const char *fmt, ...) {
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    std::lock_guard<std::mutex> hold(lock);
    if (log_lines != nullptr) {
        log_lines->emplace_back(line);
    }
}

} /* extern "C" */

namespace cloopw::test {

FailAllocations::FailAllocations(std::function<bool(size_t size)> predicate) {
    std::lock_guard<std::mutex> hold(lock);
    should_fail = std::move(predicate);
}

FailAllocations::~FailAllocations() {
    std::lock_guard<std::mutex> hold(lock);
    should_fail = nullptr;
}

NoSpareMemory::NoSpareMemory() {
    std::lock_guard<std::mutex> hold(lock);
    no_spare_memory = true;
}

NoSpareMemory::~NoSpareMemory() {
    std::lock_guard<std::mutex> hold(lock);
    no_spare_memory = false;
}

std::function<bool(size_t)> nth_allocation(unsigned int n) {
    auto left = std::make_shared<unsigned int>(n);
    return [left](size_t) { return (*left)-- == 0; };
}

CountAllocations::CountAllocations() {
    counted = 0;
    counting = true;
}

CountAllocations::~CountAllocations() { counting = false; }

u64 CountAllocations::bytes() const { return counted; }

OnFree::OnFree(std::function<void()> action) {
    std::lock_guard<std::mutex> hold(lock);
    on_free = std::move(action);
}

OnFree::~OnFree() {
    std::lock_guard<std::mutex> hold(lock);
    on_free = nullptr;
}

CaptureLog::CaptureLog() {
    std::lock_guard<std::mutex> hold(lock);
    log_lines = new std::vector<std::string>;
}

CaptureLog::~CaptureLog() {
    std::lock_guard<std::mutex> hold(lock);
    delete log_lines;
    log_lines = nullptr;
}

std::vector<std::string> CaptureLog::lines() const {
    std::lock_guard<std::mutex> hold(lock);
    return *log_lines;
}

}  // namespace cloopw::test

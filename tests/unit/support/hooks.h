/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes allocations fail, counts them, and keeps the lines the engine logs.
 *
 * The product has no hooks for this: the test programs are linked with
 * --wrap=cw_alloc and so on, which hooks.cpp answers.
 */
#ifndef CLOOPW_TESTS_HOOKS_H
#define CLOOPW_TESTS_HOOKS_H

#include <functional>
#include <string>
#include <vector>

#include "lib/core.h"

namespace cloopw::test {

/* While it lives, allocations return NULL for which should_fail returns true. */
class FailAllocations {
public:
    explicit FailAllocations(std::function<bool(size_t size)> should_fail);
    ~FailAllocations();
    FailAllocations(const FailAllocations &) = delete;
    FailAllocations &operator=(const FailAllocations &) = delete;
};

/*
 * While it lives, cw_try_alloc and cw_alloc_cached fail, because their callers have another
 * way.
 */
class NoSpareMemory {
public:
    NoSpareMemory();
    ~NoSpareMemory();
    NoSpareMemory(const NoSpareMemory &) = delete;
    NoSpareMemory &operator=(const NoSpareMemory &) = delete;
};

/* Fails the nth allocation from now on (0: the next), and only that. */
std::function<bool(size_t)> nth_allocation(unsigned int n);

/* While it lives, counts the memory of cw_alloc and its like. */
class CountAllocations {
public:
    CountAllocations();
    ~CountAllocations();
    CountAllocations(const CountAllocations &) = delete;
    CountAllocations &operator=(const CountAllocations &) = delete;

    u64 bytes() const;
};

/* While it lives, calls a function before each cw_free of something. */
class OnFree {
public:
    explicit OnFree(std::function<void()> action);
    ~OnFree();
    OnFree(const OnFree &) = delete;
    OnFree &operator=(const OnFree &) = delete;
};

/* While it lives, keeps lines of cw_log_bad instead of printing them. */
class CaptureLog {
public:
    CaptureLog();
    ~CaptureLog();
    CaptureLog(const CaptureLog &) = delete;
    CaptureLog &operator=(const CaptureLog &) = delete;

    std::vector<std::string> lines() const;
};

}  // namespace cloopw::test

#endif

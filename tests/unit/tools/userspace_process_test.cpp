// SPDX-License-Identifier: GPL-2.0
#include "tools/cloopwsetup/userspace/process.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "lib/fd.h"

namespace cloopw {
namespace {

using std::chrono::milliseconds;

TEST(UserspaceProcess, ThisProgramIsAlive) {
    Process self = process_of(getpid());
    EXPECT_TRUE(is_alive(self));
    self.start++;
    EXPECT_FALSE(is_alive(self)); /* another with its pid */
    EXPECT_FALSE(is_alive({}));
}

TEST(UserspaceProcess, KnowsWhatSystemdEndsWithItsCgroup) {
    EXPECT_TRUE(ends_with_its_cgroup("0::/user.slice/user-0.slice/session-3.scope\n"));
    EXPECT_TRUE(
        ends_with_its_cgroup("0::/system.slice/system-cloopw.slice/cloopw@cloopw0.service\n"));
    EXPECT_TRUE(ends_with_its_cgroup("1:name=systemd:/system.slice/a.service/part\n0::/\n"));
    EXPECT_FALSE(ends_with_its_cgroup("0::/\n"));
    EXPECT_FALSE(ends_with_its_cgroup("0::/system.slice/run-r1.scope\n"));
    EXPECT_FALSE(ends_with_its_cgroup("0::/init.scope\n"));
}

/* The child: its first thread has ended, and another goes on until the test ends it. */
[[noreturn]] void leave_a_thread(int started) {
    pthread_t thread;
    pthread_create(
        &thread, nullptr,
        [](void *end) -> void * {
            (void)!write(static_cast<int>(reinterpret_cast<intptr_t>(end)), "", 1);
            pause();
            return nullptr;
        },
        reinterpret_cast<void *>(static_cast<intptr_t>(started)));
    syscall(SYS_exit, 0); /* pthread_exit() would unwind the test */
    _exit(1);
}

TEST(UserspaceProcess, EndsWithTheLastOfItsThreads) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    Fd from(ends[0]);
    Fd to(ends[1]);
    const pid_t pid = fork();
    if (pid == 0) {
        leave_a_thread(to.get());
    }
    to = Fd();
    char byte = 0;
    ASSERT_EQ(read(from.get(), &byte, 1), 1);
    siginfo_t info = {};
    const Process child = process_of(pid);
    EXPECT_FALSE(wait_for_end(child, milliseconds(200)));
    kill(pid, SIGKILL);
    EXPECT_TRUE(wait_for_end(child, milliseconds(10000))); /* nobody has waited for it */
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED), 0);
}

}  // namespace
}  // namespace cloopw

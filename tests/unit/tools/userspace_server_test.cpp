// SPDX-License-Identifier: GPL-2.0
/* The processes of a server, which a pid file names. */
#include "tools/cloopwsetup/userspace/server.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

using std::chrono::milliseconds;

class UserspaceServer : public testing::Test {
protected:
    UserspaceServer() {
        state_.dir = dir_.path();
        state_.server = {1, 1}; /* it has ended: no process began then */
    }
    void write_pids(const Process &supervisor, const Process &server) {
        const std::string text = std::to_string(supervisor.pid) + " " + std::to_string(server.pid) +
                                 " " + std::to_string(supervisor.start) + " " +
                                 std::to_string(server.start) + "\n";
        dir_.write("server.pid", {text.begin(), text.end()});
    }

    ScratchDir dir_;
    UserspaceState state_;
    const Process self_ = process_of(getpid());
};

TEST_F(UserspaceServer, IsTheOneThatServesOn) {
    EXPECT_EQ(serving_process(state_).pid, 0);
    write_pids({1, 1}, self_);
    EXPECT_EQ(serving_process(state_).pid, getpid());
    write_pids(self_, {1, 1});
    EXPECT_EQ(serving_process(state_).pid, getpid());
}

/* A signal would end another device. */
TEST_F(UserspaceServer, IsNoLaterProcessWithItsNumber) {
    Process other = self_;
    other.start++;
    write_pids(other, other);
    EXPECT_EQ(serving_process(state_).pid, 0);
}

TEST_F(UserspaceServer, IsContinuedWithItsSupervisor) {
    const pid_t pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(7);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
    ASSERT_TRUE(WIFSTOPPED(status));
    write_pids(self_, process_of(pid));
    continue_server(state_);
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace cloopw::test

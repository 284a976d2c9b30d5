// SPDX-License-Identifier: GPL-2.0
/* The supervisor, its servers and their watch, with servers that serve nothing. */
#include "tools/cloopw-ublkd/supervise.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "lib/error.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

using namespace std::chrono_literals;

/* All processes see it. */
struct Shared {
    std::atomic<int> starts = 0;
    std::atomic<pid_t> supervisor = 0;
    std::atomic<pid_t> server = 0;
    std::atomic<pid_t> watch = 0;
    std::atomic<bool> end = false;
};

void serves(ServerState &state) {
    state.device = 1000000; /* that no kernel has */
    state.ready = true;
    state.serves = true;
    state.serves_since = now_ms();
}

void ends(ServerState &state) { state.device = UINT32_MAX; }

bool wait_for(const std::function<bool()> &done) {
    for (int i = 0; i < 1000 && !done(); i++) {
        std::this_thread::sleep_for(10ms);
    }
    return done();
}

class UblkdSupervise : public testing::Test {
protected:
    UblkdSupervise() {
        void *page = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        shared_ = new (page) Shared();
        how_.argv = argv_;
        how_.idfile = dir_.write("id", {'1'});
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    ~UblkdSupervise() override { munmap(shared_, sizeof(Shared)); }

    /* The supervisor, in a process of its own. */
    pid_t start(const std::function<int(ServerState &, int start)> &server) {
        const pid_t pid = fork();
        if (pid == 0) {
            _exit(run([&](ServerState &state) {
                shared_->server = getpid();
                return server(state, ++shared_->starts);
            }));
        }
        return pid;
    }
    int exit_code(pid_t pid) {
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    int supervised(const std::function<int(ServerState &, int start)> &server) {
        return exit_code(start(server));
    }
    /* Serves until it is told to end; meanwhile the test knows the processes. */
    int serve_on(ServerState &state) {
        serves(state);
        while (!shared_->end) {
            shared_->supervisor = getppid();
            shared_->watch = state.watch.load();
            std::this_thread::sleep_for(10ms);
        }
        ends(state);
        return EXIT_SUCCESS;
    }
    bool removed_device() { return access(how_.idfile.c_str(), F_OK) != 0; }

    ScratchDir dir_;
    char name_[6] = "ublkd";
    char *argv_[2] = {name_, nullptr};
    Supervision how_;
    Shared *shared_ = nullptr;

private:
    int run(const std::function<int(ServerState &)> &server) {
        try {
            return supervise(server, how_);
        } catch (const std::exception &e) {
            (void)fprintf(stderr, "%s\n", e.what());
            return 99;
        }
    }
};

TEST_F(UblkdSupervise, StartsAnotherForOneThatWasKilled) {
    EXPECT_EQ(supervised([](ServerState &state, int start) {
                  serves(state);
                  if (start < 3) {
                      raise(SIGKILL);
                  }
                  ends(state);
                  return EXIT_SUCCESS;
              }),
              EXIT_SUCCESS);
    EXPECT_EQ(shared_->starts, 3);
}

TEST_F(UblkdSupervise, TriesAgainWhenALaterOneFails) {
    EXPECT_EQ(supervised([](ServerState &state, int start) {
                  if (start == 1) {
                      serves(state);
                      raise(SIGKILL);
                  }
                  if (start < 4) {
                      return EXIT_FAILURE; /* no memory, for example */
                  }
                  serves(state);
                  ends(state);
                  return EXIT_SUCCESS;
              }),
              EXIT_SUCCESS);
    EXPECT_EQ(shared_->starts, 4);
    EXPECT_FALSE(removed_device());
}

TEST_F(UblkdSupervise, GivesUpWhenNoOtherCanDoBetter) {
    EXPECT_EQ(supervised([](ServerState &state, int start) {
                  serves(state);
                  if (start == 1) {
                      raise(SIGKILL);
                  }
                  return kExitNever;
              }),
              EXIT_FAILURE);
    EXPECT_EQ(shared_->starts, 2);
    EXPECT_TRUE(removed_device());
}

TEST_F(UblkdSupervise, LosesItsPatience) {
    how_.patience = 700ms;
    EXPECT_EQ(supervised([](ServerState &state, int start) {
                  state.device = 1000000;
                  state.ready = true;
                  if (start == 1) {
                      raise(SIGKILL);
                  }
                  return EXIT_FAILURE;
              }),
              EXIT_FAILURE);
    EXPECT_GE(shared_->starts, 3);
    EXPECT_TRUE(removed_device());
}

TEST_F(UblkdSupervise, DoesNotTryAgainWhatTheKernelTakesOnce) {
    const auto server = [](ServerState &state, int start) {
        serves(state);
        if (start == 1) {
            raise(SIGKILL);
        }
        state.recovering = start < 3;
        return start < 3 ? EXIT_FAILURE : kExitNever;
    };
    EXPECT_EQ(supervised(server), EXIT_FAILURE);
    EXPECT_EQ(shared_->starts, 2);
    shared_->starts = 0;
    EXPECT_EQ(supervised([&](ServerState &state, int start) {
                  state.restarts = true;
                  return server(state, start);
              }),
              EXIT_FAILURE);
    EXPECT_EQ(shared_->starts, 3);
}

/* It must end, and not throw with a device that has no server. The limit is not root's. */
TEST_F(UblkdSupervise, GivesUpWithoutProcesses) {
    how_.patience = 700ms;
    how_.idfile.clear();
    how_.prepare = [] {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
            throw Error("cannot become another user", errno);
        }
    };
    EXPECT_EQ(supervised([](ServerState &state, int) {
                  const rlimit none = {0, 0};
                  serves(state);
                  prlimit(getppid(), RLIMIT_NPROC, &none, nullptr);
                  raise(SIGKILL);
                  return 0;
              }),
              EXIT_FAILURE);
    EXPECT_EQ(shared_->starts, 1);
}

TEST_F(UblkdSupervise, EndsWhenItIsTold) {
    const pid_t pid = start([&](ServerState &state, int start) {
        serves(state);
        if (start == 1) {
            raise(SIGKILL);
        }
        return EXIT_FAILURE;
    });
    EXPECT_TRUE(wait_for([&] { return shared_->starts > 1; }));
    const auto begin = std::chrono::steady_clock::now();
    kill(pid, SIGINT);
    EXPECT_EQ(exit_code(pid), EXIT_FAILURE);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    EXPECT_TRUE(removed_device());
}

/* One that waits for its medium, and cannot be ended. */
TEST_F(UblkdSupervise, EndsWithoutAServerThatDoesNot) {
    const pid_t pid = start([&](ServerState &state, int start) {
        if (start == 1) {
            serves(state);
            raise(SIGKILL);
        }
        while (!shared_->end) {
            std::this_thread::sleep_for(10ms);
        }
        return EXIT_FAILURE;
    });
    EXPECT_TRUE(wait_for([&] { return shared_->starts > 1; }));
    kill(pid, SIGINT);
    EXPECT_EQ(exit_code(pid), EXIT_FAILURE);
    EXPECT_TRUE(removed_device());
    shared_->end = true;
}

TEST_F(UblkdSupervise, ItsWatchGoesOnForBoth) {
    how_.stay = true;
    const pid_t pid = start([&](ServerState &state, int) { return serve_on(state); });
    ASSERT_TRUE(wait_for([&] { return shared_->watch > 0; }));
    const pid_t server = shared_->server;
    kill(pid, SIGKILL);
    kill(server, SIGKILL);
    EXPECT_TRUE(wait_for([&] { return shared_->starts == 2 && shared_->supervisor != pid; }));
    shared_->end = true;
    EXPECT_EQ(exit_code(shared_->supervisor), EXIT_SUCCESS);
    (void)exit_code(pid);
}

TEST_F(UblkdSupervise, ReplacesAWatchThatWasKilled) {
    how_.stay = true;
    const pid_t pid = start([&](ServerState &state, int) { return serve_on(state); });
    ASSERT_TRUE(wait_for([&] { return shared_->watch > 0; }));
    const pid_t first = shared_->watch;
    const pid_t server = shared_->server;
    kill(first, SIGKILL);
    ASSERT_TRUE(wait_for([&] { return shared_->watch > 0 && shared_->watch != first; }));
    EXPECT_NE(kill(first, 0), 0); /* nothing of it is left */
    kill(pid, SIGKILL);
    std::this_thread::sleep_for(200ms);
    EXPECT_EQ(shared_->starts, 1); /* the present server goes on */
    kill(server, SIGKILL);
    EXPECT_TRUE(wait_for([&] { return shared_->starts == 2 && shared_->supervisor != pid; }));
    shared_->end = true;
    EXPECT_EQ(exit_code(shared_->supervisor), EXIT_SUCCESS);
    (void)exit_code(pid);
}

/* One that may be another's file by then. */
TEST_F(UblkdSupervise, KeepsTheImageOpen) {
    how_.image = dir_.write("image", {'o', 'l', 'd'});
    EXPECT_EQ(supervised([&](ServerState &state, int start) {
                  serves(state);
                  if (start == 1) {
                      rename(dir_.write("new", {'n', 'e', 'w'}).c_str(), how_.image.c_str());
                      raise(SIGKILL);
                  }
                  char first = 0;
                  const bool is_old = pread(state.image, &first, 1, 0) == 1 && first == 'o';
                  ends(state);
                  return is_old ? EXIT_SUCCESS : EXIT_FAILURE;
              }),
              EXIT_SUCCESS);
}

TEST_F(UblkdSupervise, ProgramThatCannotServeIsAnError) {
    how_.prepare = [] { throw Error("no library", ENOENT); };
    EXPECT_EQ(supervised([](ServerState &, int) { return 0; }), 99);
    EXPECT_EQ(shared_->starts, 0);
}

/* The program before: one that has an exit code of its own. */
TEST_F(UblkdSupervise, GoesBackWhenTheSuccessorCannotServe) {
    const int memory = memfd_create("state", 0);
    ASSERT_EQ(ftruncate(memory, sizeof(ServerState)), 0);
    void *page = mmap(nullptr, sizeof(ServerState), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    auto *state = new (page) ServerState();
    state->taking_over = true;
    serves(*state);
    state->predecessor = open("/bin/false", O_RDONLY);
    how_.state = memory;
    how_.prepare = [] { throw Error("no library", ENOENT); };
    EXPECT_EQ(supervised([](ServerState &, int) { return 0; }), 1);
    EXPECT_EQ(shared_->starts, 0);
    EXPECT_TRUE(state->taking_over); /* the server before is still there */
    munmap(page, sizeof(ServerState));
    close(memory);
}

TEST(UblkdExitCode, TellsWhatMayPassFromWhatDoesNot) {
    EXPECT_EQ(exit_code_of(Error("", ESTALE)), kExitNever);
    EXPECT_EQ(exit_code_of(Error("", ENOENT)), kExitNever);
    EXPECT_EQ(exit_code_of(Error("", EBUSY)), EXIT_FAILURE);
    EXPECT_EQ(exit_code_of(Error("", EIO)), EXIT_FAILURE);
    EXPECT_EQ(exit_code_of(std::bad_alloc()), EXIT_FAILURE);
}

}  // namespace
}  // namespace cloopw::test

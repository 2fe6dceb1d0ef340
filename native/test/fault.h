// Launches that are meant to fail.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "check.h"

namespace gr::test {

// What work says on standard error before it ends its process; empty when it does not.
template <class Work>
std::string failure_of(Work work) {
    int ends[2];
    GR_CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    GR_CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        work();
        _exit(0);
    }
    close(ends[1]);
    std::string text;
    char piece[1024];
    for (ssize_t got; (got = read(ends[0], piece, sizeof piece)) > 0;) {
        text.append(piece, static_cast<size_t>(got));
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? text : "";
}

}  // namespace gr::test

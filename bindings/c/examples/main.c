/* Starts and stops the service. PORT in the environment says where it listens (0: a free port);
 * SIGTERM and SIGINT end it. */
#define _POSIX_C_SOURCE 200809L

#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int stop_pipe[2];

/* Next to nothing is allowed in a signal handler, malti_shutdown is not. write() is. */
static void on_stop(int signal)
{
    (void)signal;
    int saved = errno;
    ssize_t ignored = write(stop_pipe[1], "", 1);
    (void)ignored;
    errno = saved;
}

static bool catch_signals(void)
{
    if (pipe(stop_pipe) != 0)
        return false;
    for (int end = 0; end < 2; end++) {
        fcntl(stop_pipe[end], F_SETFD, FD_CLOEXEC);
        fcntl(stop_pipe[end], F_SETFL, O_NONBLOCK);
    }
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    return sigaction(SIGTERM, &stop, NULL) == 0 && sigaction(SIGINT, &stop, NULL) == 0 &&
           sigaction(SIGPIPE, &ignore, NULL) == 0; /* a client that went away is no reason to end */
}

int main(void)
{
    const char *text = getenv("PORT");
    char *end = NULL;
    errno = 0;
    unsigned long port = text && *text ? strtoul(text, &end, 10) : 8081;
    if (errno || port > UINT16_MAX || (end && *end)) {
        fprintf(stderr, "PORT must be a number from 0 to 65535, not \"%s\"\n", text);
        return 2;
    }
    if (!catch_signals()) {
        perror("signals");
        return 1;
    }
    if (!telemetry_start())
        return 2;
    bool served = serve((uint16_t)port, stop_pipe[0]);
    telemetry_stop();
    return served ? 0 : 1;
}

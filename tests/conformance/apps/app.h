/* What the apps in C share beside their routes. */
#ifndef APP_H
#define APP_H

#include "service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Without telemetry. */
static inline bool app_is_bare(void)
{
    const char *bare = getenv("CONFORMANCE_BARE");
    return bare && strcmp(bare, "1") == 0;
}

static inline bool app_start(void)
{
    return app_is_bare() || telemetry_start();
}

static inline void app_ready(unsigned port)
{
    printf("READY %u\n", port);
    fflush(stdout);
}

/* telemetry_stop prints the ledger, which here belongs into a file. The status of the process. */
static inline int app_stop(void)
{
    const char *stats = getenv("CONFORMANCE_STATS");
    if (app_is_bare())
        return 0;
    if (stats && !freopen(stats, "w", stdout))
        return 1;
    telemetry_stop();
    return 0;
}

static inline void app_pause(int ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0)
        continue;
}

/* Runs it in a thread of its own, and waits for the end of that. */
static inline void app_in_thread(void *(*work)(void *), void *of)
{
    pthread_t worker;
    if (pthread_create(&worker, NULL, work, of) == 0)
        pthread_join(worker, NULL);
}

#endif

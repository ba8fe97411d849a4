/* The frame of the small examples, one a server library: civetweb.c, libevent.c. PORT in the
 * environment says where they listen (0: a free port, where the library can tell it), SIGTERM ends them.
 *
 *   GET /items/{sku}   200; 404 for "none"
 *   GET /me            200, and who called is known from the token
 *   GET /slow          200, after SLOW_MS */
#ifndef SMALL_H
#define SMALL_H

#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_MS 300

static inline unsigned short small_port(void)
{
    const char *text = getenv("PORT");
    return (unsigned short)(text ? atoi(text) : 8081);
}

/* To be called before any thread is started: they all leave the signals to small_wait. */
static inline void small_signals(sigset_t *set)
{
    signal(SIGPIPE, SIG_IGN); /* a client that went away is no reason to end */
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigprocmask(SIG_BLOCK, set, NULL);
}

static inline void small_wait(const sigset_t *set, unsigned port)
{
    int which;
    printf("READY %u\n", port);
    fflush(stdout);
    sigwait(set, &which);
}

/* Whose token it is; NULL: nobody's. */
static inline const char *small_customer(const char *authorization)
{
    return authorization && strcmp(authorization, "Bearer acme-token") == 0 ? "acme" : NULL;
}

#endif

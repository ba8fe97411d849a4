/* What the parts of an example service know of each other.
 *
 *   main.c        start, signals, stop
 *   stock.c       the application: routes and their handlers
 *   telemetry.c   all that libmalti asks of a server: the part to copy
 *   server_*.c    the HTTP: libmicrohttpd by its adapter, or a thread per connection by hand
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds of both servers, in bytes. */
#define MAX_HEAD (16 * 1024)
#define MAX_BODY (64 * 1024)

/* One request, as it came. All text is NUL-terminated. */
struct request {
    const char *method;
    const char *path;    /* without query string, not decoded */
    const char *(*header)(const struct request *request, const char *name); /* its value; "": none */
    const char *body;
    size_t body_len;
    /* For telemetry.c; an adapter has these by itself. */
    const char *query;   /* without '?', not decoded; "" for none */
    const char *headers; /* name NUL value NUL ..., in order of arrival */
    size_t headers_len;
    const char *peer;    /* the client's address */
};

struct answer {
    int status;
    char body[1024];
    char allow[64];       /* with 405: the methods that the path has */
    const char *endpoint; /* pattern of the route that matched; NULL: none did */
    char consumer[64];    /* who called and ... */
    char context[128];    /* ... a note, where the application knows better than the headers */
};

/* stock.c */
void stock_answer(const struct request *request, struct answer *answer);

/* telemetry.c */
uint64_t monotonic_us(void); /* microseconds of a clock that is never set back */
bool telemetry_start(void);
void telemetry_record(const struct request *request, const struct answer *answer, uint64_t started_us);
void telemetry_stop(void);

/* server_*.c: serves on a loopback port (0: a free one) until `stop` is readable. Prints
 * "READY <port>" when it listens, finishes running requests before it returns. */
bool serve(uint16_t port, int stop);

#endif

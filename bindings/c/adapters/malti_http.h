/* One request on its way to its record: what the adapters of this folder share, and what an adapter of
 * another server starts from. C11 and C++; include it in any number of sources.
 *
 * A request belongs to one thread at a time. Nothing here fails: without memory a record says less. */
#ifndef MALTI_HTTP_H
#define MALTI_HTTP_H

#include <malti.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* An answer that comes sooner is not looked after. */
#define MALTI_HTTP_SOON_US 200000

struct malti_http {
    uint64_t started_us;
    /* What the application says itself, by the functions of these names: each NULL until then. */
    char *endpoint; /* the route's pattern, such as /users/{user_id}; else the path is recorded */
    char *consumer; /* who called; else the configured headers, query parameters or address say it */
    char *context;  /* a note; else the configured headers say it */
    void *user;     /* the application's own, not looked at */
    /* Called with the status before the record is made, where it is set: to free `user`, or to say more. */
    void (*on_end)(struct malti_http *request, int status);
    int status;     /* what is recorded in place of the answer's, such as 500 where a body was given up */
    char *headers;  /* name NUL value NUL ... */
    size_t headers_len, headers_size;
};

/* Microseconds of a clock that is never set back. */
static inline uint64_t malti_http_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* To be called when the request arrives. */
static inline void malti_http_begin(struct malti_http *request)
{
    memset(request, 0, sizeof *request);
    request->started_us = malti_http_now_us();
}

static inline void malti_http_copy(char **to, const char *text)
{
    size_t size = text ? strlen(text) + 1 : 0;
    free(*to);
    *to = size ? (char *)malloc(size) : NULL;
    if (*to)
        memcpy(*to, text, size);
}

/* What the application says itself, copied; NULL: nothing any more. Without a request they do nothing. */
static inline void malti_http_endpoint(struct malti_http *request, const char *text)
{
    if (request)
        malti_http_copy(&request->endpoint, text);
}

static inline void malti_http_consumer(struct malti_http *request, const char *text)
{
    if (request)
        malti_http_copy(&request->consumer, text);
}

static inline void malti_http_context(struct malti_http *request, const char *text)
{
    if (request)
        malti_http_copy(&request->context, text);
}

/* One more request header, NUL-terminated; to be called in order of arrival. Kept if it can say who called. */
static inline void malti_http_header(struct malti_http *request, const char *name, const char *value)
{
    if (malti_reads_header(name, MALTI_NTS) <= 0)
        return;
    size_t names = strlen(name) + 1, values = value ? strlen(value) + 1 : 1;
    size_t wanted = request->headers_len + names + values;
    if (wanted > request->headers_size) {
        size_t size = 2 * wanted;
        char *more = (char *)realloc(request->headers, size);
        if (!more)
            return;
        request->headers = more;
        request->headers_size = size;
    }
    memcpy(request->headers + request->headers_len, name, names);
    memcpy(request->headers + request->headers_len + names, value ? value : "", values);
    request->headers_len = wanted;
}

/* To be called when the answer is about to begin: whether the client of the connection `fd` is still there
 * for it. Never waits. One that has closed its half alone counts as gone, as it does for nginx. Over TLS it
 * may not be noticed. */
static inline void malti_http_look(struct malti_http *request, int fd)
{
    char first;
    if (fd >= 0 && malti_http_now_us() - request->started_us >= MALTI_HTTP_SOON_US &&
        recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        request->status = 499;
}

/* Records the request and frees what it held; to be called at the end of the response body.
 *
 * `target` is path and query as they came, `query` NULL then; or the path, and the query apart.
 * `status` is 100 to 999; 499, that the client left before the answer, is also what malti_http_look
 * has found. */
static inline void malti_http_end(struct malti_http *request, const char *method, const char *target,
                                  const char *query, const char *peer, int status)
{
    uint64_t took_us = malti_http_now_us() - request->started_us;
    if (request->status)
        status = request->status;
    if (request->on_end)
        request->on_end(request, status);
    const char *consumer = request->consumer ? request->consumer : "";
    const char *context = request->context ? request->context : "";
    size_t path = query ? strlen(target) : strcspn(target, "?");
    if (!query)
        query = target[path] ? target + path + 1 : "";
    const char *endpoint = request->endpoint ? request->endpoint : target;
    malti_record_request(method, MALTI_NTS, endpoint, request->endpoint ? MALTI_NTS : path, status, took_us,
                         consumer, MALTI_NTS, context, MALTI_NTS, request->headers, request->headers_len,
                         query, MALTI_NTS, peer ? peer : "", MALTI_NTS, 0);

    free(request->endpoint);
    free(request->consumer);
    free(request->context);
    free(request->headers);
    memset(request, 0, sizeof *request);
}

#endif

/* The routes of the suite for the servers in C: what each answers, not how a server sends it. */
#ifndef ROUTES_H
#define ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_AFTER_MS 10000
#define LATER_AFTER_MS 20
#define CHUNK "chunk\n"
#define CHUNKS 3
#define CHUNK_MS 100

enum how {
    AT_ONCE,
    STREAM,    /* CHUNKS times CHUNK, CHUNK_MS apart */
    BROKEN,    /* CHUNK, and then a fault: what is recorded is a 500 */
    SLOW,      /* after SLOW_AFTER_MS, unless the client leaves before */
    LATER,     /* `consumer` is to be set after LATER_AFTER_MS, by another thread where the server has several */
};

struct reply {
    enum how how;
    int status;
    const char *text;               /* the body, where it is not chunks */
    const char *endpoint;           /* NULL: no route */
    const char *consumer, *context; /* what the application says of the caller; NULL: nothing */
};

static const struct route {
    const char *method, *pattern;
    struct reply reply; /* without text: the path is the body */
} routes[] = {
    {"GET", "/users/{user_id}", {.status = 200}},
    {"POST", "/items", {.status = 201, .text = "created"}},
    {"GET", "/files/{path}", {.status = 200}},
    {"GET", "/tenants/{tenant}/orders/{order_id}", {.status = 200}},
    {"GET", "/stream", {.how = STREAM, .status = 200}},
    {"GET", "/boom", {.status = 500, .text = "boom"}},
    {"GET", "/boom-late", {.how = BROKEN, .status = 200}},
    {"GET", "/slow", {.how = SLOW, .status = 200, .text = "slow"}},
    {"GET", "/who", {.status = 200, .text = "who", .consumer = " st ", .context = "plan=pro"}},
    {"GET", "/who-null", {.status = 200}},
    {"GET", "/code/{code}", {.status = 0, .text = ""}},
    {"GET", "/renamed", {.status = 200, .text = "renamed", .endpoint = "/custom/{x}"}},
    {"GET", "/later", {.how = LATER, .status = 200, .text = "later"}},
};

/* A parameter takes one segment, `{path}` all the rest. */
static inline bool route_matches(const char *pattern, const char *path)
{
    while (*pattern && *path) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        if (strcmp(pattern, "{path}") == 0)
            return true;
        path += strcspn(path, "/");
        pattern += strcspn(pattern, "}") + 1;
    }
    return !*pattern && !*path;
}

/* What points into the arguments does so afterwards too. */
static inline struct reply route(const char *method, const char *path, const char *query, const char *body,
                                 size_t body_len)
{
    const char *asked = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct route *of = &routes[i];
        if (!route_matches(of->pattern, path))
            continue;
        if (strcmp(of->method, asked) != 0)
            return (struct reply){.status = 405, .text = "not by this method", .endpoint = of->pattern};
        struct reply reply = of->reply;
        if (!reply.endpoint)
            reply.endpoint = of->pattern;
        if (!reply.text)
            reply.text = path;
        if (!reply.status)
            reply.status = atoi(strrchr(path, '/') + 1);
        if (reply.how == LATER && strncmp(query, "name=", 5) == 0)
            reply.consumer = query + 5;
        if (strcmp(asked, "POST") == 0 && (body_len < 2 || body[0] != '{' || body[body_len - 1] != '}')) {
            reply.status = 422;
            reply.text = "not JSON";
        }
        return reply;
    }
    return (struct reply){.status = 404, .text = "nothing here"};
}

#endif

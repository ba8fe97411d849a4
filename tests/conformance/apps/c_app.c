/* The routes of the suite in C: a thread per connection, and the example's telemetry.c, which is what
 * C hosts are told to copy. Knows as much HTTP as the suite sends. */
#define _POSIX_C_SOURCE 200809L

#include "service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOW_MS 10000
#define BACKLOG 512

struct exchange {
    struct request request;
    struct answer answer;
    int fd;
    bool head_only, keep_alive;
    bool sent; /* the handler has sent its answer itself, as far as it came */
};

static int stop_pipe[2];
static bool bare;
static atomic_int connections;

static void pause_ms(int ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0)
        continue;
}

static void put(int fd, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (int sent = 0; sent < length;) {
        ssize_t count = send(fd, text + sent, (size_t)(length - sent), 0);
        if (count < 0 && errno != EINTR)
            return; /* the client is gone */
        sent += count > 0 ? (int)count : 0;
    }
}

static void say(struct exchange *e, int status, const char *text)
{
    e->answer.status = status;
    snprintf(e->answer.body, sizeof e->answer.body, "%s", text);
}

static const char *connection_header(const struct exchange *e)
{
    return e->keep_alive ? "keep-alive" : "close";
}

static void send_answer(const struct exchange *e)
{
    put(e->fd, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n%s", e->answer.status,
        strlen(e->answer.body), connection_header(e), e->head_only ? "" : e->answer.body);
}

static void begin_chunks(struct exchange *e)
{
    e->sent = true;
    e->answer.status = 200;
    put(e->fd, "HTTP/1.1 200 Status\r\nTransfer-Encoding: chunked\r\nConnection: %s\r\n\r\n",
        connection_header(e));
}

static void chunk(const struct exchange *e)
{
    put(e->fd, "6\r\nchunk\n\r\n");
}

static void say_path(struct exchange *e)
{
    say(e, 200, e->request.path);
}

static void create(struct exchange *e)
{
    size_t length = e->request.body_len;
    bool good = length >= 2 && e->request.body[0] == '{' && e->request.body[length - 1] == '}';
    say(e, good ? 201 : 422, good ? "created" : "not JSON");
}

static void stream(struct exchange *e)
{
    begin_chunks(e);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            pause_ms(100);
        chunk(e);
    }
    put(e->fd, "0\r\n\r\n");
}

/* C has no exceptions: a handler that fails says so, and the server answers 500. */
static void boom(struct exchange *e)
{
    say(e, 500, "boom");
}

/* After the head there is nothing left to answer with: the body stays unfinished. */
static void boom_late(struct exchange *e)
{
    begin_chunks(e);
    chunk(e);
    e->answer.status = 500;
    e->keep_alive = false;
}

static void slow(struct exchange *e)
{
    /* The suite's clients send no second request meanwhile: what can be read is the end. */
    struct pollfd left = {.fd = e->fd, .events = POLLIN};
    if (poll(&left, 1, SLOW_MS) > 0) {
        e->answer.status = 499;
        e->sent = true;
        e->keep_alive = false;
    } else {
        say(e, 200, "slow");
    }
}

static void who(struct exchange *e)
{
    say(e, 200, "who");
    strcpy(e->answer.consumer, " st ");
    strcpy(e->answer.context, "plan=pro");
}

static void code(struct exchange *e)
{
    say(e, atoi(strrchr(e->request.path, '/') + 1), "");
}

static void renamed(struct exchange *e)
{
    say(e, 200, "renamed");
    e->answer.endpoint = "/custom/{x}";
}

static void *find_out(void *of)
{
    struct exchange *e = of;
    const char *name = strstr(e->request.query, "name=");
    pause_ms(20);
    snprintf(e->answer.consumer, sizeof e->answer.consumer, "%s", name ? name + 5 : "");
    return NULL;
}

static void later(struct exchange *e)
{
    pthread_t worker;
    say(e, 200, "later");
    if (pthread_create(&worker, NULL, find_out, e) == 0)
        pthread_join(worker, NULL);
}

static const struct {
    const char *method, *pattern;
    void (*handle)(struct exchange *);
} routes[] = {
    {"GET", "/users/{user_id}", say_path},
    {"POST", "/items", create},
    {"GET", "/files/{path}", say_path},
    {"GET", "/tenants/{tenant}/orders/{order_id}", say_path},
    {"GET", "/stream", stream},
    {"GET", "/boom", boom},
    {"GET", "/boom-late", boom_late},
    {"GET", "/slow", slow},
    {"GET", "/who", who},
    {"GET", "/who-null", say_path},
    {"GET", "/code/{code}", code},
    {"GET", "/renamed", renamed},
    {"GET", "/later", later},
};

/* A parameter takes one segment, `{path}` all the rest. */
static bool matches(const char *pattern, const char *path)
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

static void route(struct exchange *e)
{
    const char *method = e->head_only ? "GET" : e->request.method;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!matches(routes[i].pattern, e->request.path))
            continue;
        e->answer.endpoint = routes[i].pattern;
        if (strcmp(routes[i].method, method) == 0)
            routes[i].handle(e);
        else
            say(e, 405, "not by this method");
        return;
    }
    say(e, 404, "nothing here");
}

/* "Name: value\r\n" becomes name NUL value NUL, in place. */
static void parse_headers(struct exchange *e, char *from)
{
    char *to = from;
    e->request.headers = from;
    while (*from && strncmp(from, "\r\n", 2) != 0) {
        char *end = strstr(from, "\r\n");
        size_t name = strcspn(from, ":");
        char *value = from + name + 1;
        value += strspn(value, " ");
        size_t length = (size_t)(end - value);
        *end = from[name] = '\0';
        if (strcasecmp(from, "content-length") == 0)
            e->request.body_len = (size_t)atoi(value);
        if (strcasecmp(from, "connection") == 0)
            e->keep_alive = strcasecmp(value, "close") != 0;
        memmove(to, from, name + 1);
        memmove(to + name + 1, value, length + 1);
        to += name + length + 2;
        from = end + 2;
    }
    e->request.headers_len = (size_t)(to - e->request.headers);
}

static bool receive(int fd, char *buffer, size_t size, size_t *got)
{
    ssize_t count = recv(fd, buffer + *got, size - 1 - *got, 0);
    if (count <= 0)
        return false;
    *got += (size_t)count;
    buffer[*got] = '\0';
    return true;
}

/* Reads one request and answers it. True: the connection may take another. */
static bool exchange(int fd)
{
    static _Thread_local char in[MAX_HEAD];
    size_t got = 0;
    char *end;
    in[0] = '\0';
    while (!(end = strstr(in, "\r\n\r\n")))
        if (!receive(fd, in, sizeof in, &got))
            return false;
    uint64_t started_us = monotonic_us();
    struct exchange e = {.fd = fd, .keep_alive = true, .request = {.peer = "127.0.0.1", .method = in}};

    char *target = strchr(in, ' ') + 1;
    char *version = strchr(target, ' ');
    char *headers = strstr(in, "\r\n") + 2;
    target[-1] = *version = '\0';
    size_t path = strcspn(target, "?");
    e.request.path = target;
    e.request.query = target[path] ? target + path + 1 : "";
    target[path] = '\0';
    e.head_only = strcmp(in, "HEAD") == 0;
    parse_headers(&e, headers);
    e.request.body = end + 4;
    while (got < (size_t)(e.request.body - in) + e.request.body_len)
        if (!receive(fd, in, sizeof in, &got))
            return false;

    route(&e);
    if (!e.sent)
        send_answer(&e);
    if (!bare)
        telemetry_record(&e.request, &e.answer, started_us);
    return e.keep_alive;
}

static void *converse(void *of)
{
    int fd = (int)(intptr_t)of;
    /* The stop pipe is never read, so it wakes every connection that waits for a request. */
    struct pollfd wait[] = {{.fd = stop_pipe[0], .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    while (poll(wait, 2, -1) > 0 && wait[1].revents && exchange(fd))
        continue;
    close(fd);
    atomic_fetch_sub(&connections, 1);
    return NULL;
}

static void on_stop(int signal)
{
    (void)signal;
    ssize_t ignored = write(stop_pipe[1], "", 1);
    (void)ignored;
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return -1;
    printf("READY %u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void serve_until_stopped(int listener)
{
    struct pollfd wait[] = {{.fd = stop_pipe[0], .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    for (;;) {
        if (poll(wait, 2, -1) < 0)
            continue;
        if (wait[0].revents)
            break;
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        atomic_fetch_add(&connections, 1);
        if (pthread_create(&thread, NULL, converse, (void *)(intptr_t)fd) == 0) {
            pthread_detach(thread);
        } else {
            close(fd);
            atomic_fetch_sub(&connections, 1);
        }
    }
    close(listener);
    while (atomic_load(&connections) > 0)
        pause_ms(1);
}

int main(void)
{
    const char *off = getenv("CONFORMANCE_BARE"), *stats = getenv("CONFORMANCE_STATS");
    bare = off && strcmp(off, "1") == 0;
    struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};
    if (pipe(stop_pipe) != 0 || sigaction(SIGTERM, &stop, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
        return 1;
    if (!bare && !telemetry_start())
        return 2;
    int listener = listen_somewhere();
    if (listener < 0)
        return 1;
    serve_until_stopped(listener);
    /* telemetry_stop prints the ledger, which here belongs into a file. */
    if (stats && !freopen(stats, "w", stdout))
        return 1;
    if (!bare)
        telemetry_stop();
    return 0;
}

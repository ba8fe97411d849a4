/* The routes of the suite in C: a thread per connection, and the example's telemetry.c, which is what
 * C hosts are told to copy. Knows as much HTTP as the suite sends. */
#define _POSIX_C_SOURCE 200809L

#include "app.h"
#include "routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512

struct exchange {
    struct request request;
    struct answer answer;
    int fd;
    bool head_only, keep_alive;
    bool sent; /* as far as it came */
    const char *caller; /* by what the application knows; "" for nobody */
};

static int stop_pipe[2];
static bool bare;
static atomic_int connections;

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
    put(e->fd, "%zx\r\n" CHUNK "\r\n", strlen(CHUNK));
}

static void stream(struct exchange *e)
{
    begin_chunks(e);
    for (int i = 0; i < CHUNKS; i++) {
        if (i > 0)
            app_pause(CHUNK_MS);
        chunk(e);
    }
    put(e->fd, "0\r\n\r\n");
}

/* After the head there is nothing left to answer with: the body stays unfinished. */
static void break_off(struct exchange *e)
{
    begin_chunks(e);
    chunk(e);
    e->answer.status = 500;
    e->keep_alive = false;
}

static void be_slow(struct exchange *e)
{
    /* The suite's clients send no second request meanwhile: what can be read is the end. */
    struct pollfd left = {.fd = e->fd, .events = POLLIN};
    if (poll(&left, 1, SLOW_AFTER_MS) > 0) {
        e->answer.status = 499;
        e->sent = true;
        e->keep_alive = false;
    }
}

static void *find_out(void *of)
{
    struct exchange *e = of;
    app_pause(LATER_AFTER_MS);
    snprintf(e->answer.consumer, sizeof e->answer.consumer, "%s", e->caller);
    return NULL;
}

static void answer(struct exchange *e)
{
    const struct request *request = &e->request;
    struct reply reply = route(request->method, request->path, request->query, request->body, request->body_len);
    e->answer.status = reply.status;
    e->answer.endpoint = reply.endpoint;
    snprintf(e->answer.body, sizeof e->answer.body, "%s", reply.text);
    snprintf(e->answer.context, sizeof e->answer.context, "%s", reply.context ? reply.context : "");
    e->caller = reply.consumer ? reply.consumer : "";
    if (reply.how == LATER)
        app_in_thread(find_out, e);
    else
        snprintf(e->answer.consumer, sizeof e->answer.consumer, "%s", e->caller);
    if (reply.how == STREAM)
        stream(e);
    else if (reply.how == BROKEN)
        break_off(e);
    else if (reply.how == SLOW)
        be_slow(e);
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

    answer(&e);
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
    app_ready(ntohs(address.sin_port));
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
        app_pause(1);
}

int main(void)
{
    struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};
    bare = app_is_bare();
    if (pipe(stop_pipe) != 0 || sigaction(SIGTERM, &stop, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
        return 1;
    if (!app_start())
        return 2;
    int listener = listen_somewhere();
    if (listener < 0)
        return 1;
    serve_until_stopped(listener);
    return app_stop();
}

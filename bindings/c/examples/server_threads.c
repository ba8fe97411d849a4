/* The HTTP by hand: HTTP/1.1 with a thread per connection, for places without a library for it.
 * It knows keep-alive, HEAD and bodies with a Content-Length, and refuses the rest by name. */
#define _POSIX_C_SOURCE 200809L

#include "service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 64
#define IDLE_MS 5000     /* how long a connection may wait for its next request */
#define REQUEST_MS 10000 /* how long a request may take to come in */
#define SEND_S 10        /* how long a client may take none of its answer */

enum { FREE, BUSY, DONE };

struct connection {
    pthread_t thread;
    atomic_int state; /* DONE: its thread waits to be joined */
    int fd;
    int stop;
    char peer[INET_ADDRSTRLEN];
    char in[MAX_HEAD + MAX_BODY + 1];
    size_t got; /* bytes of `in` that were received */
};

static struct connection connections[MAX_CONNECTIONS];

/* Reads more, at most up to `limit` bytes in all. False: the client is gone or too slow. */
static bool receive(struct connection *c, size_t limit, uint64_t deadline_us)
{
    uint64_t now = monotonic_us();
    struct pollfd wait = {.fd = c->fd, .events = POLLIN};
    if (now >= deadline_us || poll(&wait, 1, (int)((deadline_us - now) / 1000) + 1) != 1)
        return false;
    ssize_t count = recv(c->fd, c->in + c->got, limit - c->got, 0);
    if (count > 0)
        c->got += (size_t)count;
    return count > 0;
}

/* Waits for a request to begin. The stop pipe is never read, so it wakes every connection; what a
 * client has sent by then is still answered. */
static bool await_request(struct connection *c)
{
    struct pollfd wait[] = {{.fd = c->stop, .events = POLLIN}, {.fd = c->fd, .events = POLLIN}};
    return c->got > 0 || (poll(wait, 2, IDLE_MS) > 0 && wait[1].revents);
}

static bool is_token(const char *text)
{
    const char *others = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *text && !text[strspn(text, others)];
}

/* Parses "POST /path?query HTTP/1.1" in place. Returns 0 or the status that refuses it. */
static int parse_line(char *line, struct request *request, bool *keep_alive)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version)
        return 400;
    *target++ = *version++ = '\0';
    if (strncmp(version, "HTTP/1.", 7) != 0 || strlen(version) != 8)
        return strncmp(version, "HTTP/", 5) == 0 ? 505 : 400;
    if (!is_token(line) || *target != '/')
        return 400;
    *keep_alive = version[7] != '0';
    request->method = line;
    request->path = target;
    target += strcspn(target, "?");
    request->query = *target ? target + 1 : target;
    *target = '\0';
    return 0;
}

static int content_length(const char *text, size_t *length, bool *known)
{
    size_t value = 0;
    if (!*text || text[strspn(text, "0123456789")])
        return 400;
    for (; *text; text++)
        if ((value = value * 10 + (size_t)(*text - '0')) > MAX_BODY)
            return 413;
    if (*known && value != *length) /* two lengths: somebody would read another request than we */
        return 400;
    *length = value;
    *known = true;
    return 0;
}

static const char *header(const struct request *request, const char *wanted)
{
    const char *end = request->headers + request->headers_len;
    for (const char *name = request->headers; name < end;) {
        const char *value = name + strlen(name) + 1;
        if (strcasecmp(name, wanted) == 0)
            return value;
        name = value + strlen(value) + 1;
    }
    return "";
}

/* Parses a head that ends with an empty line, in place: "Name: value\r\n" becomes name NUL value NUL,
 * which is never longer. Returns 0 or the status that refuses it. */
static int parse_head(char *head, size_t length, struct request *request, bool *keep_alive)
{
    bool has_length = false, has_host = false;
    head[length] = '\0';
    char *line = strstr(head, "\r\n");
    *line = '\0';
    int refused = parse_line(head, request, keep_alive);
    bool needs_host = *keep_alive;
    char *to = line + 2;
    request->header = header;
    request->headers = to;
    for (line += 2; !refused && strncmp(line, "\r\n", 2) != 0;) {
        char *end = strstr(line, "\r\n");
        *end = '\0';
        char *value = strchr(line, ':');
        if (!value)
            return 400;
        *value++ = '\0';
        if (!is_token(line) || value[strcspn(value, "\r\n")])
            return 400;
        value += strspn(value, " \t");
        char *last = end;
        while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
            *--last = '\0';
        if (strcasecmp(line, "content-length") == 0)
            refused = content_length(value, &request->body_len, &has_length);
        else if (strcasecmp(line, "transfer-encoding") == 0)
            refused = 501;
        else if (strcasecmp(line, "expect") == 0)
            refused = 417;
        else if (strcasecmp(line, "connection") == 0)
            *keep_alive = strcasecmp(value, "close") != 0 &&
                          (*keep_alive || strcasecmp(value, "keep-alive") == 0);
        else if (strcasecmp(line, "host") == 0)
            has_host = true;
        size_t names = strlen(line) + 1, values = strlen(value) + 1;
        memmove(to, line, names);
        memmove(to + names, value, values);
        to += names + values;
        line = end + 2;
    }
    request->headers_len = (size_t)(to - request->headers);
    return refused ? refused : needs_host && !has_host ? 400 : 0;
}

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {{200, "OK"}, {201, "Created"}, {204, "No Content"}, {400, "Bad Request"},
                   {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
                   {405, "Method Not Allowed"}, {409, "Conflict"}, {413, "Content Too Large"},
                   {417, "Expectation Failed"}, {431, "Request Header Fields Too Large"},
                   {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"},
                   {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Other";
}

static bool send_answer(int fd, const struct answer *answer, bool with_body, bool keep_alive)
{
    char out[sizeof answer->body + 512];
    size_t body = strlen(answer->body);
    int head = snprintf(out, sizeof out, "HTTP/1.1 %d %s\r\nConnection: %s\r\n", answer->status,
                        reason(answer->status), keep_alive ? "keep-alive" : "close");
    if (*answer->allow)
        head += snprintf(out + head, sizeof out - (size_t)head, "Allow: %s\r\n", answer->allow);
    if (answer->status != 204)
        head += snprintf(out + head, sizeof out - (size_t)head,
                         "Content-Type: application/json\r\nContent-Length: %zu\r\n", body);
    head += snprintf(out + head, sizeof out - (size_t)head, "\r\n%s", with_body ? answer->body : "");
    for (size_t sent = 0; sent < (size_t)head;) {
        ssize_t count = send(fd, out + sent, (size_t)head - sent, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        sent += (size_t)count;
    }
    return true;
}

/* Serves one request. True: the connection may take another. */
static bool exchange(struct connection *c)
{
    uint64_t started_us = monotonic_us(), deadline_us = started_us + REQUEST_MS * 1000;
    struct request request = {.peer = c->peer};
    struct answer answer = {0};
    bool keep_alive = false;
    char *end;
    int refused = 0;

    for (;;) {
        c->in[c->got] = '\0';
        end = strstr(c->in, "\r\n\r\n");
        if (!end && strlen(c->in) < c->got) /* a NUL hides the end */
            refused = 400;
        else if (!end && c->got >= MAX_HEAD)
            refused = 431;
        if (end || refused)
            break;
        if (!receive(c, MAX_HEAD, deadline_us))
            return false; /* no request yet: nothing to answer, nothing to record */
    }
    size_t head = end ? (size_t)(end - c->in) + 4 : 0;
    char *body = c->in + head;
    char first = *body; /* parse_head ends its text there */
    if (!refused)
        refused = parse_head(c->in, head, &request, &keep_alive);
    *body = first;
    if (refused) { /* what follows can't be told apart: this connection ends */
        answer.status = refused;
        send_answer(c->fd, &answer, true, false);
        return false;
    }
    while (c->got < head + request.body_len)
        if (!receive(c, head + request.body_len, deadline_us))
            return false;
    char next = body[request.body_len];
    body[request.body_len] = '\0';
    request.body = body;
    stock_answer(&request, &answer);
    body[request.body_len] = next;

    struct pollfd stop = {.fd = c->stop, .events = POLLIN};
    keep_alive = keep_alive && poll(&stop, 1, 0) == 0;
    bool sent = send_answer(c->fd, &answer, strcmp(request.method, "HEAD") != 0, keep_alive);
    telemetry_record(&request, &answer, started_us);

    size_t used = head + request.body_len;
    memmove(c->in, c->in + used, c->got - used);
    c->got -= used;
    return sent && keep_alive;
}

static void *converse(void *of)
{
    struct connection *c = of;
    while (await_request(c) && exchange(c))
        continue;
    /* A close with bytes unread would reset the connection and take the answer with it. */
    shutdown(c->fd, SHUT_WR);
    for (int i = 0; i < 16 && recv(c->fd, c->in, sizeof c->in, MSG_DONTWAIT) > 0; i++)
        continue;
    close(c->fd);
    atomic_store(&c->state, DONE);
    return NULL;
}

static struct connection *free_slot(void)
{
    for (struct connection *c = connections; c < connections + MAX_CONNECTIONS; c++) {
        if (atomic_load(&c->state) == DONE) {
            pthread_join(c->thread, NULL);
            atomic_store(&c->state, FREE);
        }
        if (atomic_load(&c->state) == FREE)
            return c;
    }
    return NULL;
}

static void take(int fd, const struct sockaddr_in *address, int stop)
{
    struct connection *c = free_slot();
    if (c) {
        c->fd = fd;
        c->stop = stop;
        c->got = 0;
        inet_ntop(AF_INET, &address->sin_addr, c->peer, sizeof c->peer);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = SEND_S}, sizeof(struct timeval));
        atomic_store(&c->state, BUSY);
        if (pthread_create(&c->thread, NULL, converse, c) == 0)
            return;
        atomic_store(&c->state, FREE);
    }
    send_answer(fd, &(struct answer){.status = 503}, true, false);
    close(fd);
}

static int listen_on(uint16_t port, uint16_t *bound)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        close(fd);
        return -1;
    }
    *bound = ntohs(address.sin_port);
    return fd;
}

bool serve(uint16_t port, int stop)
{
    int listener = listen_on(port, &port);
    if (listener < 0) {
        perror("can't listen");
        return false;
    }
    printf("READY %u\n", (unsigned)port);
    fflush(stdout);

    struct pollfd wait[] = {{.fd = stop, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    for (;;) {
        if (poll(wait, 2, -1) < 0) /* by a signal: the next look tells which */
            continue;
        if (wait[0].revents)
            break;
        struct sockaddr_in address = {0};
        socklen_t length = sizeof address;
        int fd = accept(listener, (struct sockaddr *)&address, &length);
        if (fd >= 0)
            take(fd, &address, stop);
        else if (errno != EINTR)
            poll(wait, 1, 100); /* no descriptor left: wait for one, don't spin */
    }
    close(listener);
    for (struct connection *c = connections; c < connections + MAX_CONNECTIONS; c++)
        if (atomic_load(&c->state) != FREE)
            pthread_join(c->thread, NULL);
    return true;
}

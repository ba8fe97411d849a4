/* The HTTP by libmicrohttpd, with a thread per connection because handlers may take their time. */
#define _POSIX_C_SOURCE 200809L

#include "service.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDLE_S 5
#define FINISH_WITHIN_MS 5000

/* One request from its first line to the end of its response. */
struct exchange {
    uint64_t started_us;
    char *target; /* path NUL query NUL */
    struct request request;
    struct answer answer;
    char peer[INET_ADDRSTRLEN];
    char head[MAX_HEAD]; /* what request.headers points to */
    char body[MAX_BODY];
    bool seen, answered;
    int refused; /* the status, where it is more than the bounds allow */
};

static atomic_int running;

/* The first that is heard of a request, and the only place where the query can be had as it came. */
static void *begin(void *unused, const char *uri, struct MHD_Connection *connection)
{
    (void)unused, (void)connection;
    struct exchange *exchange = calloc(1, sizeof *exchange);
    size_t length = strlen(uri);
    if (!exchange || !(exchange->target = malloc(length + 2))) {
        free(exchange);
        return NULL;
    }
    exchange->started_us = monotonic_us();
    memcpy(exchange->target, uri, length + 1);
    exchange->target[length + 1] = '\0';
    size_t path = strcspn(exchange->target, "?");
    exchange->target[path] = '\0';
    exchange->request.path = exchange->target;
    exchange->request.query = exchange->target + path + 1;
    atomic_fetch_add(&running, 1);
    return exchange;
}

static enum MHD_Result add_header(void *into, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct exchange *exchange = into;
    size_t names = strlen(name) + 1, values = value ? strlen(value) + 1 : 1;
    size_t used = exchange->request.headers_len;
    if (names + values > sizeof exchange->head - used) {
        exchange->refused = 431;
        return MHD_NO;
    }
    memcpy(exchange->head + used, name, names);
    memcpy(exchange->head + used + names, value ? value : "", values);
    exchange->request.headers_len = used + names + values;
    return MHD_YES;
}

static void read_head(struct exchange *exchange, struct MHD_Connection *connection, const char *method)
{
    struct request *request = &exchange->request;
    request->method = method;
    request->headers = exchange->head;
    request->body = exchange->body;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, add_header, exchange);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info && info->client_addr->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)info->client_addr)->sin_addr,
                  exchange->peer, sizeof exchange->peer);
    request->peer = exchange->peer;
}

static enum MHD_Result respond(struct exchange *exchange, struct MHD_Connection *connection)
{
    struct answer *answer = &exchange->answer;
    if (exchange->refused)
        *answer = (struct answer){.status = exchange->refused, .body = "{\"error\":\"too large\"}\n"};
    else
        stock_answer(&exchange->request, answer);

    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(answer->body), answer->body, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    if (*answer->body)
        MHD_add_response_header(response, "Content-Type", "application/json");
    if (*answer->allow)
        MHD_add_response_header(response, "Allow", answer->allow);
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    exchange->answered = queued == MHD_YES;
    return queued;
}

/* Called with the head, then with each part of the body, then once more at the end. */
static enum MHD_Result handle(void *unused, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *length,
                              void **of_request)
{
    (void)unused, (void)url, (void)version;
    struct exchange *exchange = *of_request;
    if (!exchange)
        return MHD_NO;
    if (!exchange->seen) {
        exchange->seen = true;
        read_head(exchange, connection, method);
        return MHD_YES;
    }
    if (*length == 0)
        return respond(exchange, connection);
    if (*length > MAX_BODY - exchange->request.body_len) {
        exchange->refused = 413;
    } else {
        memcpy(exchange->body + exchange->request.body_len, data, *length);
        exchange->request.body_len += *length;
    }
    *length = 0;
    return MHD_YES;
}

/* The response has gone out, or the client is gone: the end that a record's time runs to. */
static void end(void *unused, struct MHD_Connection *connection, void **of_request,
                enum MHD_RequestTerminationCode why)
{
    (void)unused, (void)connection, (void)why;
    struct exchange *exchange = *of_request;
    if (!exchange)
        return;
    if (exchange->seen) { /* else libmicrohttpd refused it before it was a request */
        if (!exchange->answered)
            exchange->answer.status = 499; /* nobody waits for the answer any more */
        telemetry_record(&exchange->request, &exchange->answer, exchange->started_us);
    }
    free(exchange->target);
    free(exchange);
    *of_request = NULL;
    atomic_fetch_sub(&running, 1);
}

bool serve(uint16_t port, int stop)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, port, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_URI_LOG_CALLBACK, begin, NULL, MHD_OPTION_NOTIFY_COMPLETED, end, NULL,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (!daemon) {
        perror("can't listen");
        return false;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf("READY %u\n", info ? (unsigned)info->port : (unsigned)port);
    fflush(stdout);

    struct pollfd wait = {.fd = stop, .events = POLLIN};
    while (poll(&wait, 1, -1) < 1)
        continue;

    /* Take no more connections, and let the requests that run come to their end. */
    MHD_socket listener = MHD_quiesce_daemon(daemon);
    for (int waited = 0; atomic_load(&running) > 0 && waited < FINISH_WITHIN_MS; waited += 10)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000L}, NULL);
    MHD_stop_daemon(daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    return true;
}

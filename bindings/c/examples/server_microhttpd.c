/* The HTTP by libmicrohttpd and its adapter, with a thread per connection because handlers may take their
 * time. */
#define _POSIX_C_SOURCE 200809L

#include "service.h"

#include <arpa/inet.h>
#include <malti_microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDLE_S 5
#define FINISH_WITHIN_MS 5000

/* What the handler keeps of a request from its head to the end of its response. */
struct exchange {
    struct request request; /* first: the application has its address */
    struct MHD_Connection *connection;
    char *path;
    char body[MAX_BODY];
    bool too_large;
};

static atomic_int running;

static const char *header(const struct request *request, const char *name)
{
    const struct exchange *exchange = (const struct exchange *)request;
    const char *value = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

/* The adapter's last word of the request, whether it was answered or not. */
static void end(struct malti_http *http, int status)
{
    struct exchange *exchange = http->user;
    (void)status;
    free(exchange->path);
    free(exchange);
    atomic_fetch_sub(&running, 1);
}

static enum MHD_Result begin(struct malti_mhd *malti, struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange || !(exchange->path = strndup(malti->target, strcspn(malti->target, "?")))) {
        free(exchange);
        return MHD_NO;
    }
    exchange->connection = connection;
    exchange->request = (struct request){
        .method = malti->method, .path = exchange->path, .header = header, .body = exchange->body};
    atomic_fetch_add(&running, 1);
    malti->http.user = exchange;
    malti->http.on_end = end;
    return MHD_YES;
}

static enum MHD_Result respond(struct malti_mhd *malti, const struct exchange *exchange)
{
    struct answer answer = {.status = 413, .body = "{\"error\":\"too large\"}\n"};
    if (!exchange->too_large)
        stock_answer(&exchange->request, &answer);
    malti_http_endpoint(&malti->http, answer.endpoint);
    malti_http_consumer(&malti->http, answer.consumer);
    malti_http_context(&malti->http, answer.context);
    malti_mhd_look(malti, exchange->connection);

    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(answer.body), answer.body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    if (*answer.body)
        MHD_add_response_header(response, "Content-Type", "application/json");
    if (*answer.allow)
        MHD_add_response_header(response, "Allow", answer.allow);
    enum MHD_Result queued = MHD_queue_response(exchange->connection, (unsigned)answer.status, response);
    MHD_destroy_response(response);
    return queued;
}

/* Called with the head, then with each part of the body, then once more at the end. */
static enum MHD_Result handle(void *unused, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *length,
                              void **of_request)
{
    (void)unused, (void)url, (void)version;
    struct malti_mhd *malti = *of_request;
    if (!malti)
        return MHD_NO;
    if (malti_mhd_seen(malti, connection, method))
        return begin(malti, connection);
    struct exchange *exchange = malti->http.user;
    if (*length == 0)
        return respond(malti, exchange);
    if (*length > MAX_BODY - exchange->request.body_len) {
        exchange->too_large = true;
    } else {
        memcpy(exchange->body + exchange->request.body_len, data, *length);
        exchange->request.body_len += *length;
    }
    *length = 0;
    return MHD_YES;
}

bool serve(uint16_t port, int stop)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, port, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MALTI_MHD_OPTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
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

/* The routes of the suite under libmicrohttpd, by the adapter: a thread per connection. */
#define _GNU_SOURCE

#include "app.h"
#include "routes.h"
#include "small.h"

#include <malti_microhttpd.h>
#include <poll.h>

/* The app's own of a request. */
struct state {
    char body[64];
    size_t body_len;
    struct malti_mhd *malti; /* NULL: without telemetry */
    struct reply reply;
    int chunks;
};

static bool bare;

static void over(struct malti_http *http, int status)
{
    (void)status;
    free(http->user);
}

static void over_bare(void *unused, struct MHD_Connection *connection, void **of_request,
                      enum MHD_RequestTerminationCode why)
{
    (void)unused, (void)connection, (void)why;
    free(*of_request);
}

static ssize_t next_chunk(void *of, uint64_t position, char *into, size_t size)
{
    struct state *state = of;
    (void)position, (void)size;
    if (state->reply.how == BROKEN && state->chunks == 1)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (state->chunks == CHUNKS)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (state->chunks++ > 0)
        app_pause(CHUNK_MS);
    memcpy(into, CHUNK, strlen(CHUNK));
    return (ssize_t)strlen(CHUNK);
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct state *state)
{
    const struct reply *reply = &state->reply;
    bool chunked = reply->how == STREAM || reply->how == BROKEN;
    struct MHD_Response *response =
        chunked ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64, next_chunk, state, NULL)
                : MHD_create_response_from_buffer(strlen(reply->text), (void *)(uintptr_t)reply->text,
                                                  MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

static void *find_out(void *of)
{
    struct state *state = of;
    app_pause(LATER_AFTER_MS);
    if (state->malti)
        malti_http_consumer(&state->malti->http, state->reply.consumer);
    return NULL;
}

/* Whether the client is still there after the time that a slow answer takes. */
static bool waits(struct MHD_Connection *connection, struct state *state)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd left = {.fd = info->connect_fd, .events = POLLIN};
    if (poll(&left, 1, SLOW_AFTER_MS) == 0)
        return true;
    malti_mhd_look(state->malti, connection);
    return false;
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct state *state, const char *method,
                              const char *path)
{
    const char *query = state->malti ? strchr(state->malti->target, '?') : NULL;
    state->reply = route(method, path, query ? query + 1 : "", state->body, state->body_len);
    if (state->reply.how == LATER)
        app_in_thread(find_out, state);
    else if (state->malti)
        malti_http_consumer(&state->malti->http, state->reply.consumer);
    if (state->malti) {
        malti_http_endpoint(&state->malti->http, state->reply.endpoint);
        malti_http_context(&state->malti->http, state->reply.context);
        if (state->reply.how == BROKEN)
            state->malti->http.status = 500;
    }
    if (state->reply.how == SLOW && !waits(connection, state))
        return MHD_NO;
    return send_reply(connection, state);
}

static enum MHD_Result handle(void *unused, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data, size_t *length,
                              void **of_request)
{
    (void)unused, (void)version;
    struct malti_mhd *malti = bare ? NULL : *of_request;
    if (bare && !*of_request) {
        *of_request = calloc(1, sizeof(struct state));
        return MHD_YES;
    }
    if (malti_mhd_seen(malti, connection, method)) {
        struct state *state = calloc(1, sizeof *state);
        state->malti = malti;
        malti->http.user = state;
        malti->http.on_end = over;
        return MHD_YES;
    }
    struct state *state = bare ? *of_request : malti->http.user;
    if (*length == 0)
        return answer(connection, state, method, path);
    if (*length > sizeof state->body - state->body_len)
        return MHD_NO;
    memcpy(state->body + state->body_len, data, *length);
    state->body_len += *length;
    *length = 0;
    return MHD_YES;
}

int main(void)
{
    sigset_t signals;
    bare = app_is_bare();
    small_signals(&signals);
    if (!app_start())
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *where = (struct sockaddr *)&address;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION;
    struct MHD_Daemon *daemon =
        bare ? MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, where,
                                MHD_OPTION_NOTIFY_COMPLETED, over_bare, NULL, MHD_OPTION_END)
             : MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, where,
                                MALTI_MHD_OPTIONS, MHD_OPTION_END);
    if (!daemon)
        return 1;
    small_wait(&signals, MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    MHD_stop_daemon(daemon);
    return app_stop();
}

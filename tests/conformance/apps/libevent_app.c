/* The routes of the suite under libevent's evhttp, by the adapter: one thread, which never waits. */
#define _POSIX_C_SOURCE 200809L

#include "app.h"
#include "routes.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <malti_libevent.h>
#include <signal.h>

/* An answer that is not yet whole. */
struct job {
    struct event *timer;
    struct evhttp_request *req;
    struct malti_http *malti; /* NULL: without telemetry, or the client is gone */
    struct reply reply;
    int chunks;
};

static void gone(struct malti_http *malti, int status)
{
    struct job *job = malti->user;
    (void)status;
    job->malti = NULL;
}

/* To be called before the last of the answer. */
static void end_job(struct job *job)
{
    if (job->malti)
        job->malti->on_end = NULL;
    event_free(job->timer);
    free(job);
}

static void say(struct evhttp_request *req, int status, const char *text)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "%s", text);
    evhttp_send_reply(req, status, "Status", body);
    evbuffer_free(body);
}

static void again(struct job *job, int ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    evtimer_add(job->timer, &wait);
}

static void break_off(struct evhttp_connection *connection, void *unused)
{
    (void)unused;
    evhttp_connection_free(connection);
}

static void chunk(struct evhttp_request *req, void (*then)(struct evhttp_connection *, void *))
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, CHUNK);
    evhttp_send_reply_chunk_with_cb(req, body, then, NULL);
    evbuffer_free(body);
}

static void go_on(evutil_socket_t fd, short what, void *of)
{
    struct job *job = of;
    struct evhttp_request *req = job->req;
    struct reply reply = job->reply;
    (void)fd, (void)what;
    if (reply.how == STREAM) {
        chunk(req, NULL);
        if (++job->chunks < CHUNKS) {
            again(job, CHUNK_MS);
        } else {
            end_job(job);
            evhttp_send_reply_end(req);
        }
        return;
    }
    if (reply.how == LATER)
        malti_http_consumer(job->malti, reply.consumer);
    malti_evhttp_look(job->malti);
    end_job(job);
    say(req, reply.status, reply.text);
}

static void begin_job(struct event_base *base, struct evhttp_request *req, struct malti_http *malti,
                      const struct reply *reply)
{
    if (reply->how == STREAM || reply->how == BROKEN) {
        evhttp_send_reply_start(req, 200, "Status");
        chunk(req, reply->how == BROKEN ? break_off : NULL);
    }
    if (reply->how == BROKEN) {
        if (malti)
            malti->status = 500;
        return;
    }
    struct job *job = calloc(1, sizeof *job);
    *job = (struct job){evtimer_new(base, go_on, job), req, malti, *reply, 1};
    if (malti) {
        malti->user = job;
        malti->on_end = gone;
    }
    again(job, reply->how == STREAM ? CHUNK_MS : reply->how == SLOW ? SLOW_AFTER_MS : LATER_AFTER_MS);
}

static void handle(struct evhttp_request *req, void *base)
{
    struct malti_http *malti = app_is_bare() ? NULL : malti_evhttp_begin(req);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *query = evhttp_uri_get_query(uri);
    struct evbuffer *body = evhttp_request_get_input_buffer(req);
    struct reply reply = route(malti_evhttp_method(evhttp_request_get_command(req)), evhttp_uri_get_path(uri),
                               query ? query : "", (const char *)evbuffer_pullup(body, -1),
                               evbuffer_get_length(body));
    malti_http_endpoint(malti, reply.endpoint);
    malti_http_context(malti, reply.context);
    if (reply.how == AT_ONCE) {
        malti_http_consumer(malti, reply.consumer);
        say(req, reply.status, reply.text);
    } else {
        begin_job(base, req, malti, &reply);
    }
}

static void stop(evutil_socket_t fd, short what, void *base)
{
    (void)fd, (void)what;
    event_base_loopexit(base, NULL);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (!app_start())
        return 2;
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    struct event *terminate = evsignal_new(base, SIGTERM, stop, base);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    if (!bound)
        return 1;
    evhttp_set_gencb(http, handle, base);
    event_add(terminate, NULL);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
    app_ready(ntohs(address.sin_port));
    event_base_dispatch(base);
    evhttp_free(http);
    event_free(terminate);
    event_base_free(base);
    return app_stop();
}

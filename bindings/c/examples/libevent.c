/* libevent's evhttp, by its adapter: one thread, which never waits. */
#define _POSIX_C_SOURCE 200809L

#include "small.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <malti_libevent.h>

static void say(struct evhttp_request *req, int status, const char *text)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "%s", text);
    evhttp_send_reply(req, status, NULL, body);
    evbuffer_free(body);
}

struct later {
    struct event *timer;
    struct evhttp_request *req;
    struct malti_http *malti; /* NULL: the client is gone */
};

static void client_gone(struct malti_http *malti, int status)
{
    struct later *later = malti->user;
    (void)status;
    later->malti = NULL;
}

static void answer_slow(evutil_socket_t fd, short what, void *of)
{
    struct later *later = of;
    (void)fd, (void)what;
    if (later->malti) {
        malti_evhttp_look(later->malti);
        later->malti->on_end = NULL;
    }
    say(later->req, 200, "at last\n");
    event_free(later->timer);
    free(later);
}

static void handle(struct evhttp_request *req, void *base)
{
    struct malti_http *malti = malti_evhttp_begin(req);
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    if (strncmp(path, "/items/", 7) == 0) {
        malti_http_endpoint(malti, "/items/{sku}");
        if (strcmp(path + 7, "none") == 0)
            say(req, 404, "no such item\n");
        else
            say(req, 200, "an item\n");
    } else if (strcmp(path, "/me") == 0) {
        malti_http_endpoint(malti, "/me");
        malti_http_consumer(malti,
                       small_customer(evhttp_find_header(evhttp_request_get_input_headers(req),
                                                         "Authorization")));
        say(req, 200, "you\n");
    } else if (strcmp(path, "/slow") == 0) {
        struct timeval wait = {.tv_usec = SLOW_MS * 1000};
        struct later *later = malloc(sizeof *later);
        malti_http_endpoint(malti, "/slow");
        *later = (struct later){evtimer_new(base, answer_slow, later), req, malti};
        if (malti) {
            malti->user = later;
            malti->on_end = client_gone;
        }
        evtimer_add(later->timer, &wait);
    } else {
        say(req, 404, "there is nothing here\n");
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
    if (!telemetry_start())
        return 2;
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    struct event *terminate = evsignal_new(base, SIGTERM, stop, base);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", small_port());
    if (!bound) {
        perror("can't listen");
        return 1;
    }
    evhttp_set_gencb(http, handle, base);
    event_add(terminate, NULL);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
    printf("READY %u\n", ntohs(address.sin_port));
    fflush(stdout);
    event_base_dispatch(base);
    evhttp_free(http);
    event_free(terminate);
    event_base_free(base);
    telemetry_stop();
    return 0;
}

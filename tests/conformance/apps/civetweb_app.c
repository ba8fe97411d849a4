/* The routes of the suite under civetweb, by the adapter. */
#define _POSIX_C_SOURCE 200809L

#include "app.h"
#include "routes.h"
#include "small.h"

#include <malti_civetweb.h>

static void say(struct mg_connection *connection, const struct reply *reply, bool head_only)
{
    mg_printf(connection, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n\r\n%s", reply->status,
              strlen(reply->text), head_only ? "" : reply->text);
}

static void send_chunks(struct mg_connection *connection, int count, bool whole)
{
    mg_printf(connection, "HTTP/1.1 200 Status\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < count; i++) {
        if (i > 0)
            app_pause(CHUNK_MS);
        mg_send_chunk(connection, CHUNK, strlen(CHUNK));
    }
    if (whole)
        mg_send_chunk(connection, "", 0);
}

struct finding {
    struct malti_http *malti;
    const char *consumer;
};

static void *find_out(void *of)
{
    struct finding *finding = of;
    app_pause(LATER_AFTER_MS);
    malti_http_consumer(finding->malti, finding->consumer);
    return NULL;
}

static int handle(struct mg_connection *connection, void *unused)
{
    (void)unused;
    const struct mg_request_info *info = mg_get_request_info(connection);
    const char *method = info->request_method;
    char body[64];
    int got = info->content_length > 0 ? mg_read(connection, body, sizeof body) : 0;
    struct reply reply = route(method, info->local_uri, info->query_string ? info->query_string : "", body,
                               got > 0 ? (size_t)got : 0);
    struct malti_http *malti = malti_civetweb_request(connection);
    malti_http_endpoint(malti, reply.endpoint);
    malti_http_context(malti, reply.context);
    if (reply.how == LATER)
        app_in_thread(find_out, &(struct finding){malti, reply.consumer});
    else
        malti_http_consumer(malti, reply.consumer);

    if (reply.how == SLOW)
        app_pause(SLOW_AFTER_MS);
    if (reply.how == STREAM) {
        send_chunks(connection, CHUNKS, true);
    } else if (reply.how == BROKEN) {
        mg_disable_connection_keep_alive(connection);
        send_chunks(connection, 1, false);
        return 500; /* what is recorded; 200 has gone out */
    } else {
        say(connection, &reply, strcmp(method, "HEAD") == 0);
    }
    return reply.status;
}

int main(void)
{
    sigset_t signals;
    small_signals(&signals);
    if (!app_start())
        return 2;
    const char *options[] = {"listening_ports", "127.0.0.1:0", "num_threads", "64", "enable_keep_alive", "yes",
                             NULL};
    struct mg_callbacks callbacks = {0};
    if (!app_is_bare())
        malti_civetweb(&callbacks);
    struct mg_context *server = mg_start(&callbacks, NULL, options);
    if (!server)
        return 1;
    mg_set_request_handler(server, "/**", handle, NULL);
    struct mg_server_port port;
    mg_get_server_ports(server, 1, &port);
    small_wait(&signals, (unsigned)port.port);
    mg_stop(server);
    return app_stop();
}

/* civetweb, by its adapter. */
#define _POSIX_C_SOURCE 200809L

#include "small.h"

#include <malti_civetweb.h>

static int say(struct mg_connection *connection, int status, const char *text)
{
    int sent = mg_printf(connection, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n\r\n%s", status,
                         mg_get_response_code_text(connection, status), strlen(text), text);
    return sent > 0 ? status : 499; /* what the record gets: nobody is there any more */
}

static int item(struct mg_connection *connection, void *unused)
{
    (void)unused;
    malti_http_endpoint(malti_civetweb_request(connection), "/items/{sku}");
    const char *sku = mg_get_request_info(connection)->local_uri + strlen("/items/");
    return strcmp(sku, "none") == 0 ? say(connection, 404, "no such item\n")
                                    : say(connection, 200, "an item\n");
}

static int me(struct mg_connection *connection, void *unused)
{
    (void)unused;
    struct malti_http *malti = malti_civetweb_request(connection);
    malti_http_endpoint(malti, "/me");
    malti_http_consumer(malti, small_customer(mg_get_header(connection, "Authorization")));
    return say(connection, 200, "you\n");
}

static int slow(struct mg_connection *connection, void *unused)
{
    (void)unused;
    malti_http_endpoint(malti_civetweb_request(connection), "/slow");
    nanosleep(&(struct timespec){.tv_nsec = SLOW_MS * 1000000L}, NULL);
    return say(connection, 200, "at last\n");
}

static int nothing(struct mg_connection *connection, void *unused)
{
    (void)unused;
    return say(connection, 404, "there is nothing here\n");
}

int main(void)
{
    sigset_t signals;
    small_signals(&signals);
    if (!telemetry_start())
        return 2;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", small_port());
    const char *options[] = {"listening_ports", address, "num_threads", "16", NULL};
    struct mg_callbacks callbacks = {0};
    malti_civetweb(&callbacks);
    struct mg_context *server = mg_start(&callbacks, NULL, options);
    if (!server) {
        fprintf(stderr, "can't listen on %s\n", address);
        return 1;
    }
    mg_set_request_handler(server, "/items/*", item, NULL);
    mg_set_request_handler(server, "/me$", me, NULL);
    mg_set_request_handler(server, "/slow$", slow, NULL);
    mg_set_request_handler(server, "/**", nothing, NULL);
    struct mg_server_port port;
    mg_get_server_ports(server, 1, &port);
    small_wait(&signals, (unsigned)port.port);
    mg_stop(server);
    telemetry_stop();
    return 0;
}

/* libmicrohttpd, by its adapter. */
#define _POSIX_C_SOURCE 200809L

#include "small.h"

#include <malti_microhttpd.h>

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result handle(void *unused, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *length,
                              void **of_request)
{
    (void)unused, (void)version, (void)data;
    struct malti_mhd *malti = *of_request;
    if (!malti)
        return MHD_NO;
    if (malti_mhd_seen(malti, connection, method))
        return MHD_YES;
    if (*length) { /* a body is of no interest here */
        *length = 0;
        return MHD_YES;
    }
    if (strncmp(url, "/items/", 7) == 0) {
        malti_http_endpoint(&malti->http, "/items/{sku}");
        return strcmp(url + 7, "none") == 0 ? say(connection, 404, "no such item\n")
                                            : say(connection, 200, "an item\n");
    }
    if (strcmp(url, "/me") == 0) {
        malti_http_endpoint(&malti->http, "/me");
        malti_http_consumer(&malti->http,
                       small_customer(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                                  MHD_HTTP_HEADER_AUTHORIZATION)));
        return say(connection, 200, "you\n");
    }
    if (strcmp(url, "/slow") == 0) {
        malti_http_endpoint(&malti->http, "/slow");
        nanosleep(&(struct timespec){.tv_nsec = SLOW_MS * 1000000L}, NULL);
        malti_mhd_look(malti, connection);
        return say(connection, 200, "at last\n");
    }
    return say(connection, 404, "there is nothing here\n");
}

int main(void)
{
    sigset_t signals;
    small_signals(&signals);
    if (!telemetry_start())
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(small_port())};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, handle, NULL,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MALTI_MHD_OPTIONS, MHD_OPTION_END);
    if (!daemon) {
        perror("can't listen");
        return 1;
    }
    small_wait(&signals, MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    MHD_stop_daemon(daemon);
    telemetry_stop();
    return 0;
}

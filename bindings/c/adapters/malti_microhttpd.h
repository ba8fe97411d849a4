/* libmalti in a libmicrohttpd server (0.9.71 or later).
 *
 *     MHD_start_daemon(..., handle, NULL, MALTI_MHD_OPTIONS, MHD_OPTION_END);
 *
 * The handler finds the request in the place that libmicrohttpd has for its state, and `http.user` of it is
 * a place for its own:
 *
 *     struct malti_mhd *malti = *of_request;
 *     if (malti_mhd_seen(malti, connection, method))
 *         return MHD_YES;                       // the first call: there is only the head yet
 *     malti_http_endpoint(&malti->http, "/users/{user_id}");
 *     malti_mhd_look(malti, connection);        // before MHD_queue_response: is the client still there?
 *
 * `malti` is NULL where there was no memory. Both options belong to the adapter. */
#ifndef MALTI_MICROHTTPD_H
#define MALTI_MICROHTTPD_H

#include "malti_http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct malti_mhd {
    struct malti_http http;
    char method[32];
    char peer[INET6_ADDRSTRLEN];
    char target[]; /* path and query, as they came */
};

static inline enum MHD_Result malti_mhd_header(void *into, enum MHD_ValueKind kind, const char *name,
                                        const char *value)
{
    (void)kind;
    malti_http_header((struct malti_http *)into, name, value);
    return MHD_YES;
}

static inline void malti_mhd_peer(struct malti_mhd *request, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return;
    const void *address = info->client_addr;
    if (info->client_addr->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, request->peer,
                  sizeof request->peer);
    else if (info->client_addr->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, request->peer,
                  sizeof request->peer);
}

/* Reads the head. Whether this was the first call for the request, to which a handler only answers
 * MHD_YES. */
static inline int malti_mhd_seen(struct malti_mhd *request, struct MHD_Connection *connection,
                                 const char *method)
{
    if (!request || *request->method)
        return 0;
    strncpy(request->method, method, sizeof request->method - 1);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, malti_mhd_header, &request->http);
    malti_mhd_peer(request, connection);
    return 1;
}

static inline void malti_mhd_look(struct malti_mhd *request, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (request && info)
        malti_http_look(&request->http, info->connect_fd);
}

/* The first that is heard of a request, and the only place where its query can be had as it came. */
static inline void *malti_mhd_begin(void *unused, const char *uri, struct MHD_Connection *connection)
{
    size_t size = strlen(uri) + 1;
    struct malti_mhd *request = (struct malti_mhd *)calloc(1, sizeof *request + size);
    (void)unused, (void)connection;
    if (request) {
        malti_http_begin(&request->http);
        memcpy(request->target, uri, size);
    }
    return request;
}

/* The response has gone out, or the client is gone. */
static inline void malti_mhd_end(void *unused, struct MHD_Connection *connection, void **of_request,
                          enum MHD_RequestTerminationCode why)
{
    struct malti_mhd *request = (struct malti_mhd *)*of_request;
    (void)unused, (void)why;
    if (!request)
        return;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
    int status = info && info->http_status ? (int)info->http_status : 499;
    if (*request->method) /* else it was refused before it was a request */
        malti_http_end(&request->http, request->method, request->target, NULL, request->peer, status);
    free(request);
    *of_request = NULL;
}

#define MALTI_MHD_OPTIONS \
    MHD_OPTION_URI_LOG_CALLBACK, malti_mhd_begin, NULL, MHD_OPTION_NOTIFY_COMPLETED, malti_mhd_end, NULL

#endif

/* libmalti in a civetweb server (1.15 or later).
 *
 *     struct mg_callbacks callbacks = {0};
 *     malti_civetweb(&callbacks);
 *     mg_start(&callbacks, NULL, options);
 *
 * A handler finds its request by malti_civetweb_request(connection); NULL where there was no memory:
 *
 *     struct malti_http *malti = malti_civetweb_request(connection);
 *     malti_http_endpoint(malti, "/users/{user_id}");
 *
 * begin_request, end_request and the connection's user data belong to the adapter: `user` of the request
 * is the application's place, and what it sets in `callbacks` before is still called. The status is what
 * the handler returns, or what civetweb answered itself; a client that left is seen by the handler alone
 * (mg_write fails): let it return 499. */
#ifndef MALTI_CIVETWEB_H
#define MALTI_CIVETWEB_H

#include "malti_http.h"

#include <civetweb.h>

static int (*malti_civetweb_next_begin)(struct mg_connection *);
static void (*malti_civetweb_next_end)(const struct mg_connection *, int);

static inline struct malti_http *malti_civetweb_request(const struct mg_connection *connection)
{
    return (struct malti_http *)mg_get_user_connection_data(connection);
}

static inline int malti_civetweb_begin(struct mg_connection *connection)
{
    struct malti_http *request = (struct malti_http *)malloc(sizeof *request);
    mg_set_user_connection_data(connection, request);
    if (request) {
        const struct mg_request_info *info = mg_get_request_info(connection);
        malti_http_begin(request);
        for (int i = 0; i < info->num_headers; i++)
            malti_http_header(request, info->http_headers[i].name, info->http_headers[i].value);
    }
    return malti_civetweb_next_begin ? malti_civetweb_next_begin(connection) : 0;
}

static inline void malti_civetweb_end(const struct mg_connection *connection, int status)
{
    struct malti_http *request = malti_civetweb_request(connection);
    if (malti_civetweb_next_end)
        malti_civetweb_next_end(connection, status);
    if (!request)
        return;
    const struct mg_request_info *info = mg_get_request_info(connection);
    malti_http_end(request, info->request_method, info->request_uri,
                   info->query_string ? info->query_string : "", info->remote_addr, status);
    free(request);
    mg_set_user_connection_data((struct mg_connection *)connection, NULL);
}

/* Once a process: the callbacks that were set are kept for all servers of a source file. */
static inline void malti_civetweb(struct mg_callbacks *callbacks)
{
    malti_civetweb_next_begin = callbacks->begin_request;
    malti_civetweb_next_end = callbacks->end_request;
    callbacks->begin_request = malti_civetweb_begin;
    callbacks->end_request = malti_civetweb_end;
}

#endif

/* libmalti in a server of libevent's evhttp (2.1 or later).
 *
 *     static void handle(struct evhttp_request *req, void *arg)
 *     {
 *         struct malti_http *malti = malti_evhttp_begin(req);
 *         malti_http_endpoint(malti, "/users/{user_id}");
 *         malti_evhttp_look(malti);             // before evhttp_send_reply: is the client still there?
 *
 * First in each callback of evhttp_set_cb and evhttp_set_gencb; NULL where there was no memory. The
 * record comes when the answer has gone out, or the client is gone. evhttp calls back when the whole
 * request was read: its time begins there. The request's on_complete_cb and the connection's closecb
 * belong to the adapter. What evhttp answers without calling back leaves no record. */
#ifndef MALTI_LIBEVENT_H
#define MALTI_LIBEVENT_H

#include "malti_http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <sys/queue.h>

struct malti_evhttp {
    struct malti_http http; /* first: it is what the application has */
    struct evhttp_request *req;
};

static inline void malti_evhttp_look(struct malti_http *malti)
{
    struct evhttp_request *req = malti ? ((struct malti_evhttp *)malti)->req : NULL;
    struct evhttp_connection *connection = req ? evhttp_request_get_connection(req) : NULL;
    if (connection)
        malti_http_look(malti, bufferevent_getfd(evhttp_connection_get_bufferevent(connection)));
}

static inline const char *malti_evhttp_method(enum evhttp_cmd_type type)
{
    switch (type) {
    case EVHTTP_REQ_GET: return "GET";
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_HEAD: return "HEAD";
    case EVHTTP_REQ_PUT: return "PUT";
    case EVHTTP_REQ_DELETE: return "DELETE";
    case EVHTTP_REQ_OPTIONS: return "OPTIONS";
    case EVHTTP_REQ_TRACE: return "TRACE";
    case EVHTTP_REQ_CONNECT: return "CONNECT";
    case EVHTTP_REQ_PATCH: return "PATCH";
    default: return "UNKNOWN";
    }
}

static inline void malti_evhttp_end(struct malti_evhttp *request, int status)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request->req);
    char *peer = NULL;
    uint16_t port;
    if (connection) {
        evhttp_connection_get_peer(connection, &peer, &port);
        evhttp_connection_set_closecb(connection, NULL, NULL);
    }
    malti_http_end(&request->http, malti_evhttp_method(evhttp_request_get_command(request->req)),
                   evhttp_request_get_uri(request->req), NULL, peer, status);
    free(request);
}

static inline void malti_evhttp_complete(struct evhttp_request *req, void *request)
{
    malti_evhttp_end((struct malti_evhttp *)request, evhttp_request_get_response_code(req));
}

/* Before its end: 499 where nothing was answered yet. */
static inline void malti_evhttp_closed(struct evhttp_connection *connection, void *of)
{
    struct malti_evhttp *request = (struct malti_evhttp *)of;
    int status = evhttp_request_get_response_code(request->req);
    (void)connection;
    evhttp_request_set_on_complete_cb(request->req, NULL, NULL);
    malti_evhttp_end(request, status ? status : 499);
}

static inline struct malti_http *malti_evhttp_begin(struct evhttp_request *req)
{
    struct malti_evhttp *request = (struct malti_evhttp *)malloc(sizeof *request);
    if (!request)
        return NULL;
    malti_http_begin(&request->http);
    request->req = req;
    struct evkeyval *header;
    for (header = evhttp_request_get_input_headers(req)->tqh_first; header; header = header->next.tqe_next)
        malti_http_header(&request->http, header->key, header->value);
    evhttp_request_set_on_complete_cb(req, malti_evhttp_complete, request);
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), malti_evhttp_closed, request);
    return &request->http;
}

#endif

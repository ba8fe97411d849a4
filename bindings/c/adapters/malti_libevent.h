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
 * belong to the adapter. What evhttp answers without calling back leaves no record.
 *
 * The client may be gone, and `malti` with it, before an answer is whole: `on_end` of it tells. The request
 * stays until evhttp_send_reply or evhttp_send_reply_end, which then do nothing but free it. */
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
    int sent; /* the status, once there is one */
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

/* When a client leaves, evhttp puts another status in the place of the one that went out. */
static inline void malti_evhttp_sends(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *of)
{
    struct malti_evhttp *request = (struct malti_evhttp *)of;
    (void)buffer;
    if (!request->sent && info->n_added)
        request->sent = evhttp_request_get_response_code(request->req);
}

static inline struct evbuffer *malti_evhttp_output(struct evhttp_connection *connection)
{
    return bufferevent_get_output(evhttp_connection_get_bufferevent(connection));
}

/* Without an answer that has begun it is 499. */
static inline void malti_evhttp_end(struct malti_evhttp *request, struct evhttp_connection *connection)
{
    char *peer = NULL;
    uint16_t port;
    evhttp_connection_get_peer(connection, &peer, &port);
    evhttp_connection_set_closecb(connection, NULL, NULL);
    evhttp_request_set_on_complete_cb(request->req, NULL, NULL);
    evbuffer_remove_cb(malti_evhttp_output(connection), malti_evhttp_sends, request);
    malti_http_end(&request->http, malti_evhttp_method(evhttp_request_get_command(request->req)),
                   evhttp_request_get_uri(request->req), NULL, peer, request->sent ? request->sent : 499);
    free(request);
}

static inline void malti_evhttp_complete(struct evhttp_request *req, void *request)
{
    malti_evhttp_end((struct malti_evhttp *)request, evhttp_request_get_connection(req));
}

static inline void malti_evhttp_closed(struct evhttp_connection *connection, void *request)
{
    malti_evhttp_end((struct malti_evhttp *)request, connection);
}

static inline struct malti_http *malti_evhttp_begin(struct evhttp_request *req)
{
    struct malti_evhttp *request = (struct malti_evhttp *)malloc(sizeof *request);
    if (!request)
        return NULL;
    malti_http_begin(&request->http);
    request->req = req;
    request->sent = 0;
    struct evhttp_connection *connection = evhttp_request_get_connection(req);
    struct evkeyval *header;
    for (header = evhttp_request_get_input_headers(req)->tqh_first; header; header = header->next.tqe_next)
        malti_http_header(&request->http, header->key, header->value);
    evhttp_request_set_on_complete_cb(req, malti_evhttp_complete, request);
    evhttp_connection_set_closecb(connection, malti_evhttp_closed, request);
    evbuffer_add_cb(malti_evhttp_output(connection), malti_evhttp_sends, request);
    return &request->http;
}

#endif

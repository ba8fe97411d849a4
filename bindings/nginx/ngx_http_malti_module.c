/*
 * Records each request that nginx answers, by libmalti.
 *
 * The master reads the settings; each worker has a client of its own, from its start to its end. A
 * request is recorded once, when nginx logs it, with the settings and the name of the location that
 * it came to first: where nginx itself sends it on to (try_files, index, error_page, rewrite) is not
 * what the client asked for.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <malti.h>

/* libmalti keeps 500 characters of a text, each of at most four bytes. */
#define NGX_HTTP_MALTI_TEXT  (500 * 4 + 1)
#define NGX_HTTP_MALTI_LINE  4096
#define NGX_HTTP_MALTI_ERROR  512

/* Milliseconds between two looks at what the client has to say. */
#define NGX_HTTP_MALTI_LOOK  1000

/*
 * Milliseconds for the last delivery of a worker that is to end at once, whatever shutdown_timeout
 * says: the master kills those that take longer than 1.5 s.
 */
#define NGX_HTTP_MALTI_TERMINATE  1000


typedef struct {
    malti_config              *settings;
    ngx_flag_t                 used;      /* `malti on` stands somewhere */
} ngx_http_malti_main_conf_t;


typedef struct {
    ngx_flag_t                 on;
    ngx_http_complex_value_t  *consumer;
    ngx_http_complex_value_t  *endpoint;
    ngx_http_complex_value_t  *context;
    ngx_str_t                  route;     /* the location's name as a pattern; empty: it names none */
} ngx_http_malti_loc_conf_t;


static ngx_int_t ngx_http_malti_route_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_malti_log_handler(ngx_http_request_t *r);
static char *ngx_http_malti_setting(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static void *ngx_http_malti_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_malti_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_malti_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
static ngx_int_t ngx_http_malti_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_malti_init_process(ngx_cycle_t *cycle);
static void ngx_http_malti_exit_process(ngx_cycle_t *cycle);


#define NGX_HTTP_MALTI_ANYWHERE  (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)

#define ngx_http_malti_value(name, field)                                     \
    { ngx_string(name), NGX_HTTP_MALTI_ANYWHERE|NGX_CONF_TAKE1,               \
      ngx_http_set_complex_value_slot, NGX_HTTP_LOC_CONF_OFFSET,              \
      offsetof(ngx_http_malti_loc_conf_t, field), NULL }

#define ngx_http_malti_key(name, takes)                                       \
    { ngx_string(name), NGX_HTTP_MAIN_CONF|takes,                             \
      ngx_http_malti_setting, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL }


static ngx_command_t  ngx_http_malti_commands[] = {

    { ngx_string("malti"),
      NGX_HTTP_MALTI_ANYWHERE|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_malti_loc_conf_t, on),
      NULL },

    ngx_http_malti_value("malti_consumer", consumer),
    ngx_http_malti_value("malti_endpoint", endpoint),
    ngx_http_malti_value("malti_context", context),

    ngx_http_malti_key("malti_url", NGX_CONF_TAKE1),
    ngx_http_malti_key("malti_api_key", NGX_CONF_TAKE1),
    ngx_http_malti_key("malti_api_key_file", NGX_CONF_TAKE1),
    ngx_http_malti_key("malti_service_name", NGX_CONF_TAKE1),
    ngx_http_malti_key("malti_set", NGX_CONF_TAKE2),

    ngx_null_command
};


static ngx_http_module_t  ngx_http_malti_module_ctx = {
    NULL,                              /* preconfiguration */
    ngx_http_malti_init,               /* postconfiguration */
    ngx_http_malti_create_main_conf,   /* create main configuration */
    NULL,                              /* init main configuration */
    NULL,                              /* create server configuration */
    NULL,                              /* merge server configuration */
    ngx_http_malti_create_loc_conf,    /* create location configuration */
    ngx_http_malti_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_malti_module = {
    NGX_MODULE_V1,
    &ngx_http_malti_module_ctx,        /* module context */
    ngx_http_malti_commands,           /* module directives */
    NGX_HTTP_MODULE,                   /* module type */
    NULL,                              /* init master */
    NULL,                              /* init module */
    ngx_http_malti_init_process,       /* init process */
    NULL,                              /* init thread */
    NULL,                              /* exit thread */
    ngx_http_malti_exit_process,       /* exit process */
    NULL,                              /* exit master */
    NGX_MODULE_V1_PADDING
};


/* What a worker has: nginx runs no two requests of one at the same time. */
static struct {
    unsigned       running:1;          /* there is a client to give back */
    u_char        *headers;            /* room for a request's, as malti_record_request takes them */
    size_t         size;
    ngx_event_t    look;
} ngx_http_malti;


/* Recording */


/* Stands in a request's pool, where its first location is kept: an internal redirect clears r->ctx. */
static void
ngx_http_malti_first_location(void *data)
{
}


static ngx_http_malti_loc_conf_t *
ngx_http_malti_get_first_location(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_malti_first_location) {
            return cln->data;
        }
    }

    return NULL;
}


/* A location was found. */
static ngx_int_t
ngx_http_malti_route_handler(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    if (r != r->main
        || r->error_page
        || ngx_http_malti_get_first_location(r) != NULL)
    {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln) {
        cln->handler = ngx_http_malti_first_location;
        cln->data = ngx_http_get_module_loc_conf(r, ngx_http_malti_module);
    }

    return NGX_DECLINED;
}


/*
 * The request headers that can say who called, as name NUL value NUL ...; empty where there is no
 * memory for them.
 */
static ngx_str_t
ngx_http_malti_headers(ngx_http_request_t *r)
{
    u_char           *p;
    size_t            len;
    ngx_str_t         headers;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    ngx_str_null(&headers);
    len = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;
        for (i = 0; i < part->nelts; i++) {
            len += header[i].key.len + header[i].value.len + 2;
        }
    }

    if (len > ngx_http_malti.size) {
        p = ngx_alloc(len, r->connection->log);
        if (p == NULL) {
            return headers;
        }
        if (ngx_http_malti.headers) {
            ngx_free(ngx_http_malti.headers);
        }
        ngx_http_malti.headers = p;
        ngx_http_malti.size = len;
    }

    p = ngx_http_malti.headers;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;
        for (i = 0; i < part->nelts; i++) {
            if (malti_reads_header((char *) header[i].lowcase_key, header[i].key.len) <= 0) {
                continue;
            }
            p = ngx_cpymem(p, header[i].lowcase_key, header[i].key.len);
            *p++ = '\0';
            p = ngx_cpymem(p, header[i].value.data, header[i].value.len);
            *p++ = '\0';
        }
    }

    headers.data = ngx_http_malti.headers;
    headers.len = p - headers.data;
    return headers;
}


/* The value of a directive for this request; empty where there is none. */
static ngx_str_t
ngx_http_malti_eval(ngx_http_request_t *r, ngx_http_complex_value_t *cv)
{
    ngx_str_t  value;

    if (cv == NULL || ngx_http_complex_value(r, cv, &value) != NGX_OK) {
        ngx_str_null(&value);
    }

    return value;
}


/* The target as the client sent it, cut in two: what nginx rewrites is nothing that the client knows. */
static void
ngx_http_malti_target(ngx_http_request_t *r, ngx_str_t *path, ngx_str_t *query)
{
    u_char  *mark;

    *path = r->unparsed_uri;
    ngx_str_null(query);

    mark = path->len ? memchr(path->data, '?', path->len) : NULL;
    if (mark) {
        query->data = mark + 1;
        query->len = path->data + path->len - query->data;
        path->len = mark - path->data;
    }
}


/* $request_time, in microseconds. nginx's clock has milliseconds, and may be set back. */
static uint64_t
ngx_http_malti_took(ngx_http_request_t *r)
{
    ngx_time_t      *now;
    ngx_msec_int_t   ms;

    now = ngx_timeofday();
    ms = (ngx_msec_int_t)
             ((now->sec - r->start_sec) * 1000 + (now->msec - r->start_msec));

    return (uint64_t) ngx_max(ms, 0) * 1000;
}


static ngx_int_t
ngx_http_malti_log_handler(ngx_http_request_t *r)
{
    int32_t                     status;
    ngx_str_t                   consumer, context, endpoint, headers, path, query;
    ngx_str_t                  *peer;
    ngx_http_malti_loc_conf_t  *first, *conf;

    if (!ngx_http_malti.running || r != r->main || r->method_name.len == 0) {
        return NGX_OK;
    }

    first = ngx_http_malti_get_first_location(r);
    conf = first ? first : ngx_http_get_module_loc_conf(r, ngx_http_malti_module);

    /* As $status is. */
    status = (int32_t) (r->err_status ? r->err_status : r->headers_out.status);

    /* An upgraded connection is none of HTTP's requests. */
    if (!conf->on || status == NGX_HTTP_SWITCHING_PROTOCOLS || status == 0) {
        return NGX_OK;
    }

    headers = ngx_http_malti_headers(r);
    peer = &r->connection->addr_text;
    ngx_http_malti_target(r, &path, &query);

    endpoint = ngx_http_malti_eval(r, conf->endpoint);
    if (endpoint.len == 0) {
        endpoint = first && first->route.len ? first->route : path;
    }

    consumer = ngx_http_malti_eval(r, conf->consumer);
    context = ngx_http_malti_eval(r, conf->context);

    malti_record_request((char *) r->method_name.data, r->method_name.len,
                         (char *) endpoint.data, endpoint.len,
                         status, ngx_http_malti_took(r),
                         (char *) consumer.data, consumer.len,
                         (char *) context.data, context.len,
                         (char *) headers.data, headers.len,
                         (char *) query.data, query.len,
                         (char *) peer->data, peer->len, 0);

    return NGX_OK;
}


/* A worker's life */


/* Hands what the client has to say to the error log. Its own thread must not: nginx's log has no lock. */
static void
ngx_http_malti_say(ngx_log_t *log)
{
    char        line[NGX_HTTP_MALTI_LINE];
    int32_t     level;
    ngx_uint_t  as;

    while (malti_log_next(&level, line, sizeof(line)) > 0) {
        switch (level) {
        case 1:
            as = NGX_LOG_ERR;
            break;
        case 2:
            as = NGX_LOG_WARN;
            break;
        case 3:
            as = NGX_LOG_INFO;
            break;
        default:
            as = NGX_LOG_DEBUG;
        }

        ngx_log_error(as, log, 0, "malti: %s", line);
    }
}


static void
ngx_http_malti_look(ngx_event_t *ev)
{
    ngx_http_malti_say(ev->log);

    if (!ngx_exiting) {
        ngx_add_timer(ev, NGX_HTTP_MALTI_LOOK);
    }
}


static ngx_int_t
ngx_http_malti_init_process(ngx_cycle_t *cycle)
{
    char                         why[NGX_HTTP_MALTI_ERROR];
    int32_t                      status;
    ngx_event_t                 *ev;
    ngx_http_malti_main_conf_t  *conf;

    /* Of a debug line about the timer. */
    static ngx_connection_t      nobody;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }

    conf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_malti_module);
    if (conf == NULL || !conf->used) {
        return NGX_OK;
    }

    /* Asked once before its start, the client keeps its lines for who asks. */
    ngx_http_malti_say(cycle->log);

    why[0] = '\0';
    status = malti_init(conf->settings, why, sizeof(why));
    ngx_http_malti_say(cycle->log);

    if (status < 0) {
        /* A server without telemetry is still a server. */
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0, "malti: %s: %s",
                      malti_status_str(status), why);
        return NGX_OK;
    }

    if (status != MALTI_OK) {
        return NGX_OK;
    }

    ngx_http_malti.running = 1;

    nobody.fd = (ngx_socket_t) -1;

    ev = &ngx_http_malti.look;
    ev->handler = ngx_http_malti_look;
    ev->data = &nobody;
    ev->log = cycle->log;
    ev->cancelable = 1;
    ngx_add_timer(ev, NGX_HTTP_MALTI_LOOK);

    return NGX_OK;
}


static void
ngx_http_malti_exit_process(ngx_cycle_t *cycle)
{
    char        text[32];
    uint32_t    timeout;

    if (!ngx_http_malti.running) {
        return;
    }

    ngx_http_malti.running = 0;

    malti_config_get(NULL, "shutdown_timeout", text, sizeof(text));
    timeout = (uint32_t) (strtod(text, NULL) * 1000);

    if (ngx_terminate) {
        timeout = ngx_min(timeout, NGX_HTTP_MALTI_TERMINATE);
    }

    malti_shutdown(timeout);
    ngx_http_malti_say(cycle->log);

    if (ngx_http_malti.headers) {
        ngx_free(ngx_http_malti.headers);
        ngx_http_malti.headers = NULL;
        ngx_http_malti.size = 0;
    }
}


/* Configuration */


/* malti_NAME VALUE and malti_set NAME VALUE: libmalti says what is right. */
static char *
ngx_http_malti_setting(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                         why[NGX_HTTP_MALTI_ERROR];
    ngx_str_t                   *args, value;
    const char                  *key;
    ngx_http_malti_main_conf_t  *mcf = conf;

    args = cf->args->elts;
    value = args[cf->args->nelts - 1];
    key = cf->args->nelts == 3 ? (char *) args[1].data
                               : (char *) args[0].data + sizeof("malti_") - 1;

    /* Beside nginx.conf, as with every other file that is named in it. */
    if (ngx_strcmp(key, "api_key_file") == 0
        && ngx_conf_full_name(cf->cycle, &value, 1) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (malti_config_set(mcf->settings, key, (char *) value.data, why, sizeof(why)) < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "malti: %s", why);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void
ngx_http_malti_free_settings(void *data)
{
    malti_config_free(data);
}


static void *
ngx_http_malti_create_main_conf(ngx_conf_t *cf)
{
    char                         binding[64];
    ngx_pool_cleanup_t          *cln;
    ngx_http_malti_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_malti_main_conf_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (conf == NULL || cln == NULL) {
        return NULL;
    }

    conf->settings = malti_config_new();
    if (conf->settings == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_malti_free_settings;
    cln->data = conf->settings;

    ngx_snprintf((u_char *) binding, sizeof(binding), "nginx/%s%Z", malti_version());
    malti_config_set(conf->settings, "binding", binding, NULL, 0);

    return conf;
}


static void *
ngx_http_malti_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_malti_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_malti_loc_conf_t));
    if (conf) {
        conf->on = NGX_CONF_UNSET;
        conf->consumer = NGX_CONF_UNSET_PTR;
        conf->endpoint = NGX_CONF_UNSET_PTR;
        conf->context = NGX_CONF_UNSET_PTR;
    }

    return conf;
}


/*
 * The name of a location as a pattern. `= /a` is /a, `/a/` is /a/ and anything; a regular expression
 * is open at an end without anchor. `location /` and named locations say nothing of what was asked.
 */
static ngx_int_t
ngx_http_malti_route(ngx_conf_t *cf, ngx_http_core_loc_conf_t *clcf, ngx_str_t *route)
{
    char        normal[NGX_HTTP_MALTI_TEXT];
    u_char     *p;
    ngx_str_t   name, raw;

    name = clcf->name;

    if (name.len == 0 || clcf->named) {
        return NGX_OK;
    }

    if (clcf->exact_match) {
        *route = name;
        return NGX_OK;
    }

    raw.data = ngx_pnalloc(cf->pool, name.len + sizeof(".*.*") - 1);
    if (raw.data == NULL) {
        return NGX_ERROR;
    }

    p = raw.data;

#if (NGX_PCRE)
    if (clcf->regex) {
        if (name.data[0] != '^') {
            p = ngx_cpymem(p, ".*", 2);
        }
        p = ngx_cpymem(p, name.data, name.len);
        if (name.data[name.len - 1] != '$') {
            p = ngx_cpymem(p, ".*", 2);
        }

        /* Django's patterns are such regular expressions, too. */
        normal[0] = '\0';
        malti_normalize_route("django", (char *) raw.data, p - raw.data,
                              normal, sizeof(normal));
        raw.data = (u_char *) normal;
        raw.len = ngx_strlen(normal);

        route->len = raw.len;
        route->data = ngx_pstrdup(cf->pool, &raw);
        return route->data ? NGX_OK : NGX_ERROR;
    }
#endif

    if (name.len > 1) {
        p = ngx_cpymem(p, name.data, name.len);
        *p++ = '*';

        route->data = raw.data;
        route->len = p - raw.data;
    }

    return NGX_OK;
}


static char *
ngx_http_malti_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_malti_loc_conf_t   *prev = parent;
    ngx_http_malti_loc_conf_t   *conf = child;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_malti_main_conf_t  *mcf;

    ngx_conf_merge_value(conf->on, prev->on, 0);
    ngx_conf_merge_ptr_value(conf->consumer, prev->consumer, NULL);
    ngx_conf_merge_ptr_value(conf->endpoint, prev->endpoint, NULL);
    ngx_conf_merge_ptr_value(conf->context, prev->context, NULL);

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_malti_module);
    mcf->used |= conf->on;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* limit_except */
    if (clcf->noname) {
        conf->route = prev->route;
        return NGX_CONF_OK;
    }

    return ngx_http_malti_route(cf, clcf, &conf->route) == NGX_OK ? NGX_CONF_OK
                                                                  : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_malti_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt         *h;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_malti_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_malti_module);
    if (!mcf->used) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    /* The first phase that has a location. The module that was added last goes first in it. */
    h = ngx_array_push(&cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_malti_route_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_malti_log_handler;

    return NGX_OK;
}

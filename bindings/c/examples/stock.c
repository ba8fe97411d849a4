/* The application: a warehouse's stock. It knows nothing of telemetry but the fields of its answer. */
#define _POSIX_C_SOURCE 200809L

#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PARAMS 2
#define REPORT_TAKES_MS 120

struct params {
    char value[MAX_PARAMS][48];
};

typedef void handler(const struct request *request, const struct params *params, struct answer *answer);

static const struct {
    const char *sku;
    int count;
} items[] = {{"bolt-m8", 1200}, {"nut-m8", 950}, {"washer-m8", 4000}, {"hinge-70", 64}};

static const struct {
    const char *authorization;
    const char *customer;
} customers[] = {{"Bearer acme-token", "acme"}, {"Bearer globex-token", "globex"}};

static void say(struct answer *answer, int status, const char *json)
{
    answer->status = status;
    snprintf(answer->body, sizeof answer->body, "%s\n", json);
}

static void health(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)request, (void)params;
    say(answer, 200, "{\"status\":\"healthy\"}");
}

static void list_items(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)request, (void)params;
    say(answer, 200, "{\"items\":[\"bolt-m8\",\"nut-m8\",\"washer-m8\",\"hinge-70\"]}");
}

static void add_item(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)params;
    if (request->body_len == 0 || request->body[0] != '{')
        say(answer, 400, "{\"error\":\"the body must be a JSON object\"}");
    else
        say(answer, 201, "{\"added\":true}");
}

static void get_item(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)request;
    say(answer, 404, "{\"error\":\"no such item\"}");
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        if (strcmp(items[i].sku, params->value[0]) == 0) {
            answer->status = 200;
            snprintf(answer->body, sizeof answer->body, "{\"sku\":\"%s\",\"count\":%d}\n", items[i].sku,
                     items[i].count);
        }
    }
}

static void delete_item(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)request;
    if (strcmp(params->value[0], items[0].sku) == 0)
        say(answer, 409, "{\"error\":\"reserved by an order\"}");
    else
        answer->status = 204;
}

static void get_bin(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)request;
    if (strcmp(params->value[0], "closed") == 0)
        say(answer, 503, "{\"error\":\"this warehouse is closed\"}");
    else
        say(answer, 200, "{\"free\":12}");
}

/* The token says who the customer is: more than a header that anybody can send. */
static void reserve(const struct request *request, const struct params *params, struct answer *answer)
{
    say(answer, 401, "{\"error\":\"who are you?\"}");
    for (size_t i = 0; i < sizeof customers / sizeof *customers; i++) {
        if (strcmp(request->header(request, "authorization"), customers[i].authorization) == 0) {
            say(answer, 201, "{\"reserved\":true}");
            snprintf(answer->consumer, sizeof answer->consumer, "%s", customers[i].customer);
            snprintf(answer->context, sizeof answer->context, "order %s, %.40s", params->value[0],
                     request->header(request, "x-request-id"));
        }
    }
}

static void daily_report(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)request, (void)params;
    struct timespec pause = {.tv_nsec = REPORT_TAKES_MS * 1000000L};
    while (nanosleep(&pause, &pause) != 0)
        continue;
    say(answer, 200, "{\"sold\":3141}");
}

static void get_supplier(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)request;
    if (strcmp(params->value[0], "initech") == 0)
        say(answer, 502, "{\"error\":\"the supplier's service gave no answer\"}");
    else
        say(answer, 200, "{\"active\":true}");
}

static void audit(const struct request *request, const struct params *params, struct answer *answer)
{
    (void)params;
    if (!*request->header(request, "authorization"))
        say(answer, 401, "{\"error\":\"who are you?\"}");
    else
        say(answer, 403, "{\"error\":\"for auditors only\"}");
}

static const struct {
    const char *method;
    const char *pattern; /* in the normal form of malti_normalize_route */
    handler *handle;
} routes[] = {
    {"GET", "/health", health},
    {"GET", "/items", list_items},
    {"POST", "/items", add_item},
    {"GET", "/items/{sku}", get_item},
    {"DELETE", "/items/{sku}", delete_item},
    {"GET", "/warehouses/{warehouse_id}/bins/{bin_id}", get_bin},
    {"POST", "/orders/{order_id}/reservations", reserve},
    {"GET", "/reports/daily", daily_report},
    {"GET", "/suppliers/{supplier_id}", get_supplier},
    {"GET", "/audit", audit},
};

/* Whether a path has the form of a pattern; a parameter takes one segment that is not empty. */
static bool matches(const char *pattern, const char *path, struct params *params)
{
    size_t count = 0;
    while (*pattern && *path) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t length = strcspn(path, "/");
        if (length == 0 || length >= sizeof params->value[0] || count == MAX_PARAMS)
            return false;
        memcpy(params->value[count], path, length);
        params->value[count++][length] = '\0';
        path += length;
        pattern += strcspn(pattern, "}") + 1;
    }
    return !*pattern && !*path;
}

void stock_answer(const struct request *request, struct answer *answer)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    *answer = (struct answer){0};
    say(answer, 404, "{\"error\":\"there is nothing here\"}");
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        struct params params;
        if (!matches(routes[i].pattern, request->path, &params))
            continue;
        if (strcmp(routes[i].method, method) == 0) {
            *answer = (struct answer){.endpoint = routes[i].pattern};
            routes[i].handle(request, &params, answer);
            return;
        }
        answer->endpoint = routes[i].pattern;
        size_t used = strlen(answer->allow);
        snprintf(answer->allow + used, sizeof answer->allow - used, "%s%s", used ? ", " : "",
                 routes[i].method);
        say(answer, 405, "{\"error\":\"not by this method\"}");
    }
}

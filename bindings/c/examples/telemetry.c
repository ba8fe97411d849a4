/* All that libmalti asks of a server: start it, record each request when its answer has gone out,
 * stop it before the process ends. */
#define _POSIX_C_SOURCE 200809L

#include "service.h"

#include <malti.h>
#include <stdio.h>
#include <time.h>

#define STOP_WITHIN_MS 5000

uint64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Settings come from the environment: MALTI_URL, MALTI_API_KEY, MALTI_SERVICE_NAME ... */
bool telemetry_start(void)
{
    char why[256];
    int32_t status = malti_init(NULL, why, sizeof why);
    if (status != MALTI_OK)
        fprintf(stderr, "telemetry: %s: %s\n", malti_status_str(status), why);
    /* A server without telemetry is still a server. Only a setting that can't work stops it. */
    return status >= 0;
}

/* Called at the end of the response body, so that the time includes sending it. */
void telemetry_record(const struct request *request, const struct answer *answer, uint64_t started_us)
{
    uint64_t took_us = monotonic_us() - started_us;
    /* The pattern, not the path: /items/{sku} is one endpoint, whatever the number of items. */
    const char *endpoint = answer->endpoint ? answer->endpoint : request->path;

    /* The application's own values win; else the configured headers and query parameters say it. */
    malti_record_request(request->method, MALTI_NTS, endpoint, MALTI_NTS, answer->status, took_us,
                         answer->consumer, MALTI_NTS, answer->context, MALTI_NTS,
                         request->headers, request->headers_len, request->query, MALTI_NTS,
                         request->peer, MALTI_NTS, 0);
}

/* The library has no exit hook in C: without this call, what is still buffered is lost. */
void telemetry_stop(void)
{
    int32_t status = malti_shutdown(STOP_WITHIN_MS);
    if (status < 0)
        fprintf(stderr, "telemetry: %s\n", malti_status_str(status));

    char ledger[2048];
    if (malti_stats_json(ledger, sizeof ledger) < (int32_t)sizeof ledger)
        puts(ledger);
}

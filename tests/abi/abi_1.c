/* What libmalti.so.1 promises to programs that are compiled: with a header that breaks it, this does not
 * compile, and with a library that does, not link. Lines are added, never changed. */
#include <malti.h>
#include <stdbool.h>

#define IS(name, number) _Static_assert((name) == (number), #name)
#define FIELD(type, name, place)                                                              \
    _Static_assert(offsetof(malti_stats, name) == (place) &&                                  \
                       _Generic(((malti_stats *)0)->name, type: true, default: false),        \
                   #name)

_Static_assert(MALTI_ABI_VERSION >> 16 == 1, "MALTI_ABI_VERSION");
_Static_assert(sizeof MALTI_VERSION > 1, "MALTI_VERSION");
IS(MALTI_NTS, SIZE_MAX);

IS(MALTI_OK, 0);
IS(MALTI_IGNORED, 1);
IS(MALTI_DISABLED, 2);
IS(MALTI_ALREADY_RUNNING, 3);
IS(MALTI_NOT_RUNNING, 4);
IS(MALTI_ERR_INVALID_ARGUMENT, -1);
IS(MALTI_ERR_UNKNOWN_KEY, -2);
IS(MALTI_ERR_INVALID_VALUE, -3);
IS(MALTI_ERR_NOT_INITIALIZED, -4);
IS(MALTI_ERR_ALREADY_INITIALIZED, -5);
IS(MALTI_ERR_TIMED_OUT, -6);
IS(MALTI_ERR_REJECTED, -7);
IS(MALTI_ERR_NO_MEMORY, -8);
IS(MALTI_ERR_NO_THREAD, -9);
IS(MALTI_ERR_WOULD_DEADLOCK, -10);
IS(MALTI_ERR_PANIC, -11);

FIELD(uint64_t, recorded, 0);
FIELD(uint64_t, adopted, 8);
FIELD(uint64_t, sent, 16);
FIELD(uint64_t, buffered, 24);
FIELD(uint64_t, in_flight, 32);
FIELD(uint64_t, spooled, 40);
FIELD(uint64_t, dropped_overflow, 48);
FIELD(uint64_t, dropped_rejected, 56);
FIELD(uint64_t, dropped_shutdown, 64);
FIELD(uint64_t, dropped_expired, 72);
FIELD(uint64_t, filtered, 80);
FIELD(uint64_t, invalid, 88);
FIELD(uint64_t, batches, 96);
FIELD(uint64_t, retries, 104);
FIELD(uint64_t, bytes_sent, 112);
FIELD(uint64_t, buffer_capacity, 120);
FIELD(uint64_t, spool_skipped_bytes, 128);
FIELD(int64_t, last_success_unix_ms, 136);
FIELD(int32_t, last_http_status, 144);
FIELD(int32_t, state, 148);
_Static_assert(sizeof(malti_stats) >= 152, "malti_stats");

/* The types that a program may have passed on. */
typedef struct malti_config malti_config;
typedef void (*malti_log_fn)(int32_t level, const char *line, void *userdata);

const char *malti_status_str(int32_t status);
const char *malti_version(void);
uint32_t malti_abi_version(void);
malti_config *malti_config_new(void);
int32_t malti_config_set(malti_config *config, const char *key, const char *value, char *errbuf,
                         size_t errbuf_len);
int32_t malti_config_get(const malti_config *config, const char *key, char *out, size_t out_len);
int32_t malti_config_set_log(malti_config *config, malti_log_fn log, void *userdata);
void malti_config_free(malti_config *config);
int32_t malti_init(const malti_config *config, char *errbuf, size_t errbuf_len);
int32_t malti_flush(uint32_t timeout_ms);
int32_t malti_flush_begin(uint64_t *ticket);
int32_t malti_flush_wait(uint64_t ticket, uint32_t timeout_ms);
int32_t malti_shutdown(uint32_t timeout_ms);
int32_t malti_log_next(int32_t *level, char *out, size_t out_len);
int32_t malti_record(const char *method, const char *endpoint, int32_t status, uint64_t
                     response_time_us, const char *consumer, const char *context);
int32_t malti_record_n(const char *method, size_t method_len, const char *endpoint, size_t
                       endpoint_len, int32_t status, uint64_t response_time_us, const char
                       *consumer, size_t consumer_len, const char *context, size_t context_len,
                       int64_t created_at_unix_us);
int32_t malti_record_request(const char *method, size_t method_len, const char *endpoint, size_t
                             endpoint_len, int32_t status, uint64_t response_time_us, const char
                             *consumer, size_t consumer_len, const char *context, size_t context_len,
                             const char *headers, size_t headers_len, const char *query, size_t
                             query_len, const char *peer, size_t peer_len, int64_t created_at_unix_us);
int32_t malti_reads_header(const char *name, size_t name_len);
int32_t malti_resolve_consumer(const malti_config *config, const char *state, size_t state_len,
                               const char *headers, size_t headers_len, const char *query, size_t
                               query_len, const char *peer, size_t peer_len, char *out, size_t
                               out_len);
int32_t malti_resolve_context(const malti_config *config, const char *headers, size_t headers_len,
                              char *out, size_t out_len);
int32_t malti_normalize_route(const char *dialect, const char *pattern, size_t pattern_len, char
                              *out, size_t out_len);
int32_t malti_stats_get(malti_stats *out, size_t size);
int32_t malti_stats_json(char *out, size_t out_len);

/* Each is there to be linked to. */
int main(void)
{
    void (*const functions[])(void) = {
        (void (*)(void))malti_status_str,
        (void (*)(void))malti_version,
        (void (*)(void))malti_abi_version,
        (void (*)(void))malti_config_new,
        (void (*)(void))malti_config_set,
        (void (*)(void))malti_config_get,
        (void (*)(void))malti_config_set_log,
        (void (*)(void))malti_config_free,
        (void (*)(void))malti_init,
        (void (*)(void))malti_flush,
        (void (*)(void))malti_flush_begin,
        (void (*)(void))malti_flush_wait,
        (void (*)(void))malti_shutdown,
        (void (*)(void))malti_log_next,
        (void (*)(void))malti_record,
        (void (*)(void))malti_record_n,
        (void (*)(void))malti_record_request,
        (void (*)(void))malti_reads_header,
        (void (*)(void))malti_resolve_consumer,
        (void (*)(void))malti_resolve_context,
        (void (*)(void))malti_normalize_route,
        (void (*)(void))malti_stats_get,
        (void (*)(void))malti_stats_json,
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!functions[i])
            return 1;
    return malti_abi_version() >> 16 != 1;
}

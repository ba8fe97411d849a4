/*
 * libmalti: records HTTP requests for Malti, in the background.
 *
 * One process-wide client: malti_init, malti_record for each request, malti_shutdown.
 *
 * Generated from the sources by `make header`; do not edit.
 */

#ifndef MALTI_H
#define MALTI_H

#include <stddef.h>
#include <stdint.h>

/** The version that this header came with; malti_version tells that of the library. */
#define MALTI_VERSION "0.1.0"

/** As a length: the text is NUL-terminated. */
#define MALTI_NTS ((size_t)-1)

/**
 * The version of the binary interface, major << 16 | minor, that this header describes; malti_abi_version tells the
 * library's.
 */
#define MALTI_ABI_VERSION 65536

/**
 * Done.
 */
#define MALTI_OK 0

/**
 * Not recorded, and rightly so: clean mode or `exclude_endpoints` leaves it out.
 */
#define MALTI_IGNORED 1

/**
 * The client is switched off, or has no API key.
 */
#define MALTI_DISABLED 2

/**
 * One more owner of the client that already runs with the same settings.
 */
#define MALTI_ALREADY_RUNNING 3

/**
 * Before `malti_init`, or after the last owner's `malti_shutdown`.
 */
#define MALTI_NOT_RUNNING 4

/**
 * An argument can't be used: NULL where a value is needed, a status outside 100–999, ...
 */
#define MALTI_ERR_INVALID_ARGUMENT -1

/**
 * No configuration key has this name.
 */
#define MALTI_ERR_UNKNOWN_KEY -2

/**
 * A configuration value that its key does not accept.
 */
#define MALTI_ERR_INVALID_VALUE -3

/**
 * There is no running client whose configuration could be used.
 */
#define MALTI_ERR_NOT_INITIALIZED -4

/**
 * The client runs with other settings; nothing was changed.
 */
#define MALTI_ERR_ALREADY_INITIALIZED -5

/**
 * The time was up.
 */
#define MALTI_ERR_TIMED_OUT -6

/**
 * The server refuses this key, service or address; the records are kept.
 */
#define MALTI_ERR_REJECTED -7

/**
 * No memory; the record was not kept.
 */
#define MALTI_ERR_NO_MEMORY -8

/**
 * No thread could be started to send; the records are kept.
 */
#define MALTI_ERR_NO_THREAD -9

/**
 * Not allowed inside the log callback.
 */
#define MALTI_ERR_WOULD_DEADLOCK -10

/**
 * A fault inside libmalti, contained; please report it.
 */
#define MALTI_ERR_PANIC -11

/**
 * Settings for malti_init: opaque, with string keys. Used by one thread at a time.
 */
typedef struct malti_config malti_config;

/**
 * Takes a log line: `level` is 1 error, 2 warn, 3 info, 4 debug; `line` is NUL-terminated UTF-8 without a line end, valid
 * during the call; `userdata` is what malti_config_set_log was given. Runs on the thread "malti-sender" or inside
 * malti_init, malti_flush* and malti_shutdown, never inside malti_record*, with no lock held; on several threads at once
 * where several have something to say. Inside it only malti_record*, malti_stats_* and malti_version are allowed; init,
 * flush and shutdown answer MALTI_ERR_WOULD_DEADLOCK.
 */
typedef void (*malti_log_fn)(int32_t level, const char *line, void *userdata);

/**
 * The ledger in one exact snapshot. In each of them `recorded` and `adopted` together are the sum of
 * `sent`, `buffered`, `in_flight`, `spooled` and the four `dropped_…`.
 * The one public struct: it only ever grows at its end.
 */
typedef struct {
  /**
   * Calls that returned MALTI_OK.
   */
  uint64_t recorded;
  /**
   * Records taken over from the durable buffer of a process that died.
   */
  uint64_t adopted;
  /**
   * Records that the server (or the sink) confirmed.
   */
  uint64_t sent;
  /**
   * Records that wait.
   */
  uint64_t buffered;
  /**
   * Records in a request that is under way.
   */
  uint64_t in_flight;
  /**
   * Records left in a durable buffer at shutdown.
   */
  uint64_t spooled;
  /**
   * Records, the oldest, that a full buffer let go.
   */
  uint64_t dropped_overflow;
  /**
   * Records that the server refused for good.
   */
  uint64_t dropped_rejected;
  /**
   * Records not confirmed when shutdown's time was up.
   */
  uint64_t dropped_shutdown;
  /**
   * Records of a durable buffer that grew too old.
   */
  uint64_t dropped_expired;
  /**
   * Calls that returned MALTI_IGNORED. Outside the sum.
   */
  uint64_t filtered;
  /**
   * Calls that returned MALTI_ERR_INVALID_ARGUMENT or MALTI_ERR_NO_MEMORY. Outside the sum.
   */
  uint64_t invalid;
  /**
   * Requests that were confirmed.
   */
  uint64_t batches;
  /**
   * Requests made again after a fault.
   */
  uint64_t retries;
  /**
   * Bytes of the bodies of confirmed requests.
   */
  uint64_t bytes_sent;
  /**
   * The buffer's bound, in records.
   */
  uint64_t buffer_capacity;
  /**
   * Bytes of a durable buffer that were torn or foreign.
   */
  uint64_t spool_skipped_bytes;
  /**
   * When a request was last confirmed, milliseconds since 1970 UTC; 0: never.
   */
  int64_t last_success_unix_ms;
  /**
   * Status of the last answer; 0: none yet.
   */
  int32_t last_http_status;
  /**
   * 0 disabled, 1 idle, 2 sending, 3 retrying, 4 misconfigured, 5 stopped.
   */
  int32_t state;
} malti_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * What a status means, in a few words. Static text, never NULL, also for a number that is no status.
 * Any thread.
 */
const char *malti_status_str(int32_t status);

/**
 * The library's version, such as "0.1.0". Static text. Any thread.
 */
const char *malti_version(void);

/**
 * The version of the binary interface: major << 16 | minor. A binding needs the same major number and at least the
 * minor number that it was made for, and checks it when it loads the library. Any thread.
 */
uint32_t malti_abi_version(void);

/**
 * New settings: the defaults, then what the environment says (MALTI_BATCH_SIZE for the key batch_size, and so on; the
 * proxy and certificate variables too). The environment is read here and never again. A bad value in it is no error:
 * the default holds, and malti_init logs a warning. Free it with malti_config_free. NULL: an internal fault, and
 * nothing else. Any thread, but like every reader of the environment not while another thread changes it.
 */
malti_config *malti_config_new(void);

/**
 * Sets one key, such as "batch_size", to a value in text form, such as "500". Both are copied.
 *
 * MALTI_OK, or MALTI_ERR_UNKNOWN_KEY (the message names the nearest key), MALTI_ERR_INVALID_VALUE (the message names
 * key, value and what is accepted), MALTI_ERR_INVALID_ARGUMENT (NULL). After an error nothing has changed. The message
 * goes to `errbuf` (`errbuf_len` bytes, cut, always terminated; NULL and 0 are allowed).
 */
int32_t malti_config_set(malti_config *config,
                         const char *key,
                         const char *value,
                         char *errbuf,
                         size_t errbuf_len);

/**
 * Reads one key as text, in the form that malti_config_set accepts; api_key comes back masked. `config` NULL reads
 * the running client's. Returns the length needed without the terminating NUL, as snprintf does; `out` is always
 * terminated, cut on a character boundary (NULL and 0 are allowed). MALTI_ERR_UNKNOWN_KEY,
 * MALTI_ERR_INVALID_ARGUMENT (`key` NULL), MALTI_ERR_NOT_INITIALIZED (`config` NULL and no client runs).
 */
int32_t malti_config_get(const malti_config *config,
                         const char *key,
                         char *out,
                         size_t out_len);

/**
 * Sends log lines to `log` instead of standard error; NULL: standard error again. `userdata` is passed through and
 * must stay valid until the process ends. A language with a runtime of its own pulls its lines with malti_log_next
 * instead. MALTI_ERR_INVALID_ARGUMENT: `config` is NULL.
 */
int32_t malti_config_set_log(malti_config *config,
                             malti_log_fn log,
                             void *userdata);

/**
 * Frees settings; NULL is fine. A client that was started with them has a copy of its own.
 */
void malti_config_free(malti_config *config);

/**
 * Starts the process-wide client with a copy of `config` (NULL: the environment alone). Returns at once: no network
 * I/O, and no thread before the first record.
 *
 * MALTI_OK. MALTI_DISABLED: switched off, or no API key (a warning is logged); nothing will be recorded, and a later
 * malti_init with other settings may start it. MALTI_ALREADY_RUNNING: it runs with the same settings and has one more
 * owner. MALTI_ERR_ALREADY_INITIALIZED: it runs with other settings; nothing changed, and the message names the first
 * key that differs. MALTI_ERR_INVALID_VALUE: a file that the settings name can't be used, or `proxy`, `api_key` or
 * `binding` can't be sent as they are.
 *
 * MALTI_ERR_WOULD_DEADLOCK: called inside the log callback; nothing done.
 *
 * Each MALTI_OK and MALTI_ALREADY_RUNNING is to be paired with one malti_shutdown. A child that is forked later has a
 * client of its own, with the same settings and owners and an empty buffer. While another thread's malti_shutdown
 * delivers, it waits for that. Any thread.
 */
int32_t malti_init(const malti_config *config,
                   char *errbuf,
                   size_t errbuf_len);

/**
 * Waits until everything recorded before the call is delivered or counted, at most `timeout_ms` milliseconds (0: does
 * not wait; more than an hour counts as one). Tries at once, also while the sender pauses after a fault.
 *
 * MALTI_OK. MALTI_ERR_TIMED_OUT: delivery goes on. MALTI_ERR_REJECTED: the server refuses this key, service or
 * address. MALTI_ERR_NO_THREAD. MALTI_ERR_WOULD_DEADLOCK: called inside the log callback. Nothing is lost by any of
 * them. MALTI_NOT_RUNNING, MALTI_DISABLED: nothing to do. Any thread.
 */
int32_t malti_flush(uint32_t timeout_ms);

/**
 * The first half of malti_flush, for event loops: marks what is recorded so far, wakes the sender, and returns at
 * once. `ticket` takes what malti_flush_wait wants. MALTI_ERR_INVALID_ARGUMENT: `ticket` is NULL; else as malti_flush.
 */
int32_t malti_flush_begin(uint64_t *ticket);

/**
 * The second half: waits for the mark that `ticket` stands for, at most `timeout_ms` milliseconds; 0 only looks, and
 * answers MALTI_ERR_TIMED_OUT while there is more to do. Answers as malti_flush. A ticket may be asked for often, by
 * any thread.
 */
int32_t malti_flush_wait(uint64_t ticket,
                         uint32_t timeout_ms);

/**
 * Gives one ownership of the client back. The last owner's call delivers what it can within `timeout_ms` milliseconds
 * (0: does not wait; more than an hour counts as one), aborts a request that is still under way, and stops the
 * client; an earlier owner's call only flushes. Returns by its deadline, always. Where the server refuses connections
 * it gives up at once. malti_init may follow.
 *
 * MALTI_OK: everything was delivered or had been counted. MALTI_ERR_TIMED_OUT: stopped all the same, but some records
 * were not confirmed; they are counted `dropped_shutdown`, and one log line gives the ledger. From an earlier owner's
 * call it means that the flush did not end in time: nothing is lost by it, delivery goes on.
 * MALTI_NOT_RUNNING, MALTI_DISABLED: nothing to do. MALTI_ERR_WOULD_DEADLOCK: called inside the log callback; nothing
 * done. Any thread; not in a signal handler. A C host calls it before it ends: the library has no exit hook, and a main
 * thread that ends by pthread_exit leaves the thread "malti-sender" behind, which keeps the process alive.
 */
int32_t malti_shutdown(uint32_t timeout_ms);

/**
 * Takes the oldest log line that waits: its text to `out` (as snprintf does: the length needed comes back, `out` is
 * always terminated) and its level (1 error, 2 warn, 3 info, 4 debug) to `level` where that is not NULL. 0: none
 * waits. Called once before malti_init, it makes the client keep its last 64 lines for this function instead of
 * writing them to standard error. What the shutdown says can still be taken after it; what nobody took goes to
 * standard error at the next malti_init. `out` should hold 4096 bytes: a cut line is not given twice. Any thread.
 */
int32_t malti_log_next(int32_t *level,
                       char *out,
                       size_t out_len);

/**
 * Records one request. Copies what it is given and returns in tens of nanoseconds, whatever the network does; never
 * does I/O, never calls back.
 *
 * `method` is required, such as "GET". `endpoint` is the route pattern, such as "/users/{user_id}" (see
 * malti_normalize_route), else the path; NULL or empty counts as "/". `status` is the HTTP status, 100 to 999.
 * `response_time_us` is in microseconds, from the request's arrival to the end of the response body; it is sent in
 * whole milliseconds, rounded down, at most 2147483647. `consumer` is who called (see malti_resolve_consumer); NULL
 * or empty counts as "anonymous". `context` is free text; NULL: none. All text is UTF-8 (invalid bytes are replaced),
 * NUL-terminated, and cut to 500 characters.
 *
 * MALTI_OK: recorded. MALTI_IGNORED: left out by clean mode (401 and 404) or exclude_endpoints.
 * MALTI_ERR_INVALID_ARGUMENT: `method` missing or `status` out of range; nothing recorded, counted as `invalid`, and
 * the log names the field, once. MALTI_ERR_NO_MEMORY: nothing recorded. MALTI_NOT_RUNNING, MALTI_DISABLED: no client;
 * no argument was checked. Any thread; not in a signal handler.
 */
int32_t malti_record(const char *method,
                     const char *endpoint,
                     int32_t status,
                     uint64_t response_time_us,
                     const char *consumer,
                     const char *context);

/**
 * The same with lengths, for text that is not NUL-terminated, and with a time. A length of MALTI_NTS means that the
 * text is NUL-terminated; NULL with length 0 is absent, NULL with any other length is MALTI_ERR_INVALID_ARGUMENT.
 * `created_at_unix_us` is when the response ended, in microseconds since 1970-01-01 UTC, up to the year 9999; 0: now.
 * On Linux all responses that end between two ticks of the kernel's clock (every 1 to 10 ms, most often 4) get the first one's time.
 */
int32_t malti_record_n(const char *method,
                       size_t method_len,
                       const char *endpoint,
                       size_t endpoint_len,
                       int32_t status,
                       uint64_t response_time_us,
                       const char *consumer,
                       size_t consumer_len,
                       const char *context,
                       size_t context_len,
                       int64_t created_at_unix_us);

/**
 * malti_record_n for a server that leaves it to the running client's settings who called: malti_resolve_consumer and
 * malti_resolve_context in the same call, without their results in between.
 *
 * `consumer` and `context` are what the application itself said, NULL with length 0: nothing; `headers`, `query` and
 * `peer` are as for malti_resolve_consumer. The context is the application's, else that of the headers. Status as
 * malti_record's. Any thread; not in a signal handler.
 */
int32_t malti_record_request(const char *method,
                             size_t method_len,
                             const char *endpoint,
                             size_t endpoint_len,
                             int32_t status,
                             uint64_t response_time_us,
                             const char *consumer,
                             size_t consumer_len,
                             const char *context,
                             size_t context_len,
                             const char *headers,
                             size_t headers_len,
                             const char *query,
                             size_t query_len,
                             const char *peer,
                             size_t peer_len,
                             int64_t created_at_unix_us);

/**
 * Finds who called, by the rules of `config` (NULL: the running client's; see the keys consumer_order,
 * consumer_headers, consumer_query, use_ip_as_consumer, ip_anonymize, trusted_proxies).
 *
 * `state` is what the application itself set for this request. `headers` holds all request headers in order of
 * arrival as name NUL value NUL, raw bytes; `query` is the raw query string without '?'; `peer` is the peer's
 * address. Each may be NULL with length 0; MALTI_NTS as a length means NUL-terminated (not for `headers`).
 *
 * The result goes to `out` as snprintf does it: the length needed comes back, at least that of "anonymous"; `out` is
 * always terminated. MALTI_ERR_NOT_INITIALIZED: `config` is NULL and no client runs. MALTI_ERR_INVALID_ARGUMENT: NULL
 * with a length. Any thread.
 */
int32_t malti_resolve_consumer(const malti_config *config,
                               const char *state,
                               size_t state_len,
                               const char *headers,
                               size_t headers_len,
                               const char *query,
                               size_t query_len,
                               const char *peer,
                               size_t peer_len,
                               char *out,
                               size_t out_len);

/**
 * Finds the context that the key context_headers asks for: the first of those headers that is present. Arguments and
 * result as malti_resolve_consumer; 0: none.
 */
int32_t malti_resolve_context(const malti_config *config,
                              const char *headers,
                              size_t headers_len,
                              char *out,
                              size_t out_len);

/**
 * Whether the running client's settings read request headers of this name, in any case of letters. A server need not
 * keep the others, and may leave them out where malti_record_request or malti_resolve_consumer asks for all. 1: they
 * do; 0: they don't, or no client runs. `name` and `name_len` as for malti_record_n, errors too. Any thread.
 */
int32_t malti_reads_header(const char *name,
                           size_t name_len);

/**
 * Brings a route pattern into normal form, "/users/{user_id}". `dialect` says whose syntax it is: starlette fastapi
 * litestar werkzeug django sanic bottle falcon aiohttp express fastify koa hono hapi go chi gorilla gin echo fiber
 * plain. A binding does this once per route and keeps the result. The result goes to `out` as snprintf does it.
 * MALTI_ERR_INVALID_ARGUMENT: the dialect is unknown, or NULL with a length. Any thread, also before malti_init.
 */
int32_t malti_normalize_route(const char *dialect,
                              const char *pattern,
                              size_t pattern_len,
                              char *out,
                              size_t out_len);

/**
 * Fills `out` with the ledger, `size` being sizeof(malti_stats) as the caller was compiled: a smaller struct gets its
 * part, the rest of a larger one is zeroed. Returns the library's own size of it. After shutdown the final figures
 * stay readable until the next malti_init; before the first one all are 0. MALTI_ERR_INVALID_ARGUMENT: `out` is NULL.
 * Any thread, also inside the log callback.
 */
int32_t malti_stats_get(malti_stats *out,
                        size_t size);

/**
 * The ledger as a JSON object: the struct's fields, `state` as a word, and `last_error` (text or null). The length
 * needed comes back as from snprintf; `out` is always terminated. Any thread.
 */
int32_t malti_stats_json(char *out,
                         size_t out_len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MALTI_H */

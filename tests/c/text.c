/* Text over the boundary: lengths, absent values, results like snprintf's; and the struct's size. */
#include "test.h"

#define BLOB(text) text, sizeof(text) - 1

static void arguments(void)
{
    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "text", "log", "off", "node", "n", NULL)), MALTI_OK);

    /* Lengths count, and a text of MALTI_NTS ends at its NUL. */
    CHECK_INT(malti_record_n("GETx", 3, "/one/x", 4, 200, 2999, "callerx", 6, "notex", 4, 1), MALTI_OK);
    CHECK_INT(malti_record_n("GET", MALTI_NTS, "/two", MALTI_NTS, 200, 0, "caller", MALTI_NTS, NULL, 0, 0),
              MALTI_OK);
    CHECK_INT(malti_record_n("GET", 3, NULL, 0, 200, 0, NULL, 0, "", 0, 0), MALTI_OK);

    /* NULL with a length, and what can't be. */
    CHECK_INT(malti_record_n(NULL, 3, "/", 1, 200, 0, NULL, 0, NULL, 0, 0), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record_n("GET", 3, NULL, 1, 200, 0, NULL, 0, NULL, 0, 0), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record_n("GET", 3, "/", 1, 200, 0, NULL, MALTI_NTS, NULL, 0, 0),
              MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record_n("GET", 3, "/", 1, 200, 0, NULL, 0, NULL, 1, 0), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record_n("GET", 3, "/", 1, 200, 0, NULL, 0, NULL, 0, -1), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record_n("GET", 3, "/", 1, 200, 0, NULL, 0, NULL, 0, INT64_MAX),
              MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record(NULL, "/", 200, 0, NULL, NULL), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record("", "/", 200, 0, NULL, NULL), MALTI_ERR_INVALID_ARGUMENT);
    static const int32_t bad[] = {INT32_MIN, -1, 0, 99, 1000, 99999, INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(malti_record("GET", "/", bad[i], 0, NULL, NULL), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record("GET", "/low", 100, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_record("GET", "/high", 999, UINT64_MAX, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_record("GET", "/clean", 404, 0, NULL, NULL), MALTI_IGNORED);
    CHECK_INT(malti_record("GET", "/clean", 401, 0, NULL, NULL), MALTI_IGNORED);

    malti_stats stats = ledger();
    CHECK_INT(stats.recorded, 5);
    CHECK_INT(stats.invalid, 15);
    CHECK_INT(stats.filtered, 2);
    CHECK_INT(malti_shutdown(5000), MALTI_OK);
    char *lines = content(path);
    CHECK_INT(count_of(lines, "\n"), 5);
    CHECK_HAS(lines, "\"endpoint\":\"/one\",\"status\":200,\"response_time\":2,\"consumer\":\"caller\","
                     "\"context\":\"note\",\"created_at\":\"1970-01-01T00:00:00.000001+00:00\"");
    CHECK_HAS(lines, "\"endpoint\":\"/high\",\"status\":999,\"response_time\":2147483647,");
    CHECK_INT(count_of(lines, "\"consumer\":\"anonymous\""), 3);
    CHECK_INT(count_of(lines, "\"context\""), 1);
    free(lines);
    unlink(path);
}

static void results(void)
{
    static const char headers[] = "Host\0h\0X-User-Id\0zoë\0X-Request-Id\0r-1\0x-request-id\0r-2";
    malti_config *config = settings("context_headers", "traceparent,x-request-id", NULL);
    char out[64];
    /* The length that comes back is the whole one, however small the room is. */
    CHECK_INT(malti_resolve_consumer(config, NULL, 0, headers, sizeof headers, NULL, 0, NULL, 0, NULL, 0), 4);
    for (size_t room = 1; room <= 6; room++) {
        static const char *const expected[] = {"", "z", "zo", "zo", "zoë", "zoë"};
        memset(out, 'x', sizeof out);
        CHECK_INT(malti_resolve_consumer(config, NULL, 0, headers, sizeof headers, NULL, 0, NULL, 0, out, room),
                  4);
        CHECK_STR(out, expected[room - 1]);
        CHECK_INT(out[room], 'x');
    }
    CHECK_INT(malti_resolve_consumer(config, BLOB("state"), headers, sizeof headers, BLOB("user_id=q"), NULL, 0,
                                     out, sizeof out), 5);
    CHECK_STR(out, "state");
    CHECK_INT(malti_resolve_consumer(config, "", MALTI_NTS, NULL, 0, "user_id=a%20b", MALTI_NTS, "1.2.3.4",
                                     MALTI_NTS, out, sizeof out), 3);
    CHECK_STR(out, "a b");
    CHECK_INT(malti_resolve_consumer(config, NULL, 0, NULL, 0, NULL, 0, BLOB("1.2.3.4"), out, sizeof out), 9);
    CHECK_STR(out, "anonymous");
    CHECK_INT(malti_resolve_context(config, headers, sizeof headers, out, sizeof out), 3);
    CHECK_STR(out, "r-1");
    CHECK_INT(malti_resolve_context(config, BLOB("host\0h"), out, sizeof out), 0);
    CHECK_STR(out, "");
    /* A list that is cut off anywhere is read as far as it goes. */
    for (size_t length = 0; length < sizeof headers; length++)
        CHECK(malti_resolve_consumer(config, NULL, 0, headers, length, NULL, 0, NULL, 0, out, sizeof out) > 0);
    malti_config_free(config);

    CHECK_INT(malti_normalize_route("express", BLOB("/users/:id(\\d+)"), out, sizeof out), 11);
    CHECK_STR(out, "/users/{id}");
    CHECK_INT(malti_normalize_route("werkzeug", "/u/<int:uid>", MALTI_NTS, out, 6), 8);
    CHECK_STR(out, "/u/{u");
    CHECK(malti_normalize_route("plain", NULL, 0, out, sizeof out) >= 0);

    int32_t length = malti_stats_json(NULL, 0);
    char *json = malloc((size_t)length + 1);
    CHECK_INT(malti_stats_json(json, (size_t)length + 1), length);
    CHECK_INT(strlen(json), length);
    CHECK_HAS(json, "\"recorded\":5,");
    CHECK_HAS(json, "\"last_error\":");
    CHECK_HAS(json, "\"state\":\"stopped\"");
    CHECK_INT(malti_stats_json(json, 2), length);
    CHECK_STR(json, "{");
    free(json);
}

/* A program that was compiled with another version of the struct. */
static void sizes(void)
{
    union {
        malti_stats stats;
        unsigned char bytes[sizeof(malti_stats) + 32];
    } room;
    memset(&room, 0xaa, sizeof room);
    CHECK_INT(malti_stats_get(&room.stats, sizeof room), sizeof(malti_stats));
    CHECK_INT(room.stats.recorded, 5);
    for (size_t i = sizeof(malti_stats); i < sizeof room; i++)
        CHECK_INT(room.bytes[i], 0);
    memset(&room, 0xaa, sizeof room);
    CHECK_INT(malti_stats_get(&room.stats, sizeof(uint64_t)), sizeof(malti_stats));
    CHECK_INT(room.stats.recorded, 5);
    CHECK_INT(room.bytes[sizeof(uint64_t)], 0xaa);
    memset(&room, 0xaa, sizeof room);
    CHECK_INT(malti_stats_get(&room.stats, 0), sizeof(malti_stats));
    CHECK_INT(room.bytes[0], 0xaa);
}

int main(void)
{
    test_begin();
    arguments();
    results();
    sizes();
    return test_end();
}

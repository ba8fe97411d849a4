/* malti_record_request: what the application said, and who called by the rules where it said nothing. */
#include "test.h"

#define HEADERS "Host\0h\0X-User-ID\0ann\0X-Request-Id\0r1\0"

/* A name of more than 64 bytes. */
#define LENGTHY "x-the-context-of-this-request-by-a-name-that-no-header-had-so-far-0123"

static int32_t request(const char *consumer, const char *context, const char *headers, size_t headers_len,
                       const char *query, const char *peer)
{
    return malti_record_request("GET", MALTI_NTS, "/a", 2, 200, 7000, consumer, consumer ? MALTI_NTS : 0, context,
                                context ? MALTI_NTS : 0, headers, headers_len, query, query ? MALTI_NTS : 0, peer,
                                peer ? MALTI_NTS : 0, 1000000000000000);
}

int main(void)
{
    test_begin();
    CHECK_INT(request("acme", NULL, NULL, 0, NULL, NULL), MALTI_NOT_RUNNING);
    CHECK_INT(malti_reads_header("X-User-Id", MALTI_NTS), 0);
    CHECK_INT(start(settings("enabled", "false", NULL)), MALTI_DISABLED);
    CHECK_INT(request("acme", NULL, NULL, 1, NULL, NULL), MALTI_DISABLED);
    malti_shutdown(0);

    char url[256], huge[4000];
    const char *path = temp_file(url, sizeof url);
    memset(huge, 'h', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    CHECK_INT(start(settings("url", url, "context_headers", "x-request-id, " LENGTHY, "use_ip_as_consumer", "true",
                             NULL)),
              MALTI_OK);
    const struct {
        const char *consumer, *context;
        const char *headers;
        size_t headers_len;
        const char *query, *peer;
        const char *expected;
    } calls[] = {
        {" acme ", "plan=pro", HEADERS, sizeof HEADERS - 1, "user_id=q", "10.0.0.1",
         "\"consumer\":\"acme\",\"context\":\"plan=pro\""},
        {NULL, NULL, HEADERS, sizeof HEADERS - 1, "user_id=q", "10.0.0.1",
         "\"consumer\":\"ann\",\"context\":\"r1\""},
        {"", "", HEADERS, 7, "user_id=q%20r", NULL, "\"consumer\":\"q r\",\"created_at\""},
        {NULL, NULL, NULL, 0, NULL, "10.0.0.1:80", "\"consumer\":\"10.0.0.1\",\"created_at\""},
        {NULL, NULL, NULL, 0, NULL, NULL, "\"consumer\":\"anonymous\",\"created_at\""},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        CHECK_INT(request(calls[i].consumer, calls[i].context, calls[i].headers, calls[i].headers_len, calls[i].query,
                          calls[i].peer),
                  MALTI_OK);
    CHECK_INT(request(huge, huge, NULL, 0, NULL, NULL), MALTI_OK);

    /* What a server may leave out. */
    CHECK_INT(malti_reads_header("x-user-ID", MALTI_NTS), 1);
    CHECK_INT(malti_reads_header("X-Request-Id: r1", 12), 1);
    CHECK_INT(malti_reads_header("X-Forwarded-For", 15), 1);
    CHECK_INT(malti_reads_header(LENGTHY, MALTI_NTS), 1);
    CHECK_INT(malti_reads_header("Host", MALTI_NTS), 0);
    CHECK_INT(malti_reads_header("X-Request-Is", MALTI_NTS), 0);
    CHECK_INT(malti_reads_header(NULL, 0), 0);
    CHECK_INT(malti_reads_header(NULL, 1), MALTI_ERR_INVALID_ARGUMENT);

    /* Refused, counted, and not recorded. */
    CHECK_INT(request("acme", NULL, NULL, 1, NULL, NULL), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record_request(NULL, 0, NULL, 0, 200, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0),
              MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record_request("GET", 3, NULL, 0, 99, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0),
              MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record_request("GET", 3, NULL, 0, 404, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0),
              MALTI_IGNORED);
    CHECK_INT(malti_shutdown(10000), MALTI_OK);
    CHECK_INT(ledger().invalid, 3);
    CHECK_INT(ledger().filtered, 1);

    char *lines = content(path), *line = lines;
    CHECK_INT(count_of(lines, "\n"), 6);
    CHECK_INT(count_of(lines, "\"endpoint\":\"/a\",\"status\":200,\"response_time\":7,"), 6);
    CHECK_INT(count_of(lines, "2001-09-09T01:46:40"), 6);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char *end = strchr(line, '\n');
        if (!CHECK(end))
            break;
        *end = '\0';
        CHECK_HAS(line, calls[i].expected);
        line = end + 1;
    }
    char *last = strstr(line, "hhhh");
    CHECK(last && strspn(last, "h") == 500);
    free(lines);
    unlink(path);
    return test_end();
}

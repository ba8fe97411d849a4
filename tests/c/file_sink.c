/* The way of a record with url=file: one line each, with just what was recorded. */
#include "test.h"

#define LINE(fields)                                                                              \
    "{\"service\":\"sink\",\"node\":\"here\"," fields ",\"created_at\":\"2001-09-09T01:46:40.000000+00:00\"}\n"

int main(void)
{
    test_begin();
    char url[256], huge[4000];
    const char *path = temp_file(url, sizeof url);
    memset(huge, 'h', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    CHECK_INT(start(settings("url", url, "service_name", "sink", "node", "here", NULL)), MALTI_OK);
    static const struct {
        const char *method, *endpoint;
        int32_t status;
        uint64_t took_us;
        const char *consumer, *context;
    } calls[] = {
        {"GET", "/users/{id}", 200, 1999, "acme", NULL},
        {"post", "/users", 503, 0, NULL, "two\nlines\t\"quoted\" \\"},
        {"GET", "/users/<int:id>", 200, 1000, "a<b>c", ""},
        {"GET", "", 204, 3600000000, "\xed\xa0\x80|\xff|zoë", NULL},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        CHECK_INT(malti_record_n(calls[i].method, MALTI_NTS, calls[i].endpoint, MALTI_NTS, calls[i].status,
                                 calls[i].took_us, calls[i].consumer, calls[i].consumer ? MALTI_NTS : 0,
                                 calls[i].context, calls[i].context ? MALTI_NTS : 0, 1000000000000000),
                  MALTI_OK);
    CHECK_INT(malti_record("GET", huge, 200, 0, huge, huge), MALTI_OK);
    CHECK_INT(malti_shutdown(10000), MALTI_OK);

    char *lines = content(path);
    CHECK_INT(count_of(lines, "\n"), 5);
    static const char *const expected =
        LINE("\"method\":\"GET\",\"endpoint\":\"/users/{id}\",\"status\":200,\"response_time\":1,"
             "\"consumer\":\"acme\"")
        LINE("\"method\":\"POST\",\"endpoint\":\"/users\",\"status\":503,\"response_time\":0,"
             "\"consumer\":\"anonymous\",\"context\":\"two lines \\\"quoted\\\" \\\\\"")
        LINE("\"method\":\"GET\",\"endpoint\":\"/users/{int:id}\",\"status\":200,\"response_time\":1,"
             "\"consumer\":\"a(b)c\"")
        LINE("\"method\":\"GET\",\"endpoint\":\"/\",\"status\":204,\"response_time\":3600000,"
             "\"consumer\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|zoë\"");
    CHECK(strncmp(lines, expected, strlen(expected)) == 0 || !puts(lines));
    char *last = strstr(lines, "hhhh");
    CHECK(last && strspn(last, "h") == 500);
    CHECK_INT(ledger().bytes_sent, strlen(lines));
    free(lines);
    unlink(path);
    return test_end();
}

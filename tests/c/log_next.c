/* Pulling log lines instead of being called. */
#include "test.h"

int main(void)
{
    test_begin();
    char line[1024] = "x";
    int32_t level = 7;
    CHECK_INT(malti_log_next(&level, line, sizeof line), 0);
    CHECK_STR(line, "");
    CHECK_INT(level, 7);

    /* Without a key it is disabled, which is a warning; with `off` there is none. */
    CHECK_INT(start(settings("service_name", "log", NULL)), MALTI_DISABLED);
    int32_t length = malti_log_next(&level, line, sizeof line);
    CHECK(length > 0);
    CHECK_INT(length, strlen(line));
    CHECK_INT(level, 2);
    CHECK_HAS(line, "api_key");
    CHECK_INT(malti_log_next(NULL, NULL, 0), 0);

    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "log", NULL)), MALTI_OK);
    while (malti_log_next(&level, line, sizeof line) > 0)
        continue;
    CHECK_INT(malti_record("GET", "/", 1, 0, NULL, NULL), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record("", "/", 200, 0, NULL, NULL), MALTI_ERR_INVALID_ARGUMENT);
    memset(line, 'x', sizeof line);
    length = malti_log_next(NULL, line, 9); /* what is cut is gone */
    CHECK(length > 8);
    CHECK_INT(strlen(line), 8);
    CHECK_INT(line[9], 'x');
    CHECK(malti_log_next(&level, line, sizeof line) > 0);
    CHECK_HAS(line, "method");
    CHECK_INT(malti_log_next(&level, line, sizeof line), 0);
    CHECK_INT(malti_shutdown(1000), MALTI_OK);
    CHECK_INT(malti_log_next(&level, line, sizeof line), 0);
    unlink(path);

    /* The last word of a life can be taken after it. */
    CHECK_INT(start(settings("url", "http://127.0.0.1:1", "api_key", "k", "service_name", "log", NULL)), MALTI_OK);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_shutdown(0), MALTI_ERR_TIMED_OUT);
    bool said = false;
    while (malti_log_next(&level, line, sizeof line) > 0)
        said = said || strstr(line, "not delivered before shutdown: 1") != NULL;
    CHECK(said);
    return test_end();
}

/* Flush and shutdown return by their deadline, also from a server that accepts and never answers. */
#include "test.h"

static char silent[64];

static void begin(void)
{
    CHECK_INT(start(settings("url", silent, "api_key", "k", "service_name", "s", "log", "off", NULL)), MALTI_OK);
    for (int i = 0; i < 7; i++)
        CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
}

#define CHECK_TIME(call, status, least_ms)                                   \
    do {                                                                     \
        uint64_t before = now_ms();                                          \
        CHECK_INT(call, status);                                             \
        long long late_ms = (long long)(now_ms() - before) - (least_ms);     \
        CHECK(late_ms >= -1 && late_ms <= LATE_MS);                          \
    } while (0)

static void silence(void)
{
    begin();
    CHECK_TIME(malti_flush(0), MALTI_ERR_TIMED_OUT, 0);
    CHECK_TIME(malti_flush(250), MALTI_ERR_TIMED_OUT, 250);

    uint64_t first = 0, second = 0;
    CHECK_TIME(malti_flush_begin(&first), MALTI_OK, 0);
    CHECK_TIME(malti_flush_wait(first, 0), MALTI_ERR_TIMED_OUT, 0);
    CHECK_TIME(malti_flush_wait(first, 100), MALTI_ERR_TIMED_OUT, 100);
    CHECK_TIME(malti_flush_begin(&second), MALTI_OK, 0);

    malti_stats stats = ledger();
    CHECK_INT(stats.recorded, 7);
    CHECK_INT(stats.in_flight + stats.buffered, 7); /* giving up on waiting loses nothing */
    CHECK_TIME(malti_shutdown(300), MALTI_ERR_TIMED_OUT, 300);
    stats = ledger();
    CHECK_INT(stats.dropped_shutdown, 7);
    CHECK_INT(stats.in_flight + stats.buffered, 0);
    CHECK_INT(unaccounted(&stats), 0);
    CHECK_TIME(malti_flush_wait(second, 1000), MALTI_NOT_RUNNING, 0);
}

static void no_time_at_all(void)
{
    begin();
    CHECK_TIME(malti_shutdown(0), MALTI_ERR_TIMED_OUT, 0);
    malti_stats stats = ledger();
    CHECK_INT(stats.dropped_shutdown, 7);
    CHECK_INT(unaccounted(&stats), 0);
}

/* A ticket stands for what was recorded before it, and may be asked for again. */
static void tickets(void)
{
    char url[256];
    const char *path = temp_file(url, sizeof url);
    uint64_t early = 0, late = 0;
    CHECK_INT(start(settings("url", url, "service_name", "s", NULL)), MALTI_OK);
    CHECK_INT(malti_flush_begin(&early), MALTI_OK);
    CHECK_INT(malti_flush_wait(early, 0), MALTI_OK); /* nothing to do */
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_flush_begin(&late), MALTI_OK);
    CHECK_INT(malti_flush_wait(early, 0), MALTI_OK);
    CHECK_INT(malti_flush_wait(late, 10000), MALTI_OK);
    CHECK_INT(malti_flush_wait(late, 0), MALTI_OK);
    CHECK_INT(malti_flush_wait(early, 0), MALTI_OK);
    CHECK_INT(ledger().sent, 1);
    CHECK_INT(malti_flush(10000), MALTI_OK);
    CHECK_INT(malti_shutdown(10000), MALTI_OK);
    unlink(path);
}

/* Nobody listens: shutdown tries once and does not use up its time. */
static void refused(void)
{
    char url[64];
    close(silent_server(url, sizeof url));
    CHECK_INT(start(settings("url", url, "api_key", "k", "service_name", "s", "log", "off", NULL)), MALTI_OK);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_TIME(malti_shutdown(60000), MALTI_ERR_TIMED_OUT, 0);
    CHECK_INT(ledger().dropped_shutdown, 1);
}

int main(void)
{
    test_begin();
    int server = silent_server(silent, sizeof silent);
    silence();
    no_time_at_all();
    tickets();
    refused();
    close(server);
    return test_end();
}

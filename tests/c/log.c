/* The log callback: what it gets, where it runs, and what it may do there. */
#include "test.h"

#include <pthread.h>

static atomic_int lines, grave, complaints, ledger_lines, refused, wrong;
static _Thread_local bool recording;
static int mark;

static int32_t record(const char *endpoint, int32_t status)
{
    recording = true;
    int32_t result = malti_record("GET", endpoint, status, 0, NULL, NULL);
    recording = false;
    return result;
}

static void wait_for_lines(int count)
{
    for (uint64_t until = now_ms() + 10000; now_ms() < until && atomic_load(&lines) < count;)
        sleep_ms(5);
    CHECK_INT(atomic_load(&lines), count);
}

static void take(int32_t level, const char *line, void *userdata)
{
    malti_stats stats;
    uint64_t ticket;
    bool good = !recording && userdata == &mark && level >= 1 && level <= 4 && !strpbrk(line, "\r\n") &&
                !strstr(line, "demo-secret") && malti_stats_get(&stats, sizeof stats) > 0 &&
                unaccounted(&stats) == 0 && malti_stats_json(NULL, 0) > 0 && *malti_version();
    /* Waiting here could be waiting for oneself. Without a client there is nothing to wait for. */
    static int32_t (*const waiting[])(uint32_t) = {malti_flush, malti_shutdown};
    for (int i = 0; i < 2; i++) {
        int32_t status = waiting[i](1000);
        good = good && (status == MALTI_ERR_WOULD_DEADLOCK || status == MALTI_NOT_RUNNING);
        atomic_fetch_add(&refused, status == MALTI_ERR_WOULD_DEADLOCK);
    }
    int32_t status = malti_flush_begin(&ticket);
    good = good && (status == MALTI_ERR_WOULD_DEADLOCK || status == MALTI_NOT_RUNNING);
    status = malti_record("GET", "/from-the-callback", 200, 0, NULL, NULL);
    good = good && (status == MALTI_OK || status == MALTI_NOT_RUNNING);
    atomic_fetch_add(&wrong, !good);
    atomic_fetch_add(&lines, 1);
    atomic_fetch_add(&grave, level <= 2);
    atomic_fetch_add(&complaints, strstr(line, "status") != NULL);
    atomic_fetch_add(&ledger_lines, strstr(line, "recorded 4") != NULL);
}

/* A port that was free a moment ago: connections to it are refused. */
static void refusing_url(char *url, size_t size)
{
    close(silent_server(url, size));
}

int main(void)
{
    test_begin();
    char url[64];
    refusing_url(url, sizeof url);
    malti_config *config = settings("url", url, "api_key", "demo-secret", "max_retries", "0", "batch_size", "1",
                                    "service_name", "log", "batch_interval", "0.2", NULL);
    CHECK_INT(malti_config_set_log(config, take, &mark), MALTI_OK);
    CHECK_INT(start(config), MALTI_OK);

    /* A bad call is told of once per field, but not on the thread that made it. */
    CHECK_INT(atomic_load(&lines), 0);
    CHECK_INT(record("/", 1), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(record("/", 2), MALTI_ERR_INVALID_ARGUMENT);
    /* The callback records too: the server that can't be reached is the second line, not one line per try. */
    wait_for_lines(2);
    CHECK_INT(atomic_load(&complaints), 1);
    CHECK_INT(record("/a", 200), MALTI_OK);
    CHECK_INT(malti_flush(300), MALTI_ERR_TIMED_OUT);
    CHECK_INT(atomic_load(&lines), 2);
    CHECK_INT(ledger().state, 3);

    CHECK_INT(record("/b", 200), MALTI_OK);
    CHECK_INT(malti_shutdown(3000), MALTI_ERR_TIMED_OUT);
    malti_stats stats = ledger();
    CHECK_INT(stats.recorded, 4); /* two of ours, two from the callback */
    CHECK_INT(stats.dropped_shutdown, 4);
    CHECK_INT(stats.sent, 0);
    CHECK_INT(unaccounted(&stats), 0);
    CHECK_INT(atomic_load(&ledger_lines), 1);
    CHECK_INT(atomic_load(&lines), 3);
    CHECK_INT(atomic_load(&grave), 3);
    CHECK(atomic_load(&refused) >= 4); /* two calls in each line while the client ran */
    CHECK_INT(atomic_load(&wrong), 0);
    return test_end();
}

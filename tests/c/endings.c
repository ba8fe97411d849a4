/* Ends that meet: shutdown beside shutdown and init, a log callback that waits for another thread, cycles that leave
 * nothing behind. */
#include "test.h"

#include <malloc.h>
#include <pthread.h>

static char silent[64], file[256];

static malti_config *usual(const char *url)
{
    return settings("url", url, "api_key", "k", "service_name", "endings", NULL);
}

static void *end_in_a_second(void *status)
{
    *(int32_t *)status = malti_shutdown(1000);
    return NULL;
}

static void *join_in(void *status)
{
    *(int32_t *)status = start(usual(silent));
    return NULL;
}

/* One thread's shutdown is delivering: another one waits for it, no longer than it wants to, and init starts anew after
 * it. */
static void beside_a_shutdown(void)
{
    int32_t ended = 1, began = -1;
    pthread_t ending, joining;
    CHECK_INT(start(settings("url", silent, "api_key", "k", "service_name", "endings", "log", "off", NULL)), MALTI_OK);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    uint64_t before = now_ms();
    CHECK_INT(pthread_create(&ending, NULL, end_in_a_second, &ended), 0);
    while (malti_record("GET", "/", 200, 0, NULL, NULL) == MALTI_OK)
        sleep_ms(1);
    CHECK_INT(malti_shutdown(0), MALTI_NOT_RUNNING);
    CHECK(now_ms() - before < 1000);
    CHECK_INT(pthread_create(&joining, NULL, join_in, &began), 0);
    CHECK_INT(malti_shutdown(100), MALTI_NOT_RUNNING);
    CHECK_INT(malti_flush(0), MALTI_NOT_RUNNING);
    pthread_join(ending, NULL);
    CHECK_INT(ended, MALTI_ERR_TIMED_OUT);
    pthread_join(joining, NULL);
    CHECK_INT(began, MALTI_OK);
    CHECK(now_ms() - before >= 1000);
    CHECK_INT(ledger().recorded, 0);
    CHECK_INT(malti_shutdown(1000), MALTI_OK);
}

/* An earlier owner's time is its own, whatever the server does. */
static void not_the_last(void)
{
    CHECK_INT(start(usual(silent)), MALTI_OK);
    CHECK_INT(start(usual(silent)), MALTI_ALREADY_RUNNING);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    uint64_t before = now_ms();
    CHECK_INT(malti_shutdown(200), MALTI_ERR_TIMED_OUT);
    CHECK(now_ms() - before < 200 + LATE_MS);
    malti_stats stats = ledger();
    CHECK_INT(stats.buffered + stats.in_flight, 1);
    CHECK_INT(malti_shutdown(0), MALTI_ERR_TIMED_OUT);
    CHECK_INT(malti_shutdown(0), MALTI_NOT_RUNNING);
}

static atomic_int told;

static void *a_life(void *unused)
{
    (void)unused;
    int32_t status = start(usual(file));
    CHECK(status == MALTI_OK || status == MALTI_ERR_ALREADY_INITIALIZED);
    if (status == MALTI_OK)
        CHECK_INT(malti_shutdown(5000), MALTI_OK);
    return NULL;
}

static void wait_for_another_thread(int32_t level, const char *line, void *unused)
{
    (void)level, (void)line, (void)unused;
    pthread_t other;
    CHECK_INT(pthread_create(&other, NULL, a_life, NULL), 0);
    pthread_join(other, NULL);
    atomic_fetch_add(&told, 1);
}

/* Whatever the library says, it holds nothing that another thread could need. */
static void a_callback_that_waits(void)
{
    malti_config *config = settings("url", silent, "api_key", "k", "service_name", "endings", "node", "", NULL);
    CHECK_INT(malti_config_set_log(config, wait_for_another_thread, NULL), MALTI_OK);
    CHECK_INT(start(config), MALTI_OK);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_shutdown(50), MALTI_ERR_TIMED_OUT);
    CHECK(atomic_load(&told) >= 1);
}

static void ignore(int32_t level, const char *line, void *unused)
{
    (void)level, (void)line, (void)unused;
}

static size_t in_use_after(int cycles)
{
    for (int i = 0; i < cycles; i++) {
        malti_config *config = usual(file);
        CHECK_INT(malti_config_set_log(config, ignore, NULL), MALTI_OK);
        CHECK_INT(start(config), MALTI_OK);
        CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
        CHECK_INT(malti_shutdown(5000), MALTI_OK);
    }
    return mallinfo2().uordblks;
}

static void cycles_leave_nothing(void)
{
    size_t before = in_use_after(50), after = in_use_after(500);
    CHECK(after < before + 100 * 1024);
}

int main(void)
{
    test_begin();
    silent_server(silent, sizeof silent);
    const char *path = temp_file(file, sizeof file);
    beside_a_shutdown();
    not_the_last();
    a_callback_that_waits();
    cycles_leave_nothing();
    unlink(path);
    return test_end();
}

/* Sixty-four threads record, flush and look, while the client is started and shut down again and again. */
#include "test.h"

#include <pthread.h>

#define THREADS 64
#define LIVES 1000

static atomic_bool over;
static atomic_long kept;
static char url[256];

static malti_config *usual(void)
{
    return settings("url", url, "service_name", "crowd", "log", "off", "batch_size", "50", NULL);
}

static void *crowd(void *number)
{
    long me = (long)number;
    while (!atomic_load(&over)) {
        int32_t status = malti_record("GET", "/crowd", 200, 0, NULL, NULL);
        CHECK(status == MALTI_OK || status == MALTI_NOT_RUNNING);
        atomic_fetch_add(&kept, status == MALTI_OK);
        if (me % 8 == 0) {
            status = malti_flush(1);
            CHECK(status == MALTI_OK || status == MALTI_NOT_RUNNING || status == MALTI_ERR_TIMED_OUT);
        } else if (me % 8 == 1) {
            malti_stats stats = ledger();
            CHECK_INT(unaccounted(&stats), 0);
        }
        sleep_ms(1);
    }
    return NULL;
}

static void *shut_down(void *status)
{
    *(int32_t *)status = malti_shutdown(20000);
    return NULL;
}

int main(void)
{
    test_begin();
    const char *path = temp_file(url, sizeof url);
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, crowd, (void *)i), 0);

    uint64_t sent = 0;
    for (int life = 0; life < LIVES; life++) {
        CHECK_INT(start(usual()), MALTI_OK);
        CHECK_INT(malti_record("GET", "/life", 200, 0, NULL, NULL), MALTI_OK);
        /* Two at once: one of them ends it, the other finds it ended. */
        int32_t other = -1;
        pthread_t second;
        bool two = life % 50 == 0;
        if (two)
            CHECK_INT(pthread_create(&second, NULL, shut_down, &other), 0);
        int32_t mine = malti_shutdown(20000);
        if (two) {
            pthread_join(second, NULL);
            CHECK(mine != other && (mine == MALTI_OK || other == MALTI_OK) &&
                  (mine == MALTI_NOT_RUNNING || other == MALTI_NOT_RUNNING));
        } else {
            CHECK_INT(mine, MALTI_OK);
        }
        malti_stats stats = ledger();
        CHECK_INT(unaccounted(&stats), 0);
        CHECK_INT(stats.dropped_shutdown + stats.dropped_overflow, 0);
        sent += stats.sent;
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(sent, atomic_load(&kept) + LIVES);
    char *lines = content(path);
    CHECK_INT(count_of(lines, "\n"), sent);
    free(lines);
    unlink(path);
    return test_end();
}

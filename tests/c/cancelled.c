/* Threads are cancelled while they record and look, many for one lock: none ends inside of a call, which
 * would take the process or a lock with it. */
#include "test.h"

#include <pthread.h>

#define THREADS 64
#define ROUNDS 10
#define CALLS 1000

static atomic_long kept;

static void *record(void *number)
{
    for (;;) {
        for (int i = 0; i < CALLS; i++) {
            if (malti_record("GET", "/cancelled", 200, 0, NULL, NULL) == MALTI_OK)
                atomic_fetch_add(&kept, 1);
            if ((long)number % 8 == 0 && i % 100 == 0)
                malti_flush_begin(&(uint64_t){0});
        }
        pthread_testcancel();
    }
    return NULL;
}

int main(void)
{
#ifndef __linux__
    puts("only on Linux does no call sleep where a thread can be cancelled");
    return 77;
#endif
    test_begin();
    CHECK_INT(start(settings("url", "file:/dev/null", "service_name", "cancelled", "log", "off", NULL)),
              MALTI_OK);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (long i = 0; i < THREADS; i++)
            CHECK_INT(pthread_create(&threads[i], NULL, record, (void *)i), 0);
        sleep_ms(10);
        for (int i = 0; i < THREADS; i++)
            CHECK_INT(pthread_cancel(threads[i]), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    malti_shutdown(20000);
    malti_stats stats = ledger();
    CHECK_INT(unaccounted(&stats), 0);
    CHECK_INT(stats.recorded, atomic_load(&kept));
    return test_end();
}

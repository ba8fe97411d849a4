/* Eight threads record while another looks: the ledger adds up in every look, and each call that
 * answered MALTI_OK is one line of the file. */
#include "test.h"

#include <pthread.h>

#define THREADS 8
#define CALLS 20000
#define CAPACITY "200000" /* nothing is dropped for want of room */

static atomic_bool over;
static atomic_long kept, ignored, refused;

static void *record(void *number)
{
    char consumer[32], context[32];
    snprintf(consumer, sizeof consumer, "thread-%ld", (long)number);
    for (int i = 0; i < CALLS; i++) {
        snprintf(context, sizeof context, "#%ld-%d", (long)number, i);
        int32_t status = i % 50 == 49 ? 404 : i % 50 == 48 ? 7 : 200;
        switch (malti_record("GET", "/threads/{n}", status, (uint64_t)i, consumer, context)) {
        case MALTI_OK: atomic_fetch_add(&kept, 1); break;
        case MALTI_IGNORED: atomic_fetch_add(&ignored, 1); break;
        case MALTI_ERR_INVALID_ARGUMENT: atomic_fetch_add(&refused, 1); break;
        default: CHECK(!"another status");
        }
    }
    return NULL;
}

static void *look(void *count)
{
    malti_stats before = ledger();
    do {
        malti_stats now = ledger();
        if (!CHECK_INT(unaccounted(&now), 0))
            break;
        CHECK(now.recorded >= before.recorded && now.sent >= before.sent && now.filtered >= before.filtered);
        before = now;
        ++*(long *)count;
    } while (!atomic_load(&over));
    return NULL;
}

int main(void)
{
    test_begin();
    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "threads", "node", "n", "log", "off",
                             "buffer_size", CAPACITY, "buffer_bytes", "268435456", NULL)), MALTI_OK);
    pthread_t threads[THREADS], looker;
    long looks = 0;
    CHECK_INT(pthread_create(&looker, NULL, look, &looks), 0);
    for (long i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, record, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&over, true);
    pthread_join(looker, NULL);
    CHECK(looks > 0);

    malti_stats stats = ledger();
    CHECK_INT(stats.recorded, atomic_load(&kept));
    CHECK_INT(stats.filtered, atomic_load(&ignored));
    CHECK_INT(stats.invalid, atomic_load(&refused));
    CHECK_INT(atomic_load(&kept), THREADS * CALLS / 50 * 48);
    CHECK_INT(malti_shutdown(60000), MALTI_OK);
    stats = ledger();
    CHECK_INT(stats.sent, atomic_load(&kept));
    CHECK_INT(unaccounted(&stats), 0);

    /* Every record once, and those of one thread in its order. */
    char *lines = content(path);
    CHECK_INT(count_of(lines, "\n"), atomic_load(&kept));
    int last[THREADS], strays = 0;
    for (int i = 0; i < THREADS; i++)
        last[i] = -1;
    for (char *found = lines; (found = strstr(found, "\"context\":\"#"));) {
        long thread = strtol(found + 12, &found, 10);
        int number = (int)strtol(found + 1, &found, 10);
        if (thread < 0 || thread >= THREADS || number <= last[thread])
            strays++;
        else
            last[thread] = number;
    }
    CHECK_INT(strays, 0);
    free(lines);
    unlink(path);
    return test_end();
}

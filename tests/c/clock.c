/* The wall clock steps by hours: records carry its time, waits don't care for it. */
/* flags: -rdynamic */
#define _GNU_SOURCE
#include "test.h"

#include <sys/syscall.h>

static _Atomic long step_s;

/* Stands before libc's, for the library too. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += atomic_load(&step_s);
    return result;
}

static void record_at(long hours)
{
    atomic_store(&step_s, hours * 3600);
    CHECK_INT(malti_record("GET", "/clock", 200, 0, NULL, NULL), MALTI_OK);
}

/* The hour of the day and the day of the records, in the order of the file. */
static void stamps(const char *lines, long *out, int most)
{
    for (int i = 0; i < most; i++) {
        struct tm at = {0};
        lines = strstr(lines, "\"created_at\":\"");
        if (!CHECK(lines != NULL))
            return;
        lines += strlen("\"created_at\":\"");
        CHECK(strptime(lines, "%Y-%m-%dT%H:%M:%S", &at) != NULL);
        out[i] = (long)timegm(&at);
    }
}

int main(void)
{
    test_begin();
    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "clock", "log", "off", "batch_interval", "0.2", NULL)), MALTI_OK);
    long before = (long)time(NULL);
    record_at(0);
    record_at(-5);
    record_at(+7);
    /* Sent by the interval, though the clock says that it is hours ago. */
    atomic_store(&step_s, -9 * 3600);
    for (uint64_t until = now_ms() + 20000; ledger().sent < 3 && now_ms() < until;)
        sleep_ms(5);
    CHECK_INT(ledger().sent, 3);
    record_at(-9);
    uint64_t start_ms = now_ms();
    CHECK_INT(malti_flush(10000), MALTI_OK);
    CHECK_INT(malti_shutdown(10000), MALTI_OK);
    CHECK(now_ms() - start_ms < 5000);

    long at[4] = {0};
    char *lines = content(path);
    stamps(lines, at, 4);
    static const long hours[4] = {0, -5, +7, -9};
    for (int i = 0; i < 4; i++) {
        long late = at[i] - (before + hours[i] * 3600);
        CHECK(late >= -1 && late < 60);
    }
    free(lines);
    unlink(path);
    return test_end();
}

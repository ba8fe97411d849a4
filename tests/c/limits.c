/* A process that has run out: of descriptors, of threads, of memory. Records are kept, and delivered when it has some
 * again. */
/* valgrind: no, it needs descriptors, threads and memory of its own */
#define _GNU_SOURCE
#include "test.h"

#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void record(int count)
{
    for (int i = 0; i < count; i++)
        CHECK_INT(malti_record("GET", "/limits", 200, 0, NULL, NULL), MALTI_OK);
}

static void limit(int what, rlim_t soft)
{
    struct rlimit now;
    CHECK_INT(getrlimit(what, &now), 0);
    now.rlim_cur = soft;
    CHECK_INT(setrlimit(what, &now), 0);
}

static void delivered(const char *path, int count)
{
    CHECK_INT(malti_flush(20000), MALTI_OK);
    CHECK_INT(malti_shutdown(5000), MALTI_OK);
    CHECK_INT(ledger().sent, count);
    char *lines = content(path);
    CHECK_INT(count_of(lines, "\n"), count);
    free(lines);
    unlink(path);
}

static void no_descriptors(void)
{
    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "limits", "log", "off", "max_retries", "0", NULL)), MALTI_OK);
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    limit(RLIMIT_NOFILE, 3);
    record(10);
    CHECK_INT(malti_flush(300), MALTI_ERR_TIMED_OUT);
    malti_stats stats = ledger();
    CHECK_INT(stats.buffered + stats.in_flight, 10);
    CHECK_INT(stats.state, 3);
    limit(RLIMIT_NOFILE, before.rlim_cur);
    delivered(path, 10);
}

static void no_threads(void)
{
    if (geteuid() == 0) { /* root may have as many as it likes */
        CHECK_INT(setgroups(0, NULL), 0);
        CHECK_INT(setgid(65534), 0);
        CHECK_INT(setuid(65534), 0);
    }
    char url[256];
    const char *path = temp_file(url, sizeof url);
    struct rlimit before;
    getrlimit(RLIMIT_NPROC, &before);
    CHECK_INT(start(settings("url", url, "service_name", "limits", "log", "off", NULL)), MALTI_OK);
    limit(RLIMIT_NPROC, 0);
    record(10);
    CHECK_INT(malti_flush(300), MALTI_ERR_NO_THREAD);
    CHECK_INT(ledger().buffered, 10);
    limit(RLIMIT_NPROC, before.rlim_cur);
    /* It is asked for again a second later; shutdown would not wait for that. */
    for (uint64_t until = now_ms() + 10000; malti_flush(1000) != MALTI_OK && now_ms() < until;)
        sleep_ms(50);
    delivered(path, 10);
}

/* Shutdown asks for a thread even when one was refused just now. */
static void a_thread_at_last(void)
{
    if (geteuid() == 0 && (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
        CHECK(!"another user");
    char url[256];
    const char *path = temp_file(url, sizeof url);
    struct rlimit before;
    getrlimit(RLIMIT_NPROC, &before);
    CHECK_INT(start(settings("url", url, "service_name", "limits", "log", "off", NULL)), MALTI_OK);
    limit(RLIMIT_NPROC, 0);
    record(10);
    limit(RLIMIT_NPROC, before.rlim_cur);
    CHECK_INT(malti_shutdown(10000), MALTI_OK);
    CHECK_INT(ledger().sent, 10);
    unlink(path);
}

static void no_memory(void)
{
    char silent[64];
    int server = silent_server(silent, sizeof silent);
    CHECK_INT(start(settings("url", silent, "api_key", "k", "service_name", "limits", "log", "off", NULL)), MALTI_OK);
    record(600); /* the sender is busy with a request that nobody answers */
    for (uint64_t until = now_ms() + 10000; !ledger().in_flight && now_ms() < until;)
        sleep_ms(5);
    FILE *statm = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
    if (statm)
        fclose(statm);
    limit(RLIMIT_AS, pages * (rlim_t)sysconf(_SC_PAGESIZE));
    long kept = 600, refused = 0;
    char context[400];
    memset(context, 'x', sizeof context - 1);
    context[sizeof context - 1] = '\0';
    for (int i = 0; i < 50000; i++) {
        int32_t status = malti_record("GET", "/limits", 200, 0, NULL, context);
        kept += status == MALTI_OK;
        refused += status == MALTI_ERR_NO_MEMORY;
    }
    malti_stats stats = ledger();
    CHECK_INT(kept + refused, 50600);
    CHECK_INT(stats.recorded, kept);
    CHECK_INT(stats.invalid, refused);
    CHECK_INT(unaccounted(&stats), 0);
    CHECK(stats.dropped_overflow > 0); /* there was no memory for all of them */
    limit(RLIMIT_AS, RLIM_INFINITY);
    malti_shutdown(0);
    close(server);
}

/* The durable file does not fit: memory has to do. */
static void no_space(void)
{
    char url[256], dir[] = "/tmp/malti-limits-XXXXXX";
    const char *path = temp_file(url, sizeof url);
    CHECK(mkdtemp(dir) != NULL);
    malti_log_next(NULL, NULL, 0); /* lines wait for us */
    CHECK_INT(start(settings("url", url, "service_name", "limits", "spool_dir", dir, NULL)), MALTI_OK);
    limit(RLIMIT_FSIZE, 1 << 20);
    record(10);
    CHECK_INT(malti_flush(20000), MALTI_OK);
    char line[4096] = "";
    CHECK(malti_log_next(NULL, line, sizeof line) > 0);
    CHECK_HAS(line, "spool_dir: ");
    CHECK_HAS(line, "in memory alone");
    CHECK_INT(malti_log_next(NULL, line, sizeof line), 0);
    CHECK_INT(rmdir(dir), 0); /* nothing is left of the attempt */
    delivered(path, 10);
}

/* In a process of its own: a limit is for good. */
static void apart(void (*row)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        row();
        fflush(stdout);
        _exit(atomic_load(&test_failures) != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
}

int main(void)
{
    test_begin();
    apart(no_descriptors);
    apart(no_threads);
    apart(a_thread_at_last);
    apart(no_memory);
    apart(no_space);
    return test_end();
}

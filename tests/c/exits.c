/* How a process ends, times what the server does: up, down, hanging. What the host gave time for is delivered; what it
 * did not is, with a durable buffer, delivered by the next process. No end takes longer than it may. */
/* valgrind: no, most of these ends leave memory behind on purpose */
#include "test.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define COUNT 20
#define SHUTDOWN_MS 1000

enum server { UP, DOWN, HANGING };
static const char *const servers[] = {"up", "down", "hanging"};

static char up[256], down[64], hanging[64], folder[32];

static const char *url_of(enum server server)
{
    return server == UP ? up : server == DOWN ? down : hanging;
}

static malti_config *usual(const char *url)
{
    return settings("url", url, "api_key", "k", "service_name", "exits", "log", "off", "spool_dir", folder, NULL);
}

static void shut_down(void)
{
    malti_shutdown(SHUTDOWN_MS);
}

static void on_term(int number)
{
    (void)number;
}

static void by_return(void) { shut_down(); }
static void by_exit_hook(void)
{
    atexit(shut_down);
    exit(0);
}
static void by_handled_signal(void)
{
    signal(SIGTERM, on_term);
    raise(SIGTERM);
    shut_down();
}
static void by_underscore_exit(void) { _exit(0); }
static void by_abort(void) { abort(); }
static void by_signal(void)
{
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
}
static void by_kill(void) { raise(SIGKILL); }

static const struct way {
    const char *name;
    void (*end)(void);
    bool gives_time;
    int status; /* exit status, or the signal's number negative */
} ways[] = {
    {"return after shutdown", by_return, true, 0},
    {"exit with a hook", by_exit_hook, true, 0},
    {"SIGTERM, handled", by_handled_signal, true, 0},
    {"_exit", by_underscore_exit, false, 0},
    {"abort", by_abort, false, -SIGABRT},
    {"SIGTERM, unhandled", by_signal, false, -SIGTERM},
    {"SIGKILL", by_kill, false, -SIGKILL},
};

/* Whether the durable file of a process is there; it appears shortly after the first record. */
static bool has_file(pid_t pid)
{
    char begin[32];
    snprintf(begin, sizeof begin, "malti-%d-", (int)pid);
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return false;
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(directory)) != NULL;)
        found = strncmp(entry->d_name, begin, strlen(begin)) == 0;
    closedir(directory);
    return found;
}

static void host(enum server server, const struct way *way)
{
    CHECK_INT(start(usual(url_of(server))), MALTI_OK);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(malti_record("GET", "/exits", 200, 0, NULL, NULL), MALTI_OK);
    fflush(stdout);
    /* From the moment that the file has its name everything is in it, so nothing here may wait a little longer. */
    for (uint64_t until = now_ms() + 10000; !has_file(getpid()) && now_ms() < until;)
        sched_yield();
    if (atomic_load(&test_failures) != 0)
        _exit(3);
    way->end();
    exit(0);
}

/* What the next process with the same settings finds and delivers. */
static uint64_t found_by_the_next(const char *url)
{
    CHECK_INT(start(usual(url)), MALTI_OK);
    CHECK_INT(malti_record("GET", "/next", 200, 0, NULL, NULL), MALTI_OK);
    malti_shutdown(SHUTDOWN_MS);
    malti_stats stats = ledger();
    CHECK_INT(unaccounted(&stats), 0);
    return stats.adopted;
}

static int lines_of(const char *path)
{
    char *text = content(path);
    int count = count_of(text, "/exits");
    free(text);
    return count;
}

static void row(enum server server, const struct way *way)
{
    int before = lines_of(up + 5);
    snprintf(folder, sizeof folder, "/tmp/malti-exits-XXXXXX");
    if (!CHECK(mkdtemp(folder) != NULL))
        return;
    uint64_t began = now_ms();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        host(server, way);
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    long long took_ms = (long long)(now_ms() - began);
    CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), way->status);
    /* A server that refuses is not waited for; one that hangs is, for as long as the host says. */
    bool waits = way->gives_time && server == HANGING;
    CHECK(took_ms < (waits ? SHUTDOWN_MS : 0) + LATE_MS);

    int delivered = lines_of(up + 5) - before;
    CHECK_INT(delivered, way->gives_time && server == UP ? COUNT : 0);
    uint64_t left = found_by_the_next(url_of(server));
    CHECK_INT(left, COUNT - delivered);
    if (server == UP)
        CHECK_INT(lines_of(up + 5) - before, COUNT);
    printf("10 %s, server %s: recorded %d, delivered %d, left to the next %llu, in %lld ms\n", way->name,
           servers[server], COUNT, delivered, (unsigned long long)left, took_ms);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_INT(system(command), 0);
}

int main(void)
{
    test_begin();
    const char *path = temp_file(up, sizeof up);
    close(silent_server(down, sizeof down));
    silent_server(hanging, sizeof hanging);
    for (int server = UP; server <= HANGING; server++)
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
            row((enum server)server, &ways[i]);
    unlink(path);
    return test_end();
}

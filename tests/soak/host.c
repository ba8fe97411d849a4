/* A host of the soak: records so many requests a second, says each one that was kept, forks now and then, and tells its
 * ledger when it is asked to end.

   host NAME RATE   lines: the id of a record, "rss KIB", "ledger JSON" */
#define _GNU_SOURCE
#include <malti.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t over;

static void on_term(int number)
{
    (void)number;
    over = 1;
}

/* One write each, so that a line is whole or not there. */
static void say(const char *line)
{
    if (write(1, line, strlen(line)) < 0)
        over = 1;
}

static void record(const char *name, long number)
{
    char id[80];
    snprintf(id, sizeof id, "%s-%ld", name, number);
    if (malti_record("GET", "/soak/{id}", 200, 1500, name, id) == MALTI_OK) {
        strcat(id, "\n");
        say(id);
    }
}

static void child(const char *name, long number)
{
    char own[64];
    snprintf(own, sizeof own, "%s.child%ld", name, number);
    for (long i = 0; i < 20; i++)
        record(own, i);
    malti_shutdown(5000);
    _exit(0);
}

static void tell(const char *what)
{
    char line[4096];
    int length = snprintf(line, sizeof line, "%s ", what);
    malti_stats_json(line + length, sizeof line - (size_t)length - 1);
    strcat(line, "\n");
    say(line);
}

static void tell_memory(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/status", "r");
    long kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            break;
    if (file)
        fclose(file);
    snprintf(line, sizeof line, "rss %ld\n", kib);
    say(line);
}

int main(int count, char **arguments)
{
    const char *name = count > 1 ? arguments[1] : "host";
    long rate = count > 2 ? atol(arguments[2]) : 100;
    char why[512];
    signal(SIGTERM, on_term);
    signal(SIGPIPE, SIG_IGN);
    if (malti_init(NULL, why, sizeof why) != MALTI_OK) {
        fprintf(stderr, "malti_init: %s\n", why);
        return 2;
    }
    struct timespec pause = {.tv_nsec = 1000000000L / rate};
    for (long number = 0; !over; number++) {
        record(name, number);
        if (number % (rate * 7) == rate * 3 && fork() == 0)
            child(name, number);
        if (number % (rate * 5) == 0) {
            tell_memory();
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        }
        nanosleep(&pause, NULL);
    }
    malti_shutdown(5000);
    tell("ledger");
    while (wait(NULL) > 0)
        ;
    return 0;
}

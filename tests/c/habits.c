/* What hosts do to their own process: close every descriptor, change root and user, die of SIGPIPE, run on tiny stacks,
 * call from a signal handler. */
/* valgrind: no, its own descriptors would be closed */
#define _GNU_SOURCE
#include "test.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[] = "/tmp/malti-habits-XXXXXX";

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_INT(system(command), 0);
}

/* A daemon closes all that it has, and opens its own in their place: none of it is written to or closed by us. */
static void closed_descriptors(void)
{
    char url[256], dir[64];
    const char *path = temp_file(url, sizeof url);
    snprintf(dir, sizeof dir, "%s/spool", folder);
    CHECK_INT(start(settings("url", url, "service_name", "habits", "log", "off", "spool_dir", dir, "batch_interval", "0.1", NULL)),
              MALTI_OK);
    CHECK_INT(malti_record("GET", "/1", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_flush(10000), MALTI_OK);

    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    int own[20];
    char name[20][80];
    for (int i = 0; i < 20; i++) {
        snprintf(name[i], sizeof name[i], "%s/own-%d", folder, i);
        own[i] = open(name[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CHECK(own[i] >= 0 && write(own[i], "mine", 4) == 4);
    }
    for (int i = 0; i < 200; i++)
        CHECK_INT(malti_record("GET", "/2", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_flush(10000), MALTI_OK);
    sleep_ms(300); /* some intervals, with their looks at the spool */
    CHECK_INT(malti_record("GET", "/3", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_shutdown(10000), MALTI_OK);
    malti_stats stats = ledger();
    CHECK_INT(stats.sent, 202);
    CHECK_INT(unaccounted(&stats), 0);
    for (int i = 0; i < 20; i++) {
        struct stat status;
        CHECK_INT(fstat(own[i], &status), 0); /* still open */
        CHECK_INT(status.st_size, 4);
        char *text = content(name[i]);
        CHECK_STR(text, "mine");
        free(text);
    }
    char *lines = content(path);
    CHECK_INT(count_of(lines, "\n"), 202);
    free(lines);
    unlink(path);
}

static void another_root_and_user(void)
{
    if (geteuid() != 0)
        return;
    char silent[64];
    silent_server(silent, sizeof silent);
    CHECK_INT(start(settings("url", silent, "api_key", "k", "service_name", "habits", "log", "off", NULL)), MALTI_OK);
    CHECK_INT(chroot(folder), 0);
    CHECK_INT(chdir("/"), 0);
    CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_flush(200), MALTI_ERR_TIMED_OUT);
    CHECK_INT(ledger().in_flight, 10); /* it has connected */
    CHECK_INT(malti_shutdown(200), MALTI_ERR_TIMED_OUT);
    CHECK_INT(ledger().dropped_shutdown, 10);
}

/* Nobody reads standard error any more: a line must not be the end of the host. */
static void broken_stderr(void)
{
    int ends[2];
    signal(SIGPIPE, SIG_DFL);
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(dup2(ends[1], 2), 2);
    close(ends[0]);
    close(ends[1]);
    char silent[64];
    close(silent_server(silent, sizeof silent)); /* refuses */
    CHECK_INT(start(settings("url", silent, "api_key", "k", NULL)), MALTI_OK); /* no service_name: a line */
    CHECK_INT(malti_record("GET", "/", 1, 0, NULL, NULL), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_shutdown(2000), MALTI_ERR_TIMED_OUT);
}

/* A pipe that is full and that nobody reads holds nobody up. */
static void full_stderr(void)
{
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], "................................................................", 64) > 0)
        ;
    CHECK_INT(fcntl(ends[1], F_SETFL, 0), 0);
    CHECK_INT(dup2(ends[1], 2), 2);
    alarm(30); /* a wait for ever ends by this */
    char silent[64];
    close(silent_server(silent, sizeof silent));
    CHECK_INT(start(settings("url", silent, "api_key", "k", NULL)), MALTI_OK);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_shutdown(2000), MALTI_ERR_TIMED_OUT);
    alarm(0);
}

static void *record_on_a_tiny_stack(void *unused)
{
    char text[64];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK_INT(malti_record("GET", "/tiny", 200, 0, text, text), MALTI_OK);
    CHECK_INT(malti_record("GET", "/tiny", 7, 0, text, text), MALTI_ERR_INVALID_ARGUMENT);
    return unused;
}

static void tiny_stack(void)
{
    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "habits", "log", "off", NULL)), MALTI_OK);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK_INT(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN + 4096), 0);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, &attributes, record_on_a_tiny_stack, NULL), 0);
    pthread_join(thread, NULL);
    CHECK_INT(malti_shutdown(10000), MALTI_OK);
    CHECK_INT(ledger().sent, 1);
    unlink(path);
}

static atomic_int handled;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&handled, malti_record("GET", "/signal", 200, 0, NULL, NULL) == MALTI_OK);
}

/* Not allowed, but where it interrupts none of our functions it does no harm. */
static void signal_handler(void)
{
    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "habits", "log", "off", NULL)), MALTI_OK);
    signal(SIGUSR1, on_signal);
    for (int i = 0; i < 100; i++)
        raise(SIGUSR1);
    CHECK_INT(atomic_load(&handled), 100);
    CHECK_INT(malti_shutdown(10000), MALTI_OK);
    CHECK_INT(ledger().sent, 100);
    unlink(path);
}

/* In a process of its own. */
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
    CHECK(mkdtemp(folder) != NULL);
    apart(closed_descriptors);
    apart(another_root_and_user);
    apart(broken_stderr);
    apart(full_stderr);
    apart(tiny_stack);
    apart(signal_handler);
    remove_folder();
    return test_end();
}

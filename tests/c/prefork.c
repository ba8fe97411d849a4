/* Servers that fork: a storm of children, one that becomes a daemon, one that runs another program, and the durable
 * files of a family. */
/* valgrind: no, a child never frees what it inherited */
#include "test.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define CHILDREN 1000
#define AT_ONCE 8
#define OF_CHILD 3

static atomic_bool over;

static void record(const char *consumer, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_INT(malti_record("GET", "/prefork", 200, 0, consumer, NULL), MALTI_OK);
}

static int count_in(const char *path, const char *consumer)
{
    char part[64], *lines = content(path);
    snprintf(part, sizeof part, "\"consumer\":\"%s\"", consumer);
    int count = count_of(lines, part);
    free(lines);
    return count;
}

/* A thousand at once, and then room for the sender: alone on a processor this fills any buffer. */
static void *keep_recording(void *count)
{
    while (!atomic_load(&over)) {
        for (int i = 0; i < 1000; i++)
            *(long *)count += malti_record("GET", "/busy", 200, 0, "busy", NULL) == MALTI_OK;
        sleep_ms(1);
    }
    return NULL;
}

/* Children come and go while a thread of the parent records and its sender sends. */
static void storm(void)
{
    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "storm", "log", "off", "buffer_size", "10000000",
                             "buffer_bytes", "1000000000", NULL)), MALTI_OK);
    pthread_t busy;
    long recorded = 0;
    CHECK_INT(pthread_create(&busy, NULL, keep_recording, &recorded), 0);
    int running = 0, failed = 0;
    for (int i = 0; i < CHILDREN + AT_ONCE; i++) {
        if (i < CHILDREN) {
            pid_t child = fork();
            if (child == 0) {
                alarm(100);
                record("child", OF_CHILD);
                CHECK_INT(malti_shutdown(50000), MALTI_OK);
                _exit(atomic_load(&test_failures) != 0);
            }
            running++;
        }
        if (running >= AT_ONCE || i >= CHILDREN) {
            int status = 0;
            if (running > 0 && wait(&status) > 0) {
                running--;
                failed += status != 0;
            }
        }
        if (i == CHILDREN / 2)
            atomic_store(&over, true); /* the parent's own records need not fill the disk */
    }
    pthread_join(busy, NULL);
    CHECK_INT(failed, 0);
    CHECK_INT(malti_shutdown(50000), MALTI_OK);
    malti_stats stats = ledger();
    CHECK_INT(stats.recorded, recorded);
    CHECK_INT(stats.sent, recorded);
    CHECK_INT(count_in(path, "busy"), recorded);
    CHECK_INT(count_in(path, "child"), CHILDREN * OF_CHILD);
    unlink(path);
}

/* Twice forked, with a session of its own: the daemon has a client, as any child. */
static void daemonised(void)
{
    char url[256];
    const char *path = temp_file(url, sizeof url);
    int done[2];
    CHECK_INT(pipe(done), 0);
    CHECK_INT(start(settings("url", url, "service_name", "daemon", "log", "off", NULL)), MALTI_OK);
    record("parent", 5);
    pid_t child = fork();
    if (child == 0) {
        setsid();
        if (fork() != 0)
            _exit(0);
        record("daemon", 7);
        CHECK_INT(malti_shutdown(20000), MALTI_OK);
        char result = atomic_load(&test_failures) == 0;
        _exit(write(done[1], &result, 1) != 1);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    close(done[1]);
    char result = 0;
    CHECK_INT(read(done[0], &result, 1), 1);
    CHECK_INT(result, 1);
    close(done[0]);
    CHECK_INT(malti_shutdown(20000), MALTI_OK);
    CHECK_INT(count_in(path, "parent"), 5);
    CHECK_INT(count_in(path, "daemon"), 7);
    unlink(path);
}

/* A child that runs another program takes nothing along: no descriptor of ours, no blocked signal. */
static void another_program(void)
{
    char url[256], dir[] = "/tmp/malti-prefork-XXXXXX";
    const char *path = temp_file(url, sizeof url);
    CHECK(mkdtemp(dir) != NULL);
    CHECK_INT(start(settings("url", url, "service_name", "exec", "log", "off", "spool_dir", dir, NULL)), MALTI_OK);
    record("parent", 5);
    CHECK_INT(malti_flush(20000), MALTI_OK);
    CHECK_INT(system("test -z \"$(ls -l /proc/self/fd | grep malti)\""), 0);
    CHECK_INT(system("grep -q '^SigBlk:\t0000000000000000' /proc/self/status"), 0);
    CHECK_INT(malti_shutdown(20000), MALTI_OK);
    CHECK_INT(rmdir(dir), 0); /* a clean stop leaves nothing */
    unlink(path);
}

/* Until this process's durable file stands under its name. */
static void until_it_has_a_file(const char *dir)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "malti-%d-", (int)getpid());
    for (bool found = false; !found; sleep_ms(2)) {
        DIR *files = opendir(dir);
        for (struct dirent *file; files && (file = readdir(files));)
            found |= strncmp(file->d_name, prefix, strlen(prefix)) == 0;
        if (files)
            closedir(files);
    }
}

/* A parent is killed while its child lives: a sibling delivers what the parent had, the child what it has itself. */
static void a_family(void)
{
    char url[256], dir[] = "/tmp/malti-prefork-XXXXXX";
    const char *path = temp_file(url, sizeof url);
    CHECK(mkdtemp(dir) != NULL);
    int ready[2], go[2];
    CHECK_INT(pipe(ready), 0);
    CHECK_INT(pipe(go), 0);
    fflush(stdout);
    pid_t parent = fork();
    if (parent == 0) {
        CHECK_INT(start(settings("url", url, "service_name", "family", "log", "off", "spool_dir", dir, NULL)), MALTI_OK);
        record("parent", 20);
        until_it_has_a_file(dir);
        ledger();
        if (fork() == 0) {
            close(go[1]);
            record("child", 10);
            /* By then it has looked for files of others: it is not to be the one that finds the parent's. */
            until_it_has_a_file(dir);
            char byte = 0;
            if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) < 0)
                _exit(1);
            int result = malti_shutdown(20000);
            _exit(result != MALTI_OK || write(ready[1], &byte, 1) != 1);
        }
        for (;;)
            pause();
    }
    char byte = 0;
    close(go[0]);
    CHECK_INT(read(ready[0], &byte, 1), 1);
    CHECK_INT(kill(parent, SIGKILL), 0);
    CHECK_INT(waitpid(parent, NULL, 0), parent);

    CHECK_INT(start(settings("url", url, "service_name", "family", "log", "off", "spool_dir", dir, "batch_interval",
                             "0.2", NULL)), MALTI_OK);
    record("sibling", 1);
    for (uint64_t until = now_ms() + 20000; ledger().sent < 21 && now_ms() < until;)
        sleep_ms(5);
    malti_stats stats = ledger();
    CHECK_INT(stats.adopted, 20);
    CHECK_INT(stats.sent, 21);
    close(go[1]); /* the child may end now */
    CHECK_INT(read(ready[0], &byte, 1), 1);
    CHECK_INT(malti_shutdown(20000), MALTI_OK);
    CHECK_INT(count_in(path, "parent"), 20);
    CHECK_INT(count_in(path, "child"), 10);
    CHECK_INT(count_in(path, "sibling"), 1);
    CHECK_INT(rmdir(dir), 0);
    unlink(path);
}

int main(void)
{
    test_begin();
    storm();
    daemonised();
    another_program();
    a_family();
    return test_end();
}

/* What the test programs share. A program's main() ends with `return test_end();`. */
#ifndef TEST_H
#define TEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <malti.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* A deadline that was kept, on a machine that is busy. */
#define LATE_MS 2000

static atomic_int test_checks, test_failures;

static inline bool test_check(bool held, const char *file, int line, const char *format, ...)
{
    atomic_fetch_add(&test_checks, 1);
    if (!held) {
        va_list values;
        va_start(values, format);
        atomic_fetch_add(&test_failures, 1);
        printf("%s:%d: ", file, line);
        vprintf(format, values);
        putchar('\n');
        fflush(stdout);
        va_end(values);
    }
    return held;
}

#define CHECK(condition) test_check((condition), __FILE__, __LINE__, "%s", #condition)
#define CHECK_INT(actual, expected) \
    test_check_int((long long)(actual), (long long)(expected), #actual, __FILE__, __LINE__)
#define CHECK_STR(actual, expected) test_check_str((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_HAS(text, part) test_check_has((text), (part), #text, __FILE__, __LINE__)

static inline bool test_check_int(long long actual, long long expected, const char *what,
                                  const char *file, int line)
{
    return test_check(actual == expected, file, line, "%s is %lld, expected %lld", what, actual, expected);
}

static inline bool test_check_str(const char *actual, const char *expected, const char *what,
                                  const char *file, int line)
{
    return test_check(strcmp(actual, expected) == 0, file, line, "%s is \"%s\", expected \"%s\"", what,
                      actual, expected);
}

static inline bool test_check_has(const char *text, const char *part, const char *what,
                                  const char *file, int line)
{
    return test_check(strstr(text, part), file, line, "%s is \"%s\", without \"%s\"", what, text, part);
}

/* Only what a test sets counts, not what is in the environment that it is run in. */
static inline void test_begin(void)
{
    for (char **entry = environ; *entry;) {
        char name[128];
        size_t length = strcspn(*entry, "=");
        bool ours = strncmp(*entry, "MALTI_", 6) == 0 && length < sizeof name &&
                    strncmp(*entry, "MALTI_LIBRARY=", 14) != 0 &&
                    strncmp(*entry, "MALTI_RECEIVER=", 15) != 0;
        if (!ours) {
            entry++;
            continue;
        }
        memcpy(name, *entry, length);
        name[length] = '\0';
        unsetenv(name); /* moves the rest up */
    }
}

static inline int test_end(void)
{
    printf("%d checks, %d failed\n", atomic_load(&test_checks), atomic_load(&test_failures));
    return atomic_load(&test_failures) != 0;
}

static inline uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Settings of key, value, key, value ..., NULL. */
static inline malti_config *settings(const char *key, ...)
{
    malti_config *config = malti_config_new();
    va_list values;
    va_start(values, key);
    for (; key; key = va_arg(values, const char *)) {
        char why[512] = "";
        int32_t status = malti_config_set(config, key, va_arg(values, const char *), why, sizeof why);
        test_check(status == MALTI_OK, __FILE__, __LINE__, "%s: %s", key, why);
    }
    va_end(values);
    return config;
}

/* Starts the client with settings that are freed here; its status. */
static inline int32_t start(malti_config *config)
{
    char why[512] = "";
    int32_t status = malti_init(config, why, sizeof why);
    malti_config_free(config);
    if (status < 0)
        printf("malti_init: %d: %s\n", (int)status, why);
    return status;
}

static inline malti_stats ledger(void)
{
    malti_stats stats;
    CHECK_INT(malti_stats_get(&stats, sizeof stats), sizeof stats);
    return stats;
}

/* What the two sides of the ledger differ by: never anything but 0. */
static inline long long unaccounted(const malti_stats *s)
{
    return (long long)(s->recorded + s->adopted -
                       (s->sent + s->buffered + s->in_flight + s->spooled + s->dropped_overflow +
                        s->dropped_rejected + s->dropped_shutdown + s->dropped_expired));
}

/* An empty file for the file: destination; unlink it. `url` takes "file:" and the path. */
static inline const char *temp_file(char *url, size_t size)
{
    const char *folder = getenv("TMPDIR");
    snprintf(url, size, "file:%s/malti-test-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(url + 5);
    CHECK(fd >= 0);
    close(fd);
    return url + 5;
}

/* The whole file; free it. */
static inline char *content(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t used = 0, size = 0;
    CHECK(file != NULL);
    while (file) {
        if (size - used < 2)
            text = realloc(text, size = size ? 2 * size : 65536);
        size_t count = fread(text + used, 1, size - used - 1, file);
        if (count == 0)
            break;
        used += count;
    }
    if (file)
        fclose(file);
    if (text)
        text[used] = '\0';
    return text ? text : calloc(1, 1);
}

/* How often `part` is in `text`. */
static inline int count_of(const char *text, const char *part)
{
    int count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

/* A socket on a free loopback port that takes connections and never answers. */
static inline int silent_server(char *url, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(fd, 64), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(url, size, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

#endif

/* A fork while another thread is in the very first malti_init: the child is not left with half of it. */
/* valgrind: no, it lets one thread run at a time */
#include "test.h"

#include <pthread.h>
#include <sys/wait.h>

#define LIVES 400

static atomic_bool go;

static void *first_init(void *given)
{
    (void)given;
    while (!atomic_load(&go)) {
    }
    malti_init(settings("url", "stderr:", "api_key", "k", "service_name", "first", "log", "off", NULL), NULL, 0);
    return NULL;
}

/* A process in which nobody has called the library yet. */
static int life(int spins)
{
    pthread_t other;
    if (pthread_create(&other, NULL, first_init, NULL) != 0)
        return 2;
    atomic_store(&go, true);
    for (volatile int i = 0; i < spins; i++) {
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(30); /* a child that hangs ends by this */
        malti_record("GET", "/", 404, 0, NULL, NULL);
        malti_init(settings("url", "stderr:", "api_key", "k", "service_name", "first", "log", "off", NULL), NULL, 0);
        malti_shutdown(0);
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    pthread_join(other, NULL);
    return status != 0;
}

int main(void)
{
    test_begin();
    for (int i = 0; i < LIVES; i++) {
        fflush(stdout);
        pid_t process = fork();
        if (process == 0)
            _exit(life(i * 50));
        int status = -1;
        CHECK_INT(waitpid(process, &status, 0), process);
        if (!CHECK_INT(status, 0))
            break;
    }
    return test_end();
}

/* A filter may kill whoever makes a system call that a telemetry library need not make. */
/* valgrind: no, it makes system calls of its own */
#include "test.h"

#if defined(__linux__) && defined(__x86_64__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Those that change how the host's threads, processes and machine are run. */
static const unsigned forbidden[] = {
    SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr, SYS_setpriority, SYS_ptrace, SYS_reboot, SYS_mount,
};
enum { FORBIDDEN = sizeof forbidden / sizeof *forbidden };

static bool filtered(void)
{
    struct sock_filter program[FORBIDDEN + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    for (int i = 0; i < FORBIDDEN; i++)
        program[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i], FORBIDDEN - i, 0);
    program[FORBIDDEN + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[FORBIDDEN + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog filter = {FORBIDDEN + 3, program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

int main(void)
{
    test_begin();
    if (!filtered()) {
        puts("no filter can be set here");
        return 77;
    }
    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "filtered", "log", "off", NULL)), MALTI_OK);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_flush(20000), MALTI_OK);
    CHECK_INT(malti_shutdown(20000), MALTI_OK);
    CHECK_INT(ledger().sent, 1);
    unlink(path);
    return test_end();
}
#else
int main(void)
{
    puts("filters of another system");
    return 77;
}
#endif

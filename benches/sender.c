/* How fast records leave, and what that costs.

   sender rate N     records N and delivers them while they are made, in some rounds
   sender outage N   records N while nothing can be delivered, prints a line, and delivers them once it has read one
   Lines of name=value: seconds by the clock, CPU time of the library's threads in ns a record, bytes of memory. Fails
   if any record was lost. */
#include "reference.h"

enum { ROUNDS = 7 };
#define STATUS "/proc/self/status"

/* CPU time of all threads but this one, in ns. */
static double senders_cpu(void) { return now_ns(CLOCK_PROCESS_CPUTIME_ID) - now_ns(CLOCK_THREAD_CPUTIME_ID); }

static void rate(int records) {
  malti_segment(SEGMENT);
  for (int round = 0; round < ROUNDS; round++) {
    double began = now_ns(CLOCK_MONOTONIC), cpu = senders_cpu();
    malti_segment(records);
    double seconds = (now_ns(CLOCK_MONOTONIC) - began) / 1e9;
    printf("seconds=%.4f cpu=%.2f\n", seconds, (senders_cpu() - cpu) / records);
  }
}

static void outage(int records) {
  double before = memory(STATUS, "VmRSS:");
  segment(malti_record, records);
  printf("waiting=%.0f\n", memory(STATUS, "VmRSS:") - before);
  fflush(stdout);
  if (getchar() == EOF) die("nobody said that the server is back");
  double began = now_ns(CLOCK_MONOTONIC), cpu = senders_cpu();
  deliver();
  double seconds = (now_ns(CLOCK_MONOTONIC) - began) / 1e9;
  printf("seconds=%.4f cpu=%.2f peak=%.0f\n", seconds, (senders_cpu() - cpu) / records, memory(STATUS, "VmHWM:") - before);
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "";
  int records = argc > 2 ? atoi(argv[2]) : 0;
  if (records <= 0) die("usage: sender rate|outage N");
  start(CALLS);
  if (!strcmp(what, "rate")) rate(records);
  else if (!strcmp(what, "outage")) outage(records);
  else die("usage: sender rate|outage N");
  finish();
  return 0;
}

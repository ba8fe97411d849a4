/* malti_record from C beside F (reference.h).

   record cpu        thread CPU time of both
   record threads    thread CPU time at 1, 2, 4, 8 threads
   record latency    percentiles of one call of both, by the clock
   record trouble    as cpu, while the server delivers nothing and the buffer overflows
   record idle       how often a second the client's threads wake when nothing is recorded (Linux)
   record count N    N calls of each, for callgrind
   Lines of name=value, one for each round: ns of a call. Fails if any record was not delivered, but in trouble, where
   none may be. */
#include <dirent.h>
#include <unistd.h>

#include "reference.h"

enum { IDLE_SECONDS = 10 };
enum { ROUNDS = 15, SEGMENTS = 10 /* of a round: 200,000 calls */, THREADS_MAX = 8 };

/* Thread CPU time of both, segment by segment, so that whatever else the machine does meets both alike; `before` is
   called ahead of each of ours. The first round starts threads and fills caches. */
static void compare(void (*before)(void)) {
  for (int round = 0; round <= ROUNDS; round++) {
    double ours = 0, reference = 0, calls_each = (double)SEGMENT * SEGMENTS;
    for (int i = 0; i < SEGMENTS; i++) {
      reference += segment(reference_record, SEGMENT);
      before();
      ours += segment(malti_record, SEGMENT);
    }
    if (round) printf("ours=%.2f F=%.2f\n", ours / calls_each, reference / calls_each);
  }
}

/* Makes the sender try now, and goes on while it does. */
static void provoke(void) { malti_flush(1); }

/* Ends without a shutdown, which would wait for what cannot be delivered. */
static void trouble(void) {
  malti_stats s;
  do {
    segment(malti_record, SEGMENT);
    provoke();
    malti_stats_get(&s, sizeof s);
  } while (s.dropped_overflow == 0);
  compare(provoke);
  malti_stats_get(&s, sizeof s);
  if (s.sent || s.filtered || s.invalid) die("the server is not in trouble, or not every call recorded");
  if (s.recorded != s.buffered + s.in_flight + s.dropped_overflow) die("the ledger does not add up");
}

/* How often the other threads of this process have gone to sleep, and how many there are. */
static long long sleeps(int *threads) {
  long long sum = 0;
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) die("no /proc/self/task");
  *threads = 0;
  for (struct dirent *task; (task = readdir(tasks));) {
    if (task->d_name[0] == '.' || atoi(task->d_name) == getpid()) continue;
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%.16s/status", task->d_name);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
      if (!strncmp(line, "voluntary_ctxt_switches:", 24)) sum += atoll(line + 24), ++*threads;
    if (file) fclose(file);
  }
  closedir(tasks);
  return sum;
}

static void idle(void) {
  int before_count, after_count;
  call_one(malti_record, calls);
  deliver();
  nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* until it rests */
  long long before = sleeps(&before_count);
  nanosleep(&(struct timespec){.tv_sec = IDLE_SECONDS}, NULL);
  long long after = sleeps(&after_count);
  if (before_count == 0 || after_count != before_count) die("the sender's thread is not there");
  printf("ours=%.2f\n", (double)(after - before) / IDLE_SECONDS);
}

static void threads(void) {
  static const int counts[] = {1, 2, 4, 8};
  by_threads(THREADS_MAX, SEGMENT / THREADS_MAX, SEGMENTS);
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < 4; i++) {
      double spent = by_threads(counts[i], SEGMENT / counts[i], SEGMENTS);
      printf("threads%d=%.2f%c", counts[i], spent, i == 3 ? '\n' : ' ');
    }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Of one call by the clock, sorted; without a function of the clock alone. */
static void sorted_times(record_fn *record, double *times) {
  for (int part = 0; part < SEGMENTS; part++) {
    for (int i = 0; i < SEGMENT; i++) {
      double start = now_ns(CLOCK_MONOTONIC);
      if (record) call_one(record, calls + i % calls_count);
      times[part * SEGMENT + i] = now_ns(CLOCK_MONOTONIC) - start;
    }
    if (record == malti_record) deliver();
  }
  qsort(times, SEGMENT * SEGMENTS, sizeof *times, ascending);
}

static void latency(void) {
  static double times[SEGMENT * SEGMENTS];
  static const int permille[] = {500, 990, 999};
  malti_segment(SEGMENT);
  for (int round = 0; round < ROUNDS; round++) {
    sorted_times(NULL, times);
    double clock_cost = times[SEGMENT * SEGMENTS / 2];
    for (int turn = 0; turn < 2; turn++) {
      int ours = (turn + round) % 2;
      sorted_times(ours ? malti_record : reference_record, times);
      for (int i = 0; i < 3; i++)
        printf("%s_%d=%.0f ", ours ? "ours" : "F", permille[i],
               times[SEGMENT * SEGMENTS / 1000 * permille[i]] - clock_cost);
    }
    printf("\n");
  }
}

static void count(int calls_each) {
  for (int left = calls_each; left > 0; left -= SEGMENT) {
    int part = left < SEGMENT ? left : SEGMENT;
    segment(reference_record, part);
    malti_segment(part);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  start(CALLS);
  if (!strcmp(what, "cpu")) compare(deliver);
  else if (!strcmp(what, "threads")) threads();
  else if (!strcmp(what, "latency")) latency();
  else if (!strcmp(what, "idle")) idle();
  else if (!strcmp(what, "count") && argc > 2) count(atoi(argv[2]));
  else if (!strcmp(what, "trouble")) return trouble(), 0;
  else die("usage: record cpu|threads|latency|trouble|idle|count N");
  finish();
  return 0;
}

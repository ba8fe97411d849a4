/* malti_record from C beside F: the least that a call which keeps a record can do, that is reading the clock and
   copying the text under a lock nobody else wants.

   record cpu       thread CPU time of both, and their ratio
   record threads   thread CPU time at 1, 2, 4, 8 threads
   record latency   the 99.9th percentile of one call of both
   record steady    as cpu, in a few rounds, to be compared with the next
   record trouble   the same while the server delivers nothing and the buffer overflows
   record idle      how often a second the client's threads wake when nothing is recorded (Linux)
   record count N   N calls of each, for callgrind
   Lines of name=value. Fails if any record was not delivered, but in trouble, where none may be. */
#include <dirent.h>
#include <malti.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "workload.h"

enum { IDLE_SECONDS = 10 };
enum { ROUNDS = 15, SEGMENTS = 10 /* of a round: 200,000 calls */, THREADS_MAX = 8 };

static double now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return values[count / 2];
}

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
/* As much memory as the buffer writes to between two flushes. */
static char ring[SEGMENT * 80];
static size_t ring_at;

/* Not inlined, as a call into a library is not. */
__attribute__((noinline)) int reference_record(const char *method, const char *endpoint, int32_t status,
                                               uint64_t response_time_us, const char *consumer, const char *context) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  size_t method_len = strlen(method), endpoint_len = strlen(endpoint), consumer_len = strlen(consumer);
  size_t context_len = context ? strlen(context) : 0;
  int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
  pthread_mutex_lock(&ring_lock);
  size_t len = sizeof us + method_len + endpoint_len + consumer_len + context_len;
  if (ring_at + len > sizeof ring) ring_at = 0;
  char *to = ring + ring_at;
  memcpy(to, &us, sizeof us);
  memcpy(to += sizeof us, method, method_len);
  memcpy(to += method_len, endpoint, endpoint_len);
  memcpy(to += endpoint_len, consumer, consumer_len);
  if (context) memcpy(to += consumer_len, context, context_len);
  ring_at += len;
  pthread_mutex_unlock(&ring_lock);
  (void)status, (void)response_time_us;
  return 0;
}

typedef int32_t record_fn(const char *, const char *, int32_t, uint64_t, const char *, const char *);

static inline void call_one(record_fn *record, int i) {
  const struct call *c = &calls[i % CALLS];
  if (record(c->method, c->endpoint, c->status, c->response_time_us, c->consumer, NULL) != MALTI_OK)
    die("a call was not recorded");
}

/* Thread CPU time of `count` calls, in ns. */
static double segment(record_fn *record, int count) {
  double start = now_ns(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < count; i++) call_one(record, i);
  return now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
}

static void deliver(void) {
  if (malti_flush(FLUSH_MS) != MALTI_OK) die("flush failed");
}

static double malti_segment(void) {
  double spent = segment(malti_record, SEGMENT);
  deliver();
  return spent;
}

static void cpu(void) {
  double ours[ROUNDS], reference[ROUNDS], ratio[ROUNDS];
  malti_segment(), segment(reference_record, SEGMENT);
  for (int round = 0; round < ROUNDS; round++) {
    ours[round] = reference[round] = 0;
    /* Segment by segment, so that whatever else the machine does meets both alike. */
    for (int i = 0; i < SEGMENTS; i++) {
      reference[round] += segment(reference_record, SEGMENT);
      ours[round] += malti_segment();
    }
    ratio[round] = ours[round] / reference[round];
  }
  double calls_each = (double)SEGMENT * SEGMENTS;
  printf("ours=%.1f baseline=%.1f ratio=%.3f\n", median(ours, ROUNDS) / calls_each,
         median(reference, ROUNDS) / calls_each, median(ratio, ROUNDS));
}

/* Thread CPU time of both, segment by segment; `before` is called ahead of each of ours. */
static void compare(void (*before)(void)) {
  double ours = 0, reference = 0;
  for (int i = 0; i < ROUNDS * SEGMENTS; i++) {
    reference += segment(reference_record, SEGMENT);
    before();
    ours += segment(malti_record, SEGMENT);
  }
  double calls_each = (double)SEGMENT * SEGMENTS * ROUNDS;
  printf("ours=%.1f baseline=%.1f\n", ours / calls_each, reference / calls_each);
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
  printf("recorded=%llu http_status=%d\n", (unsigned long long)s.recorded, (int)s.last_http_status);
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
  call_one(malti_record, 0);
  deliver();
  nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* until it rests */
  long long before = sleeps(&before_count);
  nanosleep(&(struct timespec){.tv_sec = IDLE_SECONDS}, NULL);
  long long after = sleeps(&after_count);
  if (before_count == 0 || after_count != before_count) die("the sender's thread is not there");
  printf("ours=%.2f threads=%d\n", (double)(after - before) / IDLE_SECONDS, after_count);
}

static pthread_barrier_t ready;

static void *worker(void *count) {
  double *spent = malloc(sizeof *spent);
  if (!spent) die("no memory");
  call_one(malti_record, 0); /* a thread's first call also picks its shard */
  pthread_barrier_wait(&ready);
  *spent = segment(malti_record, *(int *)count);
  return spent;
}

/* Thread CPU time of one call while so many threads record. */
static double by_threads(int threads) {
  pthread_t ids[THREADS_MAX];
  int each = SEGMENT / threads;
  double sum = 0;
  for (int part = 0; part < SEGMENTS; part++) {
    pthread_barrier_init(&ready, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++)
      if (pthread_create(&ids[i], NULL, worker, &each)) die("no thread");
    for (int i = 0; i < threads; i++) {
      void *spent;
      pthread_join(ids[i], &spent);
      sum += *(double *)spent;
      free(spent);
    }
    pthread_barrier_destroy(&ready);
    deliver();
  }
  return sum / ((double)each * threads * SEGMENTS);
}

static void threads(void) {
  static const int counts[] = {2, 4, 8};
  double one[ROUNDS], ratios[3][ROUNDS];
  by_threads(THREADS_MAX);
  for (int round = 0; round < ROUNDS; round++) {
    one[round] = by_threads(1);
    for (int i = 0; i < 3; i++) ratios[i][round] = by_threads(counts[i]) / one[round];
  }
  printf("ours=%.1f\n", median(one, ROUNDS));
  for (int i = 0; i < 3; i++) printf("ratio%d=%.3f\n", counts[i], median(ratios[i], ROUNDS));
}

/* The 99.9th percentile of one call in ns, without the clock's own cost. */
static double p999(record_fn *record, double *times, double clock_cost) {
  for (int part = 0; part < SEGMENTS; part++) {
    for (int i = 0; i < SEGMENT; i++) {
      double start = now_ns(CLOCK_MONOTONIC);
      if (record) call_one(record, i);
      times[part * SEGMENT + i] = now_ns(CLOCK_MONOTONIC) - start - clock_cost;
    }
    if (record == malti_record) deliver();
  }
  qsort(times, SEGMENT * SEGMENTS, sizeof *times, ascending);
  return times[SEGMENT * SEGMENTS / 1000 * 999];
}

static void latency(void) {
  static double times[SEGMENT * SEGMENTS], ours[ROUNDS], reference[ROUNDS], ratio[ROUNDS];
  malti_segment();
  for (int round = 0; round < ROUNDS; round++) {
    p999(NULL, times, 0);
    double clock_cost = times[SEGMENT * SEGMENTS / 2];
    reference[round] = p999(reference_record, times, clock_cost);
    ours[round] = p999(malti_record, times, clock_cost);
    ratio[round] = ours[round] / reference[round];
  }
  printf("ours=%.0f baseline=%.0f ratio=%.2f\n", median(ours, ROUNDS), median(reference, ROUNDS),
         median(ratio, ROUNDS));
}

static void count(int calls_each) {
  for (int left = calls_each; left > 0; left -= SEGMENT) {
    int part = left < SEGMENT ? left : SEGMENT;
    segment(reference_record, part);
    segment(malti_record, part);
    deliver();
  }
}

/* By MALTI_URL and MALTI_API_KEY, everything else as it is by default. */
static void start(void) {
  char why[256];
  prepare_calls();
  if (malti_init(NULL, why, sizeof why) != MALTI_OK) die(why);
}

/* A figure counts only if every record was delivered. */
static void finish(void) {
  malti_stats s;
  if (malti_shutdown(FLUSH_MS) != MALTI_OK) die("not everything was delivered");
  malti_stats_get(&s, sizeof s);
  if (s.sent == 0 || s.sent != s.recorded || s.filtered || s.invalid) die("records were lost, or never recorded");
  printf("recorded=%llu dropped=%llu\n", (unsigned long long)s.recorded,
         (unsigned long long)(s.dropped_overflow + s.dropped_rejected + s.dropped_shutdown + s.dropped_expired));
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  start();
  if (!strcmp(what, "cpu")) cpu();
  else if (!strcmp(what, "threads")) threads();
  else if (!strcmp(what, "latency")) latency();
  else if (!strcmp(what, "steady")) compare(deliver);
  else if (!strcmp(what, "idle")) idle();
  else if (!strcmp(what, "count") && argc > 2) count(atoi(argv[2]));
  else if (!strcmp(what, "trouble")) return trouble(), 0;
  else die("usage: record cpu|threads|latency|steady|trouble|idle|count N");
  finish();
  return 0;
}

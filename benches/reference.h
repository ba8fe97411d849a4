/* F, the least that a call which keeps a record can do: it reads the clock and copies the text under a lock nobody else
   wants. And how its calls and ours are timed. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <malti.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "workload.h"

static inline double now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
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

static inline void call_one(record_fn *record, const struct call *c) {
  if (record(c->method, c->endpoint, c->status, c->response_time_us, c->consumer, NULL) != MALTI_OK)
    die("a call was not recorded");
}

/* Thread CPU time of `count` calls, in ns, from the prepared one that `*at` says. */
static inline double segment_from(int *at, record_fn *record, int count) {
  const struct call *next = calls + *at, *end = calls + calls_count;
  double start = now_ns(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < count; i++) {
    call_one(record, next);
    if (++next == end) next = calls;
  }
  double spent = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
  *at = (int)(next - calls);
  return spent;
}

static inline double segment(record_fn *record, int count) { return segment_from(&(int){0}, record, count); }

static inline void deliver(void) {
  if (malti_flush(FLUSH_MS) != MALTI_OK) die("flush failed");
}

static inline double malti_segment(int count) {
  double spent = segment(malti_record, count);
  deliver();
  return spent;
}

struct share {
  pthread_barrier_t *ready;
  int at, count;
  double spent;
};

static inline void *record_share(void *of) {
  struct share *share = of;
  call_one(malti_record, calls); /* a thread's first call also picks its shard */
  pthread_barrier_wait(share->ready);
  share->spent = segment_from(&share->at, malti_record, share->count);
  return NULL;
}

/* Thread CPU time of one call in ns, while so many threads make `each` calls; some times over. */
static inline double by_threads(int threads, int each, int times) {
  double sum = 0;
  pthread_t *ids = malloc((size_t)threads * sizeof *ids);
  struct share *shares = malloc((size_t)threads * sizeof *shares);
  if (!ids || !shares) die("no memory");
  for (int part = 0; part < times; part++) {
    pthread_barrier_t ready;
    pthread_barrier_init(&ready, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
      shares[i] = (struct share){&ready, (int)((long long)i * each % calls_count), each, 0};
      if (pthread_create(&ids[i], NULL, record_share, &shares[i])) die("no thread");
    }
    for (int i = 0; i < threads; i++) {
      pthread_join(ids[i], NULL);
      sum += shares[i].spent;
    }
    pthread_barrier_destroy(&ready);
    deliver();
  }
  free(ids);
  free(shares);
  return sum / ((double)each * threads * times);
}

/* By MALTI_URL and MALTI_API_KEY, everything else as it is by default. */
static inline void start(int calls_wanted) {
  char why[256];
  prepare_calls(calls_wanted);
  if (malti_init(NULL, why, sizeof why) != MALTI_OK) die(why);
}

/* A figure counts only if every record was delivered. */
static inline void finish(void) {
  malti_stats s;
  if (malti_shutdown(FLUSH_MS) != MALTI_OK) die("not everything was delivered");
  malti_stats_get(&s, sizeof s);
  if (s.sent == 0 || s.sent != s.recorded || s.filtered || s.invalid) die("records were lost, or never recorded");
}

#endif

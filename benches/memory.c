/* Memory: of a record that waits, of a call that records, and of a client that idles.

   memory heap    bytes of each record in the buffer while the server is down
   memory calls   allocations of a call, once the buffer is full
   memory idle    bytes that loading the library, one record and its delivery leave behind
   Opens the library (MALTI_LIBRARY) at run time, so that its data and relocations count. Lines of name=value. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <malti.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "workload.h"

/* Every allocation of the process goes through here, of all threads and arenas alike; glibc has its own under these
   names. Blocks count with what they really occupy: their usable size and the allocator's word before it. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static atomic_llong heap;
static _Thread_local long long asked;

static long long occupied(void *block) {
  return block ? (long long)(malloc_usable_size(block) + sizeof(size_t)) : 0;
}

static void *counted(void *block) {
  atomic_fetch_add(&heap, occupied(block));
  asked++;
  return block;
}

void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
  *block = memalign(alignment, size);
  return *block ? 0 : 12; /* ENOMEM */
}

void *realloc(void *block, size_t size) {
  long long before = occupied(block);
  void *moved = __libc_realloc(block, size);
  if (moved || !size) atomic_fetch_sub(&heap, before);
  return counted(moved);
}

void free(void *block) {
  atomic_fetch_sub(&heap, occupied(block));
  __libc_free(block);
}

static __typeof__(malti_init) *init;
static __typeof__(malti_record) *record;
static __typeof__(malti_flush) *flush;
static __typeof__(malti_stats_get) *stats_get;

static void load(void) {
  const char *path = getenv("MALTI_LIBRARY");
  void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  if (!library) die("MALTI_LIBRARY does not name the library");
  *(void **)&init = dlsym(library, "malti_init");
  *(void **)&record = dlsym(library, "malti_record");
  *(void **)&flush = dlsym(library, "malti_flush");
  *(void **)&stats_get = dlsym(library, "malti_stats_get");
  if (!init || !record || !flush || !stats_get) die("the library lacks a function");
  char why[256];
  if (init(NULL, why, sizeof why) != MALTI_OK) die(why);
}

static void call_one(int i) {
  const struct call *c = &calls[i % calls_count];
  if (record(c->method, c->endpoint, c->status, c->response_time_us, c->consumer, NULL) != MALTI_OK)
    die("a call was not recorded");
}

enum { IDLE = 1, RETRYING = 3 };

/* Waits until the sender rests, and the buffer holds so many records. */
static void settle(int state, uint64_t records) {
  for (int tries = 0; tries < 6000; tries++) {
    malti_stats s;
    stats_get(&s, sizeof s);
    if (s.state == state && s.buffered == records && s.in_flight == 0) return;
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  die("the buffer does not hold what was recorded");
}

static void heap_per_record(void) {
  prepare_calls(CALLS);
  setenv("MALTI_MAX_RETRIES", "0", 1);
  load();
  call_one(0);
  flush(1000); /* else nothing is tried for an interval */
  settle(RETRYING, 1);
  long long before = heap;
  for (int i = 1; i < SEGMENT; i++) call_one(i);
  settle(RETRYING, SEGMENT);
  printf("ours=%.1f\n", (double)(heap - before) / (SEGMENT - 1));
}

/* Nothing is delivered meanwhile: how many chunks the sender holds is left to chance elsewhere. */
static void allocations(void) {
  prepare_calls(CALLS);
  load();
  long long start = asked;
  for (int i = 0; i < 2 * SEGMENT; i++) call_one(i);
  if (asked == start) die("allocations are not counted");
  long long before = asked;
  for (int i = 0; i < 10 * SEGMENT; i++) call_one(i);
  long long during = asked - before;
  malti_stats s;
  stats_get(&s, sizeof s);
  if (s.recorded != 12 * SEGMENT || s.dropped_overflow == 0) die("the buffer is not full");
  printf("ours=%.5f\n", (double)during / (10 * SEGMENT));
}

#define ROLLUP "/proc/self/smaps_rollup"

static void idle(void) {
  prepare_calls(CALLS);
  memory(ROLLUP, "Rss:"); /* once before, for what reading takes */
  double own = memory(ROLLUP, "Private_Dirty:"), resident = memory(ROLLUP, "Rss:");
  load();
  call_one(0);
  if (flush(FLUSH_MS) != MALTI_OK) die("flush failed");
  settle(IDLE, 0);
  printf("ours=%.0f resident=%.0f\n", memory(ROLLUP, "Private_Dirty:") - own, memory(ROLLUP, "Rss:") - resident);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "heap")) heap_per_record();
  else if (!strcmp(what, "calls")) allocations();
  else if (!strcmp(what, "idle")) idle();
  else die("usage: memory heap|calls|idle");
  return 0;
}

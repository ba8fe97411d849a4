/* What a record costs while something grows by powers of ten, beside F (reference.h).

   growth threads    threads that record at once
   growth endpoints  different endpoints
   growth consumers  different consumers
   growth fill       records that wait; one round, for nothing may be delivered
   Lines of name=value, one for each round: thread CPU time of a call in ns. Fails if any record was lost. */
#include "reference.h"

enum { ROUNDS = 7, DIFFERENT_MAX = 100000, THREADS_MAX = 1000, FILL_MAX = 1000000, WINDOW = 1000 };
enum { TOGETHER = 200000 /* calls that the threads share */ };

static void threads(void) {
  for (int round = 0; round <= ROUNDS; round++)
    for (int count = 1; count <= THREADS_MAX; count *= 10) {
      double ours = by_threads(count, TOGETHER / count, 1);
      double reference = segment(reference_record, SEGMENT) / SEGMENT;
      if (round) printf("ours_%d=%.2f F_%d=%.2f%c", count, ours, count, reference, count == THREADS_MAX ? '\n' : ' ');
    }
}

/* All calls read as much memory, however many of them are different. */
static void vary(int count, int endpoints) {
  for (int i = 0; i < calls_count; i++) {
    struct call *c = &calls[i];
    if (endpoints) snprintf(c->endpoint, sizeof c->endpoint, "/api/v1/users/{id}/items/%05d", i % count);
    else snprintf(c->consumer, sizeof c->consumer, "customer-%05d", i % count);
  }
}

static void different(int endpoints) {
  int ours_at = 0, reference_at = 0;
  for (int round = 0; round <= ROUNDS; round++)
    for (int count = 1; count <= DIFFERENT_MAX; count *= 10) {
      double ours = 0, reference = 0, each = DIFFERENT_MAX;
      vary(count, endpoints);
      for (int part = 0; part < DIFFERENT_MAX / SEGMENT; part++) {
        reference += segment_from(&reference_at, reference_record, SEGMENT);
        ours += segment_from(&ours_at, malti_record, SEGMENT);
        deliver();
      }
      if (round)
        printf("ours_%d=%.2f F_%d=%.2f%c", count, ours / each, count, reference / each,
               count == DIFFERENT_MAX ? '\n' : ' ');
    }
}

static void fill(void) {
  malti_stats s;
  int at = 0, records = 0;
  for (int level = WINDOW; level <= FILL_MAX; level *= 10) {
    segment_from(&at, malti_record, level - records);
    double reference = segment(reference_record, WINDOW) / WINDOW;
    double ours = segment_from(&at, malti_record, WINDOW) / WINDOW;
    records = level + WINDOW;
    printf("ours_%d=%.2f F_%d=%.2f ", level, ours, level, reference);
  }
  printf("\n");
  malti_stats_get(&s, sizeof s);
  if (s.buffered + s.in_flight != (uint64_t)records) die("not every record waits");
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  start(DIFFERENT_MAX);
  if (!strcmp(what, "threads")) threads();
  else if (!strcmp(what, "endpoints")) different(1);
  else if (!strcmp(what, "consumers")) different(0);
  else if (!strcmp(what, "fill")) return fill(), 0;
  else die("usage: growth threads|endpoints|consumers|fill");
  finish();
  return 0;
}

/* What the C benches have in common: prepared calls.

   Methods of 3-6 bytes, endpoints of about 30, consumers of about 12, none left out by clean mode, no context. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  CALLS = 1024,    /* prepared, where it is not said how many */
  SEGMENT = 20000, /* calls between two flushes: fewer than the buffer holds, so that none is dropped */
  FLUSH_MS = 60000,
};

struct call {
  char method[8], endpoint[48], consumer[24];
  int32_t status;
  uint64_t response_time_us;
};

static struct call *calls;
static int calls_count;

static void die(const char *what) {
  fprintf(stderr, "bench: %s\n", what);
  exit(1);
}

static void prepare_calls(int count) {
  static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};
  static const char *const things[] = {"users", "orders", "invoices"};
  static const int32_t statuses[] = {200, 201, 204, 302, 422, 500};
  uint32_t random = 42;
  calls = malloc((size_t)count * sizeof *calls);
  if (!calls) die("no memory");
  calls_count = count;
  for (int i = 0; i < count; i++) {
    struct call *call = &calls[i];
    random = random * 1664525u + 1013904223u;
    snprintf(call->method, sizeof call->method, "%s", methods[i % 5]);
    snprintf(call->endpoint, sizeof call->endpoint, "/api/v1/%s/{id}/items/%u", things[i % 3], random >> 19);
    snprintf(call->consumer, sizeof call->consumer, "customer-%u", random >> 20);
    call->status = statuses[i % 6];
    call->response_time_us = random >> 8;
  }
}

/* A field of a file of /proc/self about memory, in bytes. */
static inline double memory(const char *path, const char *field) {
  char line[256];
  double kib = -1;
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file))
    if (!strncmp(line, field, strlen(field))) kib = strtod(line + strlen(field), NULL);
  if (file) fclose(file);
  if (kib < 0) die(path);
  return kib * 1024;
}

#endif

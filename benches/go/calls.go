package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../include
#include <malloc.h>
#include <stdlib.h>
#include <time.h>
#include "malti.h"

static void empty(void) {}

#cgo noescape arguments
#cgo nocallback arguments
static void arguments(const char *method, size_t method_len, const char *endpoint, size_t endpoint_len,
	int32_t status, uint64_t response_time_us, const char *consumer, size_t consumer_len,
	const char *context, size_t context_len, int64_t created_at_unix_us, int32_t *result)
{
	*result = 0;
}

static void loop(int count, int64_t created_at_unix_us)
{
	for (int i = 0; i < count; i++)
		malti_record_n("GET", 3, "/users/{user_id}", 16, 200, 12, "mobile-app", 10, NULL, 0, created_at_unix_us);
}

static double spent_ns(clockid_t clock)
{
	struct timespec spent;
	clock_gettime(clock, &spent);
	return spent.tv_sec * 1e9 + spent.tv_nsec;
}

static size_t heap(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}
*/
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

func empty() { C.empty() }

// arguments passes what the binding passes, to nobody.
func arguments(int) {
	text := func(s string) (*C.char, C.size_t) {
		return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
	}
	r := &request
	method, methodLen := text(r.Method)
	endpoint, endpointLen := text(r.Endpoint)
	consumer, consumerLen := text(r.Consumer)
	context, contextLen := text(r.Context)
	var result C.int32_t
	C.arguments(method, methodLen, endpoint, endpointLen, C.int32_t(r.Status), C.uint64_t(r.Duration.Microseconds()),
		consumer, consumerLen, context, contextLen, 0, &result)
}

// inC records from a loop in C, with a time or with the clock's.
func inC(at time.Time) func(int) {
	var us int64
	if !at.IsZero() {
		us = at.UnixMicro()
	}
	return func(count int) { C.loop(C.int(count), C.int64_t(us)) }
}

// withStrings records as bindings do that make C strings of Go's.
func withStrings(int) {
	r := &request
	m, e, c := C.CString(r.Method), C.CString(r.Endpoint), C.CString(r.Consumer)
	C.malti_record(m, e, C.int32_t(r.Status), C.uint64_t(r.Duration.Microseconds()), c, nil)
	C.free(unsafe.Pointer(m))
	C.free(unsafe.Pointer(e))
	C.free(unsafe.Pointer(c))
}

// threadNS is the CPU time of this thread.
func threadNS() float64 { return float64(C.spent_ns(C.CLOCK_THREAD_CPUTIME_ID)) }

// processNS is that of all of the process's threads.
func processNS() float64 { return float64(C.spent_ns(C.CLOCK_PROCESS_CPUTIME_ID)) }

// heap is the bytes that Go and C have allocated and still use.
func heap() int {
	// What the first collection finalizes the second one frees.
	runtime.GC()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int(memory.HeapAlloc) + int(C.heap())
}

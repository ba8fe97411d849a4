//go:build cgo

package malti

/*
#include <stdlib.h>
#include "malti.h"

#cgo noescape malti_go_record
#cgo nocallback malti_go_record
#cgo noescape malti_go_request
#cgo nocallback malti_go_request
#cgo noescape malti_normalize_route
#cgo nocallback malti_normalize_route
#cgo nocallback malti_flush_wait

// Without a result, for which cgo would look where Go's stack is before and after.
static void malti_go_record(const char *method, size_t method_len, const char *endpoint, size_t endpoint_len,
	int32_t status, uint64_t response_time_us, const char *consumer, size_t consumer_len,
	const char *context, size_t context_len, int64_t created_at_unix_us, int32_t *result)
{
	*result = malti_record_n(method, method_len, endpoint, endpoint_len, status, response_time_us, consumer, consumer_len,
		context, context_len, created_at_unix_us);
}

// Without a result as well.
static void malti_go_request(const char *method, size_t method_len, const char *endpoint, size_t endpoint_len,
	int32_t status, uint64_t response_time_us, const char *consumer, size_t consumer_len,
	const char *context, size_t context_len, const char *headers, size_t headers_len,
	const char *query, size_t query_len, const char *peer, size_t peer_len)
{
	malti_record_request(method, method_len, endpoint, endpoint_len, status, response_time_us, consumer, consumer_len,
		context, context_len, headers, headers_len, query, query_len, peer, peer_len, 0);
}
*/
import "C"

import (
	"strings"
	"unsafe"
)

// The binary interface that this package was made for: major << 16 | minor.
const abiVersion = 1 << 16

// Messages of errors and log lines are shorter.
const lineBytes = 8192

func pointer(text string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.size_t(len(text))
}

func coreVersion() string { return C.GoString(C.malti_version()) }

// coreInit starts the client, or takes one more share of it.
func coreInit(settings []setting) (int32, string) {
	abi := uint32(C.malti_abi_version())
	if abi>>16 != abiVersion>>16 || abi < abiVersion {
		return statusIncompatible, "it is version " + coreVersion()
	}
	config := C.malti_config_new()
	if config == nil {
		return statusNoMemory, ""
	}
	defer C.malti_config_free(config)
	var message [1024]C.char
	for _, s := range settings {
		if strings.ContainsRune(s.value, 0) {
			return statusInvalidValue, s.key + ": it has a NUL in it"
		}
		key, value := C.CString(s.key), C.CString(s.value)
		status := C.malti_config_set(config, key, value, &message[0], C.size_t(len(message)))
		C.free(unsafe.Pointer(key))
		C.free(unsafe.Pointer(value))
		if status != statusOK {
			return int32(status), C.GoString(&message[0])
		}
	}
	status := C.malti_init(config, &message[0], C.size_t(len(message)))
	return int32(status), C.GoString(&message[0])
}

// coreSetting is a setting of the running client; "" without one.
func coreSetting(key string) string {
	name := C.CString(key)
	defer C.free(unsafe.Pointer(name))
	return whole(func(out *C.char, size C.size_t) C.int32_t {
		return C.malti_config_get(nil, name, out, size)
	})
}

func coreRecord(r *Request, us uint64, createdAt int64) int32 {
	method, methodLen := pointer(r.Method)
	endpoint, endpointLen := pointer(r.Endpoint)
	consumer, consumerLen := pointer(r.Consumer)
	context, contextLen := pointer(r.Context)
	var result C.int32_t
	C.malti_go_record(method, methodLen, endpoint, endpointLen, C.int32_t(statusNumber(r.Status)), C.uint64_t(us),
		consumer, consumerLen, context, contextLen, C.int64_t(createdAt), &result)
	return int32(result)
}

// coreRequest finds out who called, where r does not say it, and records.
func coreRequest(r *Request, us uint64, headers []byte, query, peer string) {
	method, methodLen := pointer(r.Method)
	endpoint, endpointLen := pointer(r.Endpoint)
	consumer, consumerLen := pointer(r.Consumer)
	context, contextLen := pointer(r.Context)
	block := (*C.char)(unsafe.Pointer(unsafe.SliceData(headers)))
	queryText, queryLen := pointer(query)
	peerText, peerLen := pointer(peer)
	C.malti_go_request(method, methodLen, endpoint, endpointLen, C.int32_t(statusNumber(r.Status)), C.uint64_t(us),
		consumer, consumerLen, context, contextLen, block, C.size_t(len(headers)), queryText, queryLen, peerText, peerLen)
}

// coreRoute is a pattern in normal form; false: there is no such dialect.
func coreRoute(dialect, pattern string) (string, bool) {
	name := C.CString(dialect)
	defer C.free(unsafe.Pointer(name))
	text, length := pointer(pattern)
	known := true
	normal := whole(func(out *C.char, size C.size_t) C.int32_t {
		needed := C.malti_normalize_route(name, text, length, out, size)
		known = needed >= 0
		return needed
	})
	return normal, known
}

func coreFlushBegin() (int32, uint64) {
	var ticket C.uint64_t
	status := C.malti_flush_begin(&ticket)
	return int32(status), uint64(ticket)
}

// coreFlushDone looks, and does not wait.
func coreFlushDone(ticket uint64) int32 {
	return int32(C.malti_flush_wait(C.uint64_t(ticket), 0))
}

// coreShutdown keeps its thread for as long.
func coreShutdown(ms uint32) int32 { return int32(C.malti_shutdown(C.uint32_t(ms))) }

func coreStats() string {
	return whole(func(out *C.char, size C.size_t) C.int32_t { return C.malti_stats_json(out, size) })
}

// coreLogLine takes the oldest line; false: none waits.
func coreLogLine() (int32, string, bool) {
	var level C.int32_t
	var line [lineBytes]C.char
	if C.malti_log_next(&level, &line[0], lineBytes) <= 0 {
		return 0, "", false
	}
	return int32(level), C.GoString(&line[0]), true
}

// whole is a text that the library writes as snprintf does, however long it is; "" after an error.
func whole(write func(*C.char, C.size_t) C.int32_t) string {
	for size := 1024; ; {
		room := make([]byte, size)
		needed := int(write((*C.char)(unsafe.Pointer(&room[0])), C.size_t(size)))
		if needed < size {
			return string(room[:max(needed, 0)])
		}
		size = needed + 1
	}
}

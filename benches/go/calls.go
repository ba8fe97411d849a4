package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../include
#include <stdlib.h>
#include "malti.h"

static void empty(void) {}
*/
import "C"

import "unsafe"

func empty() { C.empty() }

// withStrings records as bindings do that make C strings of Go's.
func withStrings(method, endpoint, consumer string) {
	m, e, c := C.CString(method), C.CString(endpoint), C.CString(consumer)
	C.malti_record(m, e, 200, 12, c, nil)
	C.free(unsafe.Pointer(m))
	C.free(unsafe.Pointer(e))
	C.free(unsafe.Pointer(c))
}

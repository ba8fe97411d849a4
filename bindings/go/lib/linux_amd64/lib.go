//go:build cgo && linux && amd64 && !musl && !malti_dynamic && !malti_dev

// Package linux_amd64 holds the library as a static archive. In a checkout `make go-lib` makes it;
// it comes with a release.
package linux_amd64

/*
#cgo LDFLAGS: ${SRCDIR}/libmalti.a -lpthread -lm -ldl
#include <features.h>
#ifndef __GLIBC__
#error "libmalti: for musl build with -tags musl, for another C library with -tags malti_dynamic"
#endif
#if __has_include("archive.h")
// Says which archive it is, so that another one is linked anew.
#include "archive.h"
#else
#error "libmalti.a is missing: run `make go-lib` in the checkout, or build with -tags malti_dynamic"
#endif
*/
import "C"

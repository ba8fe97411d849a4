//go:build cgo && linux && arm64 && musl && !malti_dynamic && !malti_dev

// Package linux_arm64_musl holds the library as a static archive. In a checkout `make go-libs` makes it;
// it comes with a release.
package linux_arm64_musl

/*
#cgo LDFLAGS: ${SRCDIR}/libmalti.a -lpthread -lm -ldl
#include <features.h>
#ifdef __GLIBC__
#error "libmalti: this C compiler is one of glibc; build without -tags musl"
#endif
#if __has_include("archive.h")
// Says which archive it is, so that another one is linked anew.
#include "archive.h"
#else
#error "libmalti.a is missing: run `make go-libs` in the checkout, or build with -tags malti_dynamic"
#endif
*/
import "C"

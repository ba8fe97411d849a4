//go:build cgo && malti_dev

package malti

// For work on the library itself: what `make lib` has built in this checkout.

// #cgo LDFLAGS: -L${SRCDIR}/../../target/release -Wl,-rpath,${SRCDIR}/../../target/release -lmalti
import "C"

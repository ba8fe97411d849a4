//go:build cgo && malti_dynamic && !malti_dev

package malti

// The shared library of the system, where pkg-config finds it.

// #cgo pkg-config: malti
import "C"

//go:build cgo && !malti_dynamic && !malti_dev && !(linux && (amd64 || arm64))

package malti

// #error "libmalti: no archive for this platform; build with -tags malti_dynamic (needs malti.pc), or with CGO_ENABLED=0"
import "C"

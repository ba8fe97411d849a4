//go:build cgo && !musl && !malti_dynamic && !malti_dev

package malti

import _ "github.com/libmalti/malti-go/lib/linux_amd64"

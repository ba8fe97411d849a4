package malti

import (
	"errors"
	"fmt"
)

// Errors of this package, to be told apart by [errors.Is]. Most come with more words around them.
var (
	// ErrNoCgo: the program was built with CGO_ENABLED=0. Everything compiles, nothing is recorded.
	ErrNoCgo = errors.New("malti: built without cgo")
	// ErrNotRunning: there is no client, before Init or after Shutdown.
	ErrNotRunning = errors.New("malti: not running")
	// ErrInvalidArgument: an argument can't be used, such as a status outside 100 to 999.
	ErrInvalidArgument = errors.New("malti: invalid argument")
	// ErrUnknownKey: the library does not know a setting, since it is older than this package.
	ErrUnknownKey = errors.New("malti: unknown setting")
	// ErrInvalidValue: a setting has a value that it does not accept; the text says which it does.
	ErrInvalidValue = errors.New("malti: invalid value")
	// ErrAlreadyInitialized: the client runs with other settings; the text names the first that differs.
	ErrAlreadyInitialized = errors.New("malti: already initialized")
	// ErrTimedOut: the time was up. After Flush delivery goes on; after Shutdown what was not
	// confirmed has been counted as dropped, or is in the durable buffer.
	ErrTimedOut = errors.New("malti: timed out")
	// ErrRejected: the server refuses this key, service or address; the records are kept.
	ErrRejected = errors.New("malti: rejected by the server")
	// ErrNoMemory: there is no memory; the record was not kept.
	ErrNoMemory = errors.New("malti: no memory")
	// ErrNoThread: no thread could be started to send; the records are kept.
	ErrNoThread = errors.New("malti: no thread")
	// ErrInternal: a fault inside the library, contained; please report it.
	ErrInternal = errors.New("malti: internal fault")
	// ErrIncompatible: the library that was found has another binary interface than this package needs.
	ErrIncompatible = errors.New("malti: incompatible library")
)

// What the functions of the C interface return.
const (
	statusOK                 = 0
	statusIgnored            = 1
	statusDisabled           = 2
	statusAlreadyRunning     = 3
	statusNotRunning         = 4
	statusInvalidArgument    = -1
	statusUnknownKey         = -2
	statusInvalidValue       = -3
	statusNotInitialized     = -4
	statusAlreadyInitialized = -5
	statusTimedOut           = -6
	statusRejected           = -7
	statusNoMemory           = -8
	statusNoThread           = -9

	// This package's own.
	statusNoCgo        = -1001
	statusIncompatible = -1002
)

// errorOf is nil for what is done, and for what is rightly left undone.
func errorOf(status int32) error {
	switch status {
	case statusInvalidArgument:
		return ErrInvalidArgument
	case statusUnknownKey:
		return ErrUnknownKey
	case statusInvalidValue:
		return ErrInvalidValue
	case statusNotRunning, statusNotInitialized:
		return ErrNotRunning
	case statusAlreadyInitialized:
		return ErrAlreadyInitialized
	case statusTimedOut:
		return ErrTimedOut
	case statusRejected:
		return ErrRejected
	case statusNoMemory:
		return ErrNoMemory
	case statusNoCgo:
		return ErrNoCgo
	case statusIncompatible:
		return ErrIncompatible
	case statusNoThread:
		return ErrNoThread
	}
	if status < 0 {
		return ErrInternal
	}
	return nil
}

// explained adds what the library says about an error.
func explained(err error, message string) error {
	if err == nil || message == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, message)
}

package malti

import (
	"math"
	"time"
)

// Request is one answered request, for [Record]. Text is UTF-8 (invalid bytes are replaced) and is cut
// to 500 characters.
type Request struct {
	// Method is required, such as "GET".
	Method string
	// Endpoint is the route's pattern in normal form, such as "/users/{user_id}" ([NormalizeRoute]
	// makes it), else the path. Empty: "/".
	Endpoint string
	// Status is the HTTP status, 100 to 999.
	Status int
	// Duration is the time from the request's arrival to the end of the response's body. It is sent
	// in whole milliseconds, rounded down.
	Duration time.Duration
	// Consumer is who called. Empty: "anonymous".
	Consumer string
	// Context is free text. Empty: none.
	Context string
	// Time is when the response ended, 1970 to 9999. Zero: now.
	Time time.Time
}

// Record records one request, where no middleware does. It copies what it is given, allocates nothing,
// and never waits for the network. Like a request, it starts the client if nobody has.
//
// Nil also for a request that is left out: by clean mode, ExcludeEndpoints, or a client that is switched
// off. [ErrInvalidArgument] is counted, and the log names the field once. [ErrNotRunning], [ErrNoMemory].
func Record(request Request) error {
	if watching.Load() == nil {
		begun()
	}
	var createdAt int64
	if !request.Time.IsZero() {
		createdAt = request.Time.UnixMicro()
	}
	status := coreRecord(&request, micros(request.Duration), createdAt)
	if status == statusOK {
		return nil
	}
	return errorOf(status)
}

func micros(d time.Duration) uint64 { return uint64(max(d.Microseconds(), 0)) }

// statusNumber is what of a status fits into the library's argument; 0, which it refuses, for the rest.
func statusNumber(status int) int32 {
	if status < math.MinInt32 || status > math.MaxInt32 {
		return 0
	}
	return int32(status)
}

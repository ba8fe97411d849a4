package malti

import "encoding/json"

// Ledger is what became of the records, in one exact snapshot:
//
//	Recorded + Adopted = Sent + Buffered + InFlight + Spooled +
//		DroppedOverflow + DroppedRejected + DroppedShutdown + DroppedExpired
//
// As JSON it is what every binding of the library gives.
type Ledger struct {
	// Recorded counts the requests that were recorded.
	Recorded uint64 `json:"recorded"`
	// Adopted counts records taken over from the durable buffer of a process that died.
	Adopted uint64 `json:"adopted"`
	// Sent counts records that the server confirmed.
	Sent uint64 `json:"sent"`
	// Buffered is how many wait.
	Buffered uint64 `json:"buffered"`
	// InFlight is how many are in a request that is under way.
	InFlight uint64 `json:"in_flight"`
	// Spooled is how many were left in a durable buffer at shutdown.
	Spooled uint64 `json:"spooled"`
	// DroppedOverflow counts records, the oldest, that a full buffer let go.
	DroppedOverflow uint64 `json:"dropped_overflow"`
	// DroppedRejected counts records that the server refused for good.
	DroppedRejected uint64 `json:"dropped_rejected"`
	// DroppedShutdown counts records that were not confirmed when the time of Shutdown was up.
	DroppedShutdown uint64 `json:"dropped_shutdown"`
	// DroppedExpired counts records of a durable buffer that grew too old.
	DroppedExpired uint64 `json:"dropped_expired"`

	// Filtered counts requests that clean mode or ExcludeEndpoints left out. Outside the sum.
	Filtered uint64 `json:"filtered"`
	// Invalid counts calls that could not be recorded. Outside the sum.
	Invalid uint64 `json:"invalid"`
	// Batches counts requests to the server that were confirmed.
	Batches uint64 `json:"batches"`
	// Retries counts requests that were made again after a fault.
	Retries uint64 `json:"retries"`
	// BytesSent counts the bytes of the bodies of confirmed requests.
	BytesSent uint64 `json:"bytes_sent"`
	// BufferCapacity is the buffer's bound, in records.
	BufferCapacity uint64 `json:"buffer_capacity"`
	// SpoolSkippedBytes counts bytes of a durable buffer that were torn or foreign.
	SpoolSkippedBytes uint64 `json:"spool_skipped_bytes"`
	// LastHTTPStatus is that of the server's last answer; 0: none yet.
	LastHTTPStatus int `json:"last_http_status"`
	// LastSuccessUnixMilli is when a request was last confirmed, in ms since 1970 UTC; 0: never.
	LastSuccessUnixMilli int64 `json:"last_success_unix_ms"`
	// LastError is why delivery failed last; "": it has not.
	LastError string `json:"last_error"`
	// State is disabled, idle, sending, retrying, misconfigured or stopped.
	State string `json:"state"`
}

// Stats gives the ledger. After Shutdown the last figures stay until the next Init. Zero without cgo.
func Stats() Ledger {
	lines.pull()
	var ledger Ledger
	// The library's own text: what it does not hold stays zero.
	_ = json.Unmarshal([]byte(coreStats()), &ledger)
	return ledger
}

//go:build !cgo

package malti

// Without cgo there is no library: Init says so, and everything else does nothing.

func coreVersion() string { return "" }

func coreInit([]setting) (int32, string) { return statusNoCgo, "" }

func coreSetting(string) string { return "" }

func coreRecord(*Request, uint64, int64) int32 { return statusNotRunning }

func coreRequest(*Request, uint64, []byte, string, string) {}

func coreRoute(_, pattern string) (string, bool) { return pattern, true }

func coreFlushBegin() (int32, uint64) { return statusNotRunning, 0 }

func coreFlushDone(uint64) int32 { return statusNotRunning }

func coreShutdown(uint32) int32 { return statusNotRunning }

func coreStats() string { return "{}" }

func coreLogLine() (int32, string, bool) { return 0, "", false }

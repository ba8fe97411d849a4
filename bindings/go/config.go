package malti

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Config holds the settings of the client. A field that is zero is left to its environment variable
// (MALTI_SERVICE_NAME for ServiceName, and so on), and without one to the default, so that the zero
// Config is what the environment says. Where zero means something, the field is a pointer: [Ptr] makes
// one. What a setting accepts is checked by [Init].
type Config struct {
	// Enabled false: nothing is recorded, and no thread is started. Default true.
	Enabled *bool
	// ServiceName is the service that the API key belongs to.
	ServiceName string
	// APIKey is the service's key; without one nothing is recorded.
	APIKey string
	// APIKeyFile is a file to read the key from, where APIKey is not set.
	APIKeyFile string
	// URL is the server's base URL, file:/absolute/path or stderr:. Default http://localhost:8000.
	URL string
	// Node is this machine's name in each record. Default: the host's name.
	Node string

	// BatchSize is how many records one request holds at most, 1 to 10,000. Default 500.
	BatchSize int
	// BatchBytes is how many bytes one request holds at most. Default 900,000.
	BatchBytes int
	// BatchInterval is the longest wait of a record before it is sent. Default a minute.
	BatchInterval time.Duration
	// MaxRetries is how often a batch is tried again before it goes back into the buffer. Default 3.
	MaxRetries *int
	// RetryDelay is the longest delay before the first retry; it doubles with each. Default a second.
	RetryDelay *time.Duration
	// HTTPTimeout is the time for a whole request. Default 30 s.
	HTTPTimeout time.Duration
	// MaxConnections is how many requests are made at once when the buffer is nearly full. Default 10.
	MaxConnections int
	// MaxKeepaliveConnections is how many idle connections are kept while sending. Default 5.
	MaxKeepaliveConnections *int
	// OverflowThresholdPercent is the fill of the buffer at which sending starts at once. Default 90.
	OverflowThresholdPercent int
	// BufferSize is how many records are kept in memory at most. Default 25,000.
	BufferSize int
	// BufferBytes is how many bytes are kept in memory at most. Default 16 MiB.
	BufferBytes int

	// CleanMode leaves out requests that were answered 401 or 404. Default true.
	CleanMode *bool
	// ExcludeEndpoints are left out, each exact or with a * at its end: "/health*".
	ExcludeEndpoints []string

	// UseIPAsConsumer takes the caller's address where nothing else names the consumer. Default false.
	UseIPAsConsumer *bool
	// IPAnonymize masks the last part of that address. Default false.
	IPAnonymize *bool
	// TrustedProxies are the peers whose X-Forwarded-For is believed, such as "10.0.0.0/8". Default: all.
	TrustedProxies []string
	// ConsumerOrder is where the consumer is looked for: state, header, query, ip, in this order.
	ConsumerOrder []string
	// ConsumerHeaders name the consumer, the first before the others.
	ConsumerHeaders []string
	// ConsumerQuery are the query parameters that name the consumer, the first before the others.
	ConsumerQuery []string
	// ContextHeaders: the first that is present fills the context where the application sets none.
	ContextHeaders []string

	// CAFile is a PEM file of authorities to trust beside the platform's.
	CAFile string
	// Proxy to the server, or "none". Default: as the usual variables say.
	Proxy string
	// NoProxy are hosts, domains and networks that are reached without it.
	NoProxy []string
	// SpoolDir is where records are kept in files that outlive a killed process (Linux).
	SpoolDir string
	// SpoolBytes is how much all files there hold at most. Default 256 MiB.
	SpoolBytes int64
	// SpoolMaxAge is the age at which records left there are given up. Default a week.
	SpoolMaxAge time.Duration
	// Compression is "none" or "gzip".
	Compression string
	// ShutdownTimeout is the time of a Shutdown whose context has no deadline. Default 5 s.
	ShutdownTimeout *time.Duration
	// Log is what is logged, and all that is graver: off, error, warn, info, debug. Default warn.
	Log string

	// Logger takes the log lines; nil: they go to standard error.
	Logger *slog.Logger
}

// Ptr gives a pointer to v, for the fields of [Config] that are pointers.
func Ptr[T any](v T) *T { return &v }

type setting struct{ key, value string }

// settings are the fields that say something, under their names in the library.
func (c *Config) settings() []setting {
	list := []setting{{"binding", "go/" + Version()}}
	add := func(key, value string) { list = append(list, setting{key, value}) }
	text := func(key, value string) {
		if value != "" {
			add(key, value)
		}
	}
	texts := func(key string, values []string) {
		if values != nil {
			add(key, strings.Join(values, ","))
		}
	}
	boolean := func(key string, value *bool) {
		if value != nil {
			add(key, strconv.FormatBool(*value))
		}
	}
	number := func(key string, value *int) {
		if value != nil {
			add(key, strconv.Itoa(*value))
		}
	}
	set := func(key string, value int64) {
		if value != 0 {
			add(key, strconv.FormatInt(value, 10))
		}
	}
	duration := func(key string, value *time.Duration) {
		if value != nil {
			add(key, strconv.FormatFloat(value.Seconds(), 'f', -1, 64))
		}
	}
	lasting := func(key string, value time.Duration) {
		if value != 0 {
			duration(key, &value)
		}
	}

	boolean("enabled", c.Enabled)
	text("service_name", c.ServiceName)
	text("api_key", c.APIKey)
	text("api_key_file", c.APIKeyFile)
	text("url", c.URL)
	text("node", c.Node)
	set("batch_size", int64(c.BatchSize))
	set("batch_bytes", int64(c.BatchBytes))
	lasting("batch_interval", c.BatchInterval)
	number("max_retries", c.MaxRetries)
	duration("retry_delay", c.RetryDelay)
	lasting("http_timeout", c.HTTPTimeout)
	set("max_connections", int64(c.MaxConnections))
	number("max_keepalive_connections", c.MaxKeepaliveConnections)
	set("overflow_threshold_percent", int64(c.OverflowThresholdPercent))
	set("buffer_size", int64(c.BufferSize))
	set("buffer_bytes", int64(c.BufferBytes))
	boolean("clean_mode", c.CleanMode)
	texts("exclude_endpoints", c.ExcludeEndpoints)
	boolean("use_ip_as_consumer", c.UseIPAsConsumer)
	boolean("ip_anonymize", c.IPAnonymize)
	texts("trusted_proxies", c.TrustedProxies)
	texts("consumer_order", c.ConsumerOrder)
	texts("consumer_headers", c.ConsumerHeaders)
	texts("consumer_query", c.ConsumerQuery)
	texts("context_headers", c.ContextHeaders)
	text("ca_file", c.CAFile)
	text("proxy", c.Proxy)
	texts("no_proxy", c.NoProxy)
	text("spool_dir", c.SpoolDir)
	set("spool_bytes", c.SpoolBytes)
	lasting("spool_max_age", c.SpoolMaxAge)
	text("compression", c.Compression)
	duration("shutdown_timeout", c.ShutdownTimeout)
	text("log", c.Log)
	return list
}

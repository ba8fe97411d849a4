package malti

import (
	"context"
	"errors"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// statusClientGone is nginx's for a client that went away before the answer.
const statusClientGone = 499

// Source is what a record says of a request beside its answer. Its texts must stay valid until
// [Exchange.End]; headers are read by [Begin].
type Source struct {
	Method string
	// Path, without the query, is the endpoint of a request that matched no route.
	Path string
	// Query is as it came, without '?'.
	Query string
	// Peer is the other end's address, with or without a port.
	Peer string
	// Host is the value of the header Host.
	Host string
	// Header gives a header's values in order of arrival; names are in canonical form. [http.Header]
	// is one. Nil: there is none.
	Header interface{ Values(name string) []string }
}

// HTTPSource is the source of a request of net/http.
func HTTPSource(r *http.Request) Source {
	return Source{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Peer: r.RemoteAddr, Host: r.Host, Header: r.Header,
	}
}

// Exchange is one request and its answer, for those who write the middleware of a router; others use
// [Middleware]. It is the context under which the request's handlers run, so that [SetConsumer] and the
// like find it. Its methods may be called from any goroutine, and do nothing on a nil Exchange.
type Exchange struct {
	context.Context
	source  Source
	started time.Duration
	// headers are those that the rules read, as the library wants them: in room, as long as they fit.
	headers []byte
	room    [96]byte
	// left is when the client left, in nanoseconds since started; 0: it has not, so far as is known.
	left atomic.Int64
	// forget ends the watch for that.
	forget func() bool

	// status is what an [http.ResponseWriter] was told; 0: nothing yet.
	status atomic.Int32
	// begun: while the client was there.
	begun atomic.Bool

	mu                          sync.Mutex
	consumer, context, endpoint string
	route                       string
	level                       level
	over                        bool
}

// epoch is what times are measured from: Since asks one clock, Now two.
var epoch = time.Now()

type exchangeKey struct{}

// Value gives the exchange itself to who looks for it.
func (e *Exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return e
	}
	return e.Context.Value(key)
}

func following(ctx context.Context) *Exchange {
	e, _ := ctx.Value(exchangeKey{}).(*Exchange)
	return e
}

// Begin follows a request from now to [Exchange.End]. Its handlers run under the exchange in place of
// ctx. Nil: nothing is recorded, or another middleware follows this request already; what [SetRoute]
// says under ctx reaches that one.
func Begin(ctx context.Context, source Source) *Exchange {
	w := begun()
	if !w.recording || following(ctx) != nil {
		return nil
	}
	return begin(ctx, w, source)
}

func begin(ctx context.Context, w *watch, source Source) *Exchange {
	e := &Exchange{Context: ctx, source: source, started: time.Since(epoch)}
	// Now: a handler may change them, in a goroutine of its own perhaps.
	e.headers = source.block(e.room[:0], w.headers)
	e.source.Header = nil
	if ctx.Done() != nil {
		e.forget = context.AfterFunc(ctx, e.leave)
	}
	return e
}

// leave notes the moment if the client has left, the first time.
func (e *Exchange) leave() {
	// A deadline is the service's own doing.
	if errors.Is(e.Err(), context.Canceled) {
		e.left.CompareAndSwap(0, max(int64(time.Since(epoch)-e.started), 1))
	}
}

// Route says which route the request matched: its pattern, in the syntax of dialect. The first one
// that is not empty holds, which is that of the innermost router.
func (e *Exchange) Route(dialect, pattern string) {
	if e != nil && pattern != "" {
		e.matched(NormalizeRoute(dialect, pattern))
	}
}

func (e *Exchange) matched(route string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.route == "" {
		e.route = route
	}
}

// known: a router has said the route.
func (e *Exchange) known() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.route != ""
}

func (e *Exchange) named(route string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.route = route
}

// answered says that the answer has begun, with this status.
func (e *Exchange) answered(status int) {
	if e.status.Load() == 0 && e.status.CompareAndSwap(0, int32(status)) {
		// The goroutine that watches may not have come to it yet.
		e.leave()
		e.begun.Store(e.left.Load() == 0)
	}
}

// head is answered for a status that is sent: what is only information comes before the answer.
func (e *Exchange) head(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		e.answered(status)
	}
}

// finish is End for what an [http.ResponseWriter] was told. A handler that says nothing is answered 200.
func (e *Exchange) finish(recovered any) {
	status := int(e.status.Load())
	if status == 0 {
		status = http.StatusOK
	}
	e.End(status, e.begun.Load(), recovered)
}

// End records the request, once. status is that of the answer; begun: its head was sent before the
// client left; recovered: what the handler panicked with, nil if it did not.
//
// A panic is 500, but for [http.ErrAbortHandler], by which a handler breaks off: that, like a client
// that left (ctx was cancelled), is 499 where the answer had not begun, else the answer's status.
func (e *Exchange) End(status int, begun bool, recovered any) {
	if e == nil {
		return
	}
	elapsed := time.Since(epoch) - e.started
	if e.forget != nil {
		e.forget()
		// A handler may hear of it, and be done, before the watch does.
		e.leave()
	}
	left := time.Duration(e.left.Load())
	if left > 0 {
		elapsed = left
	}
	switch {
	case recovered != nil && recovered != any(http.ErrAbortHandler):
		status = http.StatusInternalServerError
	case !begun && (left > 0 || recovered != nil):
		status = statusClientGone
	}
	e.mu.Lock()
	over, endpoint, route := e.over, e.endpoint, e.route
	request := Request{Method: e.source.Method, Status: status, Consumer: e.consumer, Context: e.context}
	e.over = true
	e.mu.Unlock()
	if over {
		return
	}
	switch {
	case endpoint != "":
		request.Endpoint = endpoint
	case route != "":
		request.Endpoint = route
	default:
		request.Endpoint = e.source.Path
	}
	coreRequest(&request, micros(elapsed), e.headers, e.source.Query, e.source.Peer)
}

// block appends the headers of these names, as the library wants them: name NUL value NUL, and so on.
func (s *Source) block(block []byte, names []string) []byte {
	add := func(name, value string) {
		// No server should let a NUL pass. Here it would begin another header.
		if strings.IndexByte(value, 0) < 0 {
			block = append(append(block, name...), 0)
			block = append(append(block, value...), 0)
		}
	}
	// The names are in canonical form already.
	header, plain := s.Header.(http.Header)
	for _, name := range names {
		switch {
		case name == "Host":
			add(name, s.Host)
		case plain:
			for _, value := range header[name] {
				add(name, value)
			}
		case s.Header != nil:
			for _, value := range s.Header.Values(name) {
				add(name, value)
			}
		}
	}
	return block
}

// headersRead are the names that the running client's rules read, in canonical form.
func headersRead() []string {
	var names []string
	add := func(list string) {
		for _, name := range strings.Split(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
	add(coreSetting("consumer_headers"))
	add(coreSetting("context_headers"))
	if coreSetting("use_ip_as_consumer") == "true" {
		add("X-Forwarded-For")
	}
	return names
}

// SetConsumer names the caller of the request that is answered under ctx, before headers and query do.
// "" takes it back. Where no request is followed, it does nothing, as its siblings.
func SetConsumer(ctx context.Context, consumer string) {
	if e := following(ctx); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.consumer = consumer
	}
}

// SetContext adds free text to the record of the request that is answered under ctx.
func SetContext(ctx context.Context, text string) {
	if e := following(ctx); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.context = text
	}
}

// SetEndpoint sets the endpoint of the request that is answered under ctx, in normal form, in place of
// its route's pattern.
func SetEndpoint(ctx context.Context, endpoint string) {
	if e := following(ctx); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.endpoint = endpoint
	}
}

// SetRoute says which route the request that is answered under ctx matched, as [Exchange.Route].
func SetRoute(ctx context.Context, dialect, pattern string) {
	following(ctx).Route(dialect, pattern)
}

package malti

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

const pullInterval = time.Second

// lines brings the library's log lines to a logger. The library keeps them until they are asked for: it
// never calls into Go.
var lines puller

type puller struct {
	mu     sync.Mutex
	logger *slog.Logger
	// pulls: the library was told to keep its lines, which holds for the rest of the process.
	pulls bool
	stop  chan struct{}
	ended chan struct{}
	said  map[string]bool
}

// begin takes the logger of a start; with one, a goroutine brings lines until end.
func (p *puller) begin(logger *slog.Logger) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if logger != nil {
		p.logger = logger
	}
	if p.logger == nil || p.stop != nil {
		return
	}
	if !p.pulls {
		p.pulls = true
		coreLogLine()
	}
	p.stop, p.ended = make(chan struct{}), make(chan struct{})
	go p.run(p.stop, p.ended)
}

func (p *puller) run(stop, ended chan struct{}) {
	defer close(ended)
	ticker := time.NewTicker(pullInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			p.pull()
		}
	}
}

// pull logs what waits. No lock is held while a handler of the application's runs.
func (p *puller) pull() {
	p.mu.Lock()
	logger, pulls := p.logger, p.pulls
	p.mu.Unlock()
	for pulls {
		level, line, ok := coreLogLine()
		if !ok {
			return
		}
		say(logger, level, line)
	}
}

// end brings the last lines and ends the goroutine.
func (p *puller) end() {
	p.mu.Lock()
	stop, ended := p.stop, p.ended
	p.stop, p.ended = nil, nil
	p.mu.Unlock()
	p.pull()
	if stop == nil {
		return
	}
	close(stop)
	select {
	case <-ended:
	case <-time.After(pullInterval):
		// It is in the application's handler, which may be what has called us.
	}
}

// once warns of something of this package's own.
func (p *puller) once(line string) {
	p.mu.Lock()
	if p.said == nil {
		p.said = map[string]bool{}
	}
	said, logger := p.said[line], p.logger
	p.said[line] = true
	p.mu.Unlock()
	if !said {
		say(logger, levelWarn, line)
	}
}

// The library's levels.
const (
	levelError = 1
	levelWarn  = 2
	levelInfo  = 3
	levelDebug = 4
)

var levels = map[int32]slog.Level{
	levelError: slog.LevelError,
	levelWarn:  slog.LevelWarn,
	levelInfo:  slog.LevelInfo,
	levelDebug: slog.LevelDebug,
}

func say(logger *slog.Logger, level int32, line string) {
	// A fault of the application's handler is not to end a request.
	defer func() { _ = recover() }()
	grade, ok := levels[level]
	if !ok {
		grade = slog.LevelInfo
	}
	if logger != nil {
		logger.Log(context.Background(), grade, line)
		return
	}
	words := map[slog.Level]string{slog.LevelError: "error", slog.LevelWarn: "warn", slog.LevelInfo: "info", slog.LevelDebug: "debug"}
	fmt.Fprintf(os.Stderr, "malti: %s: %s\n", words[grade], line)
}

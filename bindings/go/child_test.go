//go:build cgo

package malti_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
)

// again is this program once more, for one test.
func again(t *testing.T, test string, env ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+test)
	command.Env = append(os.Environ(), append(env, "MALTI_RECEIVER="+receiverProgram, "GORACE=atexit_sleep_ms=0")...)
	return command
}

const (
	// childRecords is how many records a child has when it ends.
	childRecords = 20
	// shortEnd is what a child gives its end where nothing can be delivered.
	shortEnd = 500 * time.Millisecond
)

// child is the main function of a process that records and ends in some way; its exit status.
func child(way string) int {
	if err := malti.Init(malti.Config{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 9
	}
	if way == "serve" {
		return serve()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if strings.HasPrefix(way, "unhandled") || way == "kill" {
		stop()
	}
	for i := range childRecords {
		if err := malti.Record(malti.Request{Method: "GET", Endpoint: "/child", Status: 200, Consumer: fmt.Sprint(i)}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 9
		}
	}
	if os.Getenv("MALTI_SPOOL_DIR") != "" {
		// The file stands shortly after the first record.
		for entries := 0; entries == 0; time.Sleep(time.Millisecond) {
			found, _ := os.ReadDir(os.Getenv("MALTI_SPOOL_DIR"))
			for _, entry := range found {
				if !strings.HasPrefix(entry.Name(), ".") {
					entries++
				}
			}
		}
	}
	defer malti.Shutdown(context.Background())
	fmt.Println("READY")
	switch way {
	case "return":
	case "panic":
		panic("a fault of the application's")
	case "panic elsewhere":
		go panic("a fault of the application's")
		select {}
	case "exit":
		os.Exit(3)
	case "kill", "unhandled SIGTERM", "unhandled SIGINT":
		select {}
	case "SIGTERM", "SIGINT":
		<-ctx.Done()
	}
	return 0
}

// serve is a service as the documentation writes it.
func serve() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond)
		fmt.Fprint(w, "ok")
	})
	server := &http.Server{Handler: malti.Middleware(mux)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	fmt.Println("READY", listener.Addr())
	go server.Serve(listener)
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if server.Shutdown(ending) != nil || malti.Shutdown(ending) != nil {
		return 1
	}
	return 0
}

// started is a child that has recorded, or serves at the address that comes with it.
func started(t *testing.T, way, url string, env ...string) (*exec.Cmd, string) {
	t.Helper()
	return announced(t, again(t, "none", append(env, "WAY="+way, "MALTI_URL="+url, "MALTI_API_KEY=key",
		"MALTI_LOG=off", "MALTI_BATCH_INTERVAL=600", "MALTI_BATCH_SIZE=10000")...))
}

// announced starts a program, and gives the last word of its first line.
func announced(t *testing.T, command *exec.Cmd) (*exec.Cmd, string) {
	t.Helper()
	var said lines
	command.Stderr = &said
	output, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		command.Wait()
		t.Fatalf("%v said nothing but %q: %v", command.Args, said.String(), command.ProcessState)
	}
	words := strings.Fields(line)
	return command, words[len(words)-1]
}

// Row 10 of the fault matrix: how a process ends, times what the server does. What it gives time for
// is delivered; what it does not is, with a durable buffer, delivered by the next process.
func TestEnds(t *testing.T) {
	ends := []struct {
		way       string
		signal    os.Signal
		status    int // -1: by the signal
		givesTime bool
	}{
		{"return", nil, 0, true},
		{"panic", nil, 2, true},
		{"SIGTERM", syscall.SIGTERM, 0, true},
		{"SIGINT", syscall.SIGINT, 0, true},
		{"panic elsewhere", nil, 2, false},
		{"exit", nil, 3, false},
		{"unhandled SIGTERM", syscall.SIGTERM, -1, false},
		{"unhandled SIGINT", syscall.SIGINT, -1, false},
		{"kill", syscall.SIGKILL, -1, false},
	}
	for _, end := range ends {
		for _, server := range []string{"up", "down", "hanging"} {
			t.Run(end.way+"/"+server, func(t *testing.T) {
				t.Parallel()
				var address string
				free := func() {}
				switch server {
				case "up":
					address = strings.TrimPrefix(receiver(t, "127.0.0.1:0"), "http://")
				case "down":
					address, free = refusing(t)
				case "hanging":
					address, free = hanging(t)
				}
				url, spool := "http://"+address, "MALTI_SPOOL_DIR="+t.TempDir()
				limit := patience
				if server != "up" {
					limit = shortEnd
				}
				command, _ := started(t, end.way, url, spool, fmt.Sprint("MALTI_SHUTDOWN_TIMEOUT=", limit.Seconds()))
				begun := time.Now()
				if end.signal != nil {
					check(t, command.Process.Signal(end.signal))
				}
				_ = command.Wait()
				if took := time.Since(begun); took > limit+10*time.Second {
					t.Errorf("it took %v", took)
				}
				if status := command.ProcessState.ExitCode(); status != end.status {
					t.Errorf("status %d: %v", status, command.ProcessState)
				}
				if server == "up" && end.givesTime {
					if got := rows(t, url, 0); len(got) != childRecords {
						t.Errorf("%d delivered at the end", len(got))
					}
				}
				free()
				if server != "up" {
					receiver(t, address)
				}
				next, _ := started(t, "return", url, spool, fmt.Sprint("MALTI_SHUTDOWN_TIMEOUT=", patience.Seconds()))
				check(t, next.Wait())
				times := map[string]int{}
				for _, r := range rows(t, url, 0) {
					times[r.Consumer]++
				}
				for i := range childRecords {
					if n := times[fmt.Sprint(i)]; n != 2 {
						t.Errorf("record %d came %d times, from two processes", i, n)
					}
				}
			})
		}
	}
}

// SIGTERM by the book loses nothing, not even what is under way.
func TestSIGTERMDeliversEverything(t *testing.T) {
	const requests = 50
	url := receiver(t, "127.0.0.1:0")
	command, address := started(t, "serve", url)
	answers := make(chan int, requests)
	for i := range requests {
		go func() {
			answer, err := http.Get(fmt.Sprintf("http://%s/users/%d", address, i))
			if err != nil {
				answers <- 0
				return
			}
			answer.Body.Close()
			answers <- answer.StatusCode
		}()
	}
	if status := <-answers; status != 200 {
		t.Fatal(status)
	}
	check(t, command.Process.Signal(syscall.SIGTERM))
	check(t, command.Wait())
	answered := 1
	for range requests - 1 {
		if <-answers == 200 {
			answered++
		}
	}
	if delivered := len(rows(t, url, 0)); delivered < answered {
		t.Errorf("%d answered, %d delivered", answered, delivered)
	}
}

func TestExampleOfAService(t *testing.T) {
	program := filepath.Join(t.TempDir(), "service")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./examples/nethttp").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	url := receiver(t, "127.0.0.1:0")
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), "ADDR=127.0.0.1:0", "MALTI_URL="+url, "MALTI_API_KEY=key", "MALTI_SERVICE_NAME=shop")
	_, address := announced(t, command)
	request, err := http.NewRequest("GET", "http://"+address+"/api/users/7", nil)
	check(t, err)
	request.SetBasicAuth("alice", "")
	answer, err := http.DefaultClient.Do(request)
	check(t, err)
	answer.Body.Close()
	ask(t, "GET", "http://"+address+"/health")
	check(t, command.Process.Signal(syscall.SIGTERM))
	check(t, command.Wait())
	same(t, rows(t, url, 0), "GET /api/users/{id} 200 alice", "GET /health 200 anonymous")
}

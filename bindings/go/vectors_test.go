//go:build cgo

package malti_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	malti "github.com/libmalti/malti-go"
)

func vectors(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "tests/vectors", name))
	check(t, err)
	check(t, json.Unmarshal(text, into))
}

// written runs work with a client that writes to a file, and gives its lines.
func written(t *testing.T, config malti.Config, work func()) []map[string]any {
	t.Helper()
	file := filepath.Join(t.TempDir(), "records")
	config.URL, config.ServiceName, config.Node, config.Log = "file:"+file, "vectors", "n1", "off"
	check(t, malti.Init(config))
	work()
	check(t, malti.Shutdown(within(t, patience)))
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var records []map[string]any
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		if len(line) > 0 {
			var r map[string]any
			check(t, json.Unmarshal(line, &r))
			records = append(records, r)
		}
	}
	return records
}

func TestRouteVectors(t *testing.T) {
	var cases []struct{ Dialect, Pattern, Expect string }
	vectors(t, "route.json", &cases)
	if len(cases) < 100 {
		t.Fatalf("%d cases", len(cases))
	}
	for range 2 { // the second time from what is kept
		for _, c := range cases {
			if got := malti.NormalizeRoute(c.Dialect, c.Pattern); got != c.Expect {
				t.Errorf("%s %q: expected %q, got %q", c.Dialect, c.Pattern, c.Expect, got)
			}
		}
	}
	if got := malti.NormalizeRoute("klingon", "/<x>"); got != "/<x>" {
		t.Error(got)
	}
	// More routes than are kept.
	for i := range 5000 {
		if got := malti.NormalizeRoute("chi", fmt.Sprintf("/made/up/%d/{id:[0-9]+}", i)); got != fmt.Sprintf("/made/up/%d/{id}", i) {
			t.Fatal(got)
		}
	}
}

// text is one of the vectors' forms: a string, bytes, a repetition, a list of these.
func text(t *testing.T, value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case []any:
		var all strings.Builder
		for _, part := range value {
			all.WriteString(text(t, part))
		}
		return all.String()
	case map[string]any:
		if pair, ok := value["repeat"].([]any); ok {
			return strings.Repeat(text(t, pair[0]), int(pair[1].(float64)))
		}
		if digits, ok := value["hex"].(string); ok {
			raw, err := hex.DecodeString(digits)
			check(t, err)
			return string(raw)
		}
	}
	t.Fatalf("a text of an unknown form: %v", value)
	return ""
}

// environment sets variables for the settings of a case, and takes them back.
func environment(given map[string]any) (unset func()) {
	var names []string
	for key, value := range given {
		if list, ok := value.([]any); ok {
			value = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(list)), ","), "[]")
		}
		name := "MALTI_" + strings.ToUpper(key)
		os.Setenv(name, fmt.Sprint(value))
		names = append(names, name)
	}
	return func() {
		for _, name := range names {
			os.Unsetenv(name)
		}
	}
}

func TestConsumerVectors(t *testing.T) {
	var cases []struct {
		Name          string
		Config        map[string]any
		State         any
		Headers       [][2]any
		Query         any
		Peer          string
		Expect        *string
		ExpectContext json.RawMessage `json:"expect_context"`
	}
	vectors(t, "consumer.json", &cases)
	if len(cases) < 60 {
		t.Fatalf("%d cases", len(cases))
	}
	// What a record can't hold is cleaned away on its further way, which record.json is about.
	cleaned := func(text string) string {
		text = strings.NewReplacer("<", "(", "[", "(", ">", ")", "]", ")").Replace(text)
		runes := []rune(text)
		return string(runes[:min(len(runes), 500)])
	}
	for _, c := range cases {
		unset := environment(c.Config)
		records := written(t, malti.Config{}, func() {
			header := http.Header{}
			for _, pair := range c.Headers {
				header.Add(text(t, pair[0]), text(t, pair[1]))
			}
			e := malti.Begin(t.Context(), malti.Source{
				Method: "GET", Path: "/", Query: text(t, c.Query), Peer: c.Peer, Header: header,
			})
			malti.SetConsumer(e, text(t, c.State))
			e.End(200, true, nil)
		})
		unset()
		if len(records) != 1 {
			t.Fatalf("%s: %v", c.Name, records)
		}
		if c.Expect != nil && records[0]["consumer"] != cleaned(*c.Expect) {
			t.Errorf("%s: expected %q, got %q", c.Name, cleaned(*c.Expect), records[0]["consumer"])
		}
		if c.ExpectContext != nil {
			var wanted any
			check(t, json.Unmarshal(c.ExpectContext, &wanted))
			if s, ok := wanted.(string); ok {
				wanted = cleaned(s)
			}
			if records[0]["context"] != wanted {
				t.Errorf("%s: expected the context %v, got %v", c.Name, wanted, records[0]["context"])
			}
		}
	}
}

func TestRecordVectors(t *testing.T) {
	var file struct {
		Cases []struct {
			Name         string
			In           map[string]any
			Expect       map[string]any
			ExpectStatus string `json:"expect_status"`
		}
	}
	vectors(t, "record.json", &file)
	number := func(value any) float64 {
		if digits, ok := value.(string); ok {
			n, err := strconv.ParseFloat(digits, 64)
			check(t, err)
			return n
		}
		n, _ := value.(float64)
		return n
	}
	var kept []int
	var leftOut int
	records := written(t, malti.Config{}, func() {
		// Records of one thread stay in their order.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for i, c := range file.Cases {
			micros := number(c.In["response_time_us"])
			// Beyond what a float64 tells apart from its neighbours.
			created, _ := strconv.ParseInt(fmt.Sprint(c.In["created_at_unix_us"]), 10, 64)
			if n, ok := c.In["created_at_unix_us"].(float64); ok {
				created = int64(n)
			}
			request := malti.Request{
				Method: text(t, c.In["method"]), Endpoint: text(t, c.In["endpoint"]), Status: int(number(c.In["status"])),
				Duration: time.Duration(min(micros*1000, math.MaxInt64/2)),
				Consumer: text(t, c.In["consumer"]), Context: text(t, c.In["context"]),
			}
			if created != 0 {
				request.Time = time.UnixMicro(created)
			}
			before := malti.Stats()
			err := malti.Record(request)
			after := malti.Stats()
			switch c.ExpectStatus {
			case "":
				kept = append(kept, i)
				if err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
			case "INVALID_ARGUMENT":
				wants(t, err, malti.ErrInvalidArgument)
				leftOut++
				if after.Invalid != before.Invalid+1 {
					t.Errorf("%s: not counted", c.Name)
				}
			case "IGNORED":
				check(t, err)
				leftOut++
				if after.Filtered != before.Filtered+1 {
					t.Errorf("%s: not left out", c.Name)
				}
			default:
				t.Fatalf("%s: what is %s?", c.Name, c.ExpectStatus)
			}
		}
	})
	if len(kept) < 70 || leftOut < 5 || len(records) != len(kept) {
		t.Fatalf("%d records of %d cases, %d left out", len(records), len(kept), leftOut)
	}
	for i, k := range kept {
		c, got := file.Cases[k], records[i]
		delete(got, "service")
		delete(got, "node")
		if c.Expect["created_at"] == nil {
			delete(got, "created_at")
		}
		for key, value := range c.Expect {
			if _, isNumber := value.(float64); !isNumber {
				value = text(t, value)
			}
			if got[key] != value {
				t.Errorf("%s: %s: expected %v, got %v", c.Name, key, value, got[key])
			}
			delete(got, key)
		}
		if len(got) > 0 {
			t.Errorf("%s: besides there is %v", c.Name, got)
		}
	}
}

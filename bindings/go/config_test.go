package malti

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every setting that the README tells of has its field, and none has two.
func TestConfigHasEverySetting(t *testing.T) {
	var config Config
	value := reflect.ValueOf(&config).Elem()
	fields := 0
	for i := range value.NumField() {
		field := value.Field(i)
		switch field.Interface().(type) {
		case string:
			field.SetString("x")
		case []string:
			field.Set(reflect.ValueOf([]string{"a", "b"}))
		case int, int64, time.Duration:
			field.SetInt(1)
		case *bool, *int, *time.Duration:
			field.Set(reflect.New(field.Type().Elem()))
		default: // the logger
			continue
		}
		fields++
	}
	var keys []string
	for _, s := range config.settings() {
		if s.value == "" {
			t.Errorf("%s is empty", s.key)
		}
		keys = append(keys, s.key)
	}
	if fields+1 != len(keys) {
		t.Errorf("%d fields, %d settings", fields, len(keys))
	}
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, name := range regexp.MustCompile("(?m)^\\| `MALTI_(\\w+)` \\|").FindAllSubmatch(page, -1) {
		told = append(told, strings.ToLower(string(name[1])))
	}
	slices.Sort(keys)
	slices.Sort(told)
	if len(told) < 30 || !slices.Equal(keys, told) {
		t.Errorf("settings\n%v, told are\n%v", keys, told)
	}
	if zero := (&Config{}).settings(); len(zero) != 1 {
		t.Errorf("the zero Config sets %v", zero)
	}
}

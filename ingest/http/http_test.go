package http_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/ingest/http"

	"github.com/google/go-cmp/cmp"
)

func reader(t testing.TB) *http.Reader {
	t.Helper()
	def, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	return http.NewReader(def, "laundry", func(m drumbeat.MachineID) bool { return strings.HasPrefix(string(m), "W-") })
}

// atOnce lets every item arrive as it is measured, until the year 2100.
func atOnce(event drumbeat.Time) (drumbeat.Time, string) {
	if event > drumbeat.At(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)) {
		return 0, "timestamp: too far ahead"
	}
	return event, ""
}

func reading(machine string, minute int) string {
	return fmt.Sprintf(`{"machine_id":"%s","timestamp":"2026-03-02T00:%02d:00Z","power_kw":%d.5}`, machine, minute, minute)
}

func packed(t *testing.T, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestEveryShapeOfABatchBecomesARecordAMachine(t *testing.T) {
	a, b, c := reading("W-1", 1), reading("W-2", 1), reading("W-1", 2)
	both := []string{"W-1 [" + a + "," + c + "]", "W-2 " + b}
	for name, test := range map[string]struct {
		in   http.Request
		want []string
	}{
		"one object":      {http.Request{Body: []byte("\n " + a + "\n")}, []string{"W-1 " + a}},
		"an array":        {http.Request{Body: []byte("[\n" + a + ",\n" + b + ",\n" + c + "\n]")}, both},
		"a line each":     {http.Request{Body: []byte(a + "\r\n\n" + b + "\n" + c), Lines: true}, both},
		"arrays in lines": {http.Request{Body: []byte("[" + a + "," + b + "]\n[" + c + "]"), Lines: true}, both},
		"packed":          {http.Request{Body: packed(t, []byte("["+a+","+b+","+c+"]")), Gzip: true}, both},
	} {
		test.in.Type, test.in.Arrival = fleet.TypeReading, atOnce
		records, items, err := reader(t).Read(&test.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for i := range records {
			got = append(got, records[i].Key+" "+string(records[i].Value))
		}
		if diff := cmp.Diff(test.want, got); diff != "" || items != strings.Count(strings.Join(got, ""), "timestamp") {
			t.Errorf("%s: %d items (-want +got):\n%s", name, items, diff)
		}
	}
}

func TestEveryFaultIsToldWithItsLine(t *testing.T) {
	good := reading("W-1", 1)
	for name, test := range map[string]struct {
		in   http.Request
		want []string // "line: part of the message"
	}{
		"lines": {
			http.Request{Lines: true, Body: []byte(good + "\n{\"machine_id\":\"W-1\"\n" + reading("X-9", 1) + "\n" + good + "\n\xff\n")},
			[]string{"2: not JSON", `3: machine_id: "X-9" was not declared`, "5: not UTF-8"},
		},
		"an array": {
			http.Request{Body: []byte("[\n" + good + ",\n{\"machine_id\":\"W-1\",\"timestamp\":\"soon\"},\n\n" + reading("X-9", 1) + "\n]")},
			[]string{"3: timestamp", "5: machine_id"},
		},
		"an array that breaks off": {http.Request{Body: []byte("[\n" + good + ",\n{\"mach")}, []string{"3: not JSON"}},
		"nothing":                  {http.Request{Body: []byte(" \n")}, []string{"1: the body holds nothing"}},
		"lines said to be one document": {
			http.Request{Body: []byte("[" + good + "]\n[" + good + "]")}, []string{"1: something follows"},
		},
		"NaN in a number": {http.Request{Body: []byte(`{"machine_id":"W-1","timestamp":"2026-03-02T00:00:00Z","power_kw":NaN}`)}, []string{"1: not JSON"}},
		"the year 10000":  {http.Request{Body: []byte(`{"machine_id":"W-1","timestamp":"10000-03-02T00:00:00Z"}`)}, []string{"1: timestamp"}},
		"the year 9999":   {http.Request{Body: []byte(`{"machine_id":"W-1","timestamp":"9999-03-02T00:00:00Z"}`)}, []string{"1: timestamp: too far"}},
		"a wrong type":    {http.Request{Body: []byte(`{"machine_id":"W-1","timestamp":"2026-03-02T00:00:00Z","power_kw":"high"}`)}, []string{"1: power_kw"}},
	} {
		test.in.Type, test.in.Arrival = fleet.TypeReading, atOnce
		_, _, err := reader(t).Read(&test.in)
		faults, ok := errors.AsType[*http.Faults](err)
		if !ok || !errors.Is(err, drumbeat.ErrInvalid) || faults.Total != len(test.want) {
			t.Errorf("%s: got %v, want %d faults", name, err, len(test.want))
			continue
		}
		for i, want := range test.want {
			line, part, _ := strings.Cut(want, ": ")
			if got := faults.Told[i]; strconv.Itoa(got.Line) != line || !strings.Contains(got.Message, part) {
				t.Errorf("%s: got %+v, want %s", name, got, want)
			}
		}
	}
}

func TestABatchHasLimits(t *testing.T) {
	bomb := packed(t, bytes.Repeat([]byte(" "), 64<<20))
	if len(bomb) > 1<<20 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for name, in := range map[string]http.Request{
		"a gzip bomb":   {Body: bomb, Gzip: true},
		"a large body":  {Body: make([]byte, http.MaxBody+1)},
		"no gzip":       {Body: []byte("{}"), Gzip: true},
		"damaged gzip":  {Body: bomb[:len(bomb)/2], Gzip: true},
		"too many":      {Body: []byte(strings.Repeat(`{"machine_id":"W-1","timestamp":0}`+"\n", http.MaxItems+2)), Lines: true},
		"many faults":   {Body: []byte(strings.Repeat("{}\n", 1000)), Lines: true},
		"one huge item": {Body: []byte(`{"machine_id":"W-1","timestamp":0,"x":"` + strings.Repeat("x", 2<<20) + `"}`)},
	} {
		in.Type, in.Arrival = fleet.TypeReading, atOnce
		_, _, err := reader(t).Read(&in)
		if !errors.Is(err, drumbeat.ErrInvalid) && !errors.Is(err, drumbeat.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
		if faults, ok := errors.AsType[*http.Faults](err); ok && len(faults.Told) > http.MaxFaults {
			t.Errorf("%s: %d faults are told", name, len(faults.Told))
		}
	}
}

// FuzzRead holds any body to this: it is refused with a reason, or each of its
// records decodes to items of the one machine that is its key.
func FuzzRead(f *testing.F) {
	f.Add([]byte(reading("W-1", 1)+"\n"+reading("W-2", 2)), true)
	f.Add([]byte("["+reading("W-1", 1)+",\n"+reading("W-2", 2)+"]"), false)
	f.Add([]byte("[[]]"), false)
	f.Add([]byte("[1,"), true)
	def, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, lines bool) {
		records, items, err := reader(t).Read(&http.Request{Type: fleet.TypeReading, Body: body, Lines: lines, Arrival: atOnce})
		if err != nil {
			return
		}
		decoded := 0
		for i := range records {
			got, err := fleet.NewDecoder(def).Decode(fleet.Form{Type: records[i].Type}, records[i].Value, nil)
			if err != nil {
				t.Fatalf("record %q: %v", records[i].Value, err)
			}
			for j := range got {
				if string(got[j].Machine) != records[i].Key {
					t.Fatalf("record of %s holds an item of %s", records[i].Key, got[j].Machine)
				}
			}
			decoded += len(got)
		}
		if decoded != items {
			t.Fatalf("%d items were read, %d decoded", items, decoded)
		}
	})
}

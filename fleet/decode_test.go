package fleet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"drumbeat"
	"drumbeat/fleet"
)

const mill = `
fleet: mill
cadence: 15m
sensors:
  - {name: temp, field: t, min: 0, max: 100, decimals: 2}
  - {name: vib, min: 0, max: 500, decimals: 3, out_of_range: null}
  - {name: load, min: -10, max: 10, decimals: 0, out_of_range: reject}
  - {name: heat, min: -300, max: 300, decimals: 1, factor: 0.5, offset: -17.75}
static: [{name: hall, type: category, values: [a, b]}, {name: built, type: number}]
logs:
  failure: {time: when, type: mode, detail: note, types: [die, ram]}
  maintenance: {type: kind, id: ticket}
`

func newMill(t testing.TB) *fleet.Fleet {
	t.Helper()
	f, err := load(t, mill)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const miss = drumbeat.Missing

func reading(machine drumbeat.MachineID, at string, values ...int64) drumbeat.Item {
	return drumbeat.Item{Machine: machine, EventTime: day(at), Values: values, Flags: make([]drumbeat.Flag, len(values))}
}

func TestReadings(t *testing.T) {
	const noon = "2026-01-31T12:00:00Z"
	full := reading("W-1", noon, 6125, 12500, -3, 325)
	nan := reading("W-1", noon, miss, miss, miss, miss)
	nan.Flags = []drumbeat.Flag{drumbeat.FlagNulled, drumbeat.FlagNulled, 0, 0}
	one := reading("W-1", noon, miss, 12500, miss, miss)
	cases := map[string]struct {
		payload string
		want    []drumbeat.Item
	}{
		"all sensors": {
			`{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z","t":61.25,"vib":12.5,"load":-3,"heat":100.5}`,
			[]drumbeat.Item{full},
		},
		"keys in any order, with space and unknown ones": {
			" { \"vib\" : 12.5,\n\"note\":[{\"deep\":null}], \"t\":6125e-2, \"heat\":1005e-1,\"load\":-3.0," +
				`"timestamp":"2026-01-31 12:00:00","machine_id":"W-1"} `,
			[]drumbeat.Item{full},
		},
		"an offset, an escape and a fraction of a second": {
			`{"machine\u005fid":"W\u002d1","timestamp":"2026-01-31t13:00:00.0000009+01:00","t":61.25,"vib":12.5,"load":-3,"heat":100.5}`,
			[]drumbeat.Item{full},
		},
		"a number for the machine and milliseconds": {
			`{"machine_id":17,"timestamp":1769860800000,"load":1}`,
			[]drumbeat.Item{reading("17", noon, miss, miss, 1, miss)},
		},
		"texts that stand for no value": {
			`{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z","t":"NaN","vib":"-Infinity","load":"","heat":null}`,
			[]drumbeat.Item{nan},
		},
		"one sensor's value": {
			`{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z","sensor":"vib","value":12.5}`, []drumbeat.Item{one},
		},
		"one sensor's value, the value first": {
			`{"value":12.5,"sensor":"vib","machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z"}`, []drumbeat.Item{one},
		},
		"an array": {
			`[{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z","vib":12.5},` +
				`{"machine_id":"W-2","timestamp":"2026-01-31T12:00:00Z","load":2}]`,
			[]drumbeat.Item{one, reading("W-2", noon, miss, miss, 2, miss)},
		},
		"the same value twice": {
			`{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z","vib":12.5,"vib":12.50}`, []drumbeat.Item{one},
		},
		"half goes to even, on the exact text": {
			`{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z","t":0.125,"vib":0.00250000000000000000000000001,"load":2.5}`,
			[]drumbeat.Item{reading("W-1", noon, 12, 3, 2, miss)},
		},
		"what no integer holds is out of every range": {
			`{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z","t":1e999999999999,"vib":-1e30,"load":1e-999999999999}`,
			[]drumbeat.Item{reading("W-1", noon, 1<<63-1, -1<<63+1, 0, miss)},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { decodes(t, c.payload, c.want) })
	}
}

// decodes holds the payload to its items, and each item's own text to it:
// refine decodes what bronze keeps.
func decodes(t *testing.T, payload string, want []drumbeat.Item) {
	t.Helper()
	d := fleet.NewDecoder(newMill(t))
	got, err := d.Decode(fleet.Form{}, []byte(payload), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(drumbeat.Item{}, "Raw")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range got {
		again, err := d.Decode(fleet.Form{Type: "reading"}, got[i].Raw, nil)
		if err != nil || len(again) != 1 {
			t.Fatalf("raw %s: %d items, %v", got[i].Raw, len(again), err)
		}
		if diff := cmp.Diff(got[i], again[0]); diff != "" {
			t.Errorf("raw (-want +got):\n%s", diff)
		}
	}
}

func TestUndecodableRecordsSayWhy(t *testing.T) {
	const head = `{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z",`
	cases := []struct{ typ, payload, want string }{
		{"", ``, `not JSON: unexpected end of JSON input at byte 0`},
		{"", `{"machine_id":"W-1"`, `not JSON: unexpected end of JSON input at byte 19`},
		{"", head + `"t":1} x`, `not JSON: invalid character 'x' after top-level value at byte 63`},
		{"", head + "\"t\":\"\xff\"}", `not UTF-8 text`},
		{"", `17`, `must be an object such as {"machine_id":…} (got 17)`},
		{"", `null`, `must be an object such as {"machine_id":…} (got null)`},
		{"", `[]`, `an array without readings`},
		{"", `[` + head + `"t":1},3]`, `[1]: must be an object such as {"machine_id":…} (got 3)`},
		{"", `{"timestamp":"2026-01-31T12:00:00Z"}`, `machine_id: missing`},
		{"", `{"machine_id":"","timestamp":0}`, `machine_id: must not be empty`},
		{"", `{"machine_id":1.5,"timestamp":0}`, `machine_id: must be text or a whole number (got 1.5)`},
		{"", `{"machine_id":"a\u0000b","timestamp":0}`, `machine_id: must not hold control characters (got "a\x00b")`},
		{"", `{"machine_id":"` + strings.Repeat("x", 257) + `","timestamp":0}`, `machine_id: a text of 257 bytes: at most 256 are read`},
		{"", `{"machine_id":"W-1","t":1}`, `timestamp: missing`},
		{"", `{"machine_id":"W-1","timestamp":"2026-02-30T12:00:00Z"}`, `timestamp: must be a time such as 2026-01-31T06:00:00Z, ` +
			`2026-01-31 06:00:00 or milliseconds since 1970 (got "2026-02-30T12:00:00Z")`},
		{"", `{"machine_id":"W-1","timestamp":1e12}`, `timestamp: must be a time such as 2026-01-31T06:00:00Z, ` +
			`2026-01-31 06:00:00 or milliseconds since 1970 (got 1e12)`},
		{"", head + `"t":"hot"}`, `t: must be a number or null (got "hot")`},
		{"", head + `"t":true}`, `t: must be a number or null (got true)`},
		{"", head + `"t":1,"t":2}`, `t: two different values in one reading`},
		{"", head + `"machine_id":"W-2","t":1}`, `machine_id: stands there twice, as "W-1" and as "W-2"`},
		{"", head + `"sensor":"vip","value":1}`, `sensor: "vip" is not declared; did you mean "vib"?`},
		{"", head + `"sensor":"vib"}`, `value: missing beside sensor "vib"`},
		{"", head + `"sensor":"vib","value":1,"vib":2}`, `vib: two different values in one reading`},
		{"failures", `{}`, `type "failures" is no log of this fleet; did you mean "failure"?`},
		{"failure", `{"machine_id":"W-1","mode":"die"}`, `when: missing`},
		{"failure", `{"machine_id":"W-1","when":0,"mode":"dye"}`, `mode: "dye" is not declared; did you mean "die"?`},
		{"failure", `{"machine_id":"W-1","when":0,"mode":["die"]}`, `mode: must be text (got ["die"])`},
		{"failure", `{"machine_id":"W-1","when":0,"mode":"die","revision":-1}`, `revision: must be a whole number from 0 (got -1)`},
		{"failure", `{"machine_id":"W-1","when":0,"mode":"die","withdrawn":1}`, `withdrawn: must be true or false (got 1)`},
		{"machine", `{"machine_id":"W-1","built":"new"}`, `built: must be a number or null (got "new")`},
		{"watermark", `{"log":"fail","complete_to":0}`, `log: "fail" is no log of this fleet; known: failure, maintenance`},
		{"watermark", `{"log":"failure"}`, `complete_to: missing`},
		{"", strings.Repeat(" ", fleet.MaxRecord+1), `a record of 1048577 bytes: at most 1048576 are read`},
		{"", "[" + strings.Repeat(`{"machine_id":1,"timestamp":0},`, 10_000) + `{"machine_id":1,"timestamp":0}]`, `an array of 10001 readings: at most 10000 are read`},
	}
	for _, c := range cases {
		d := fleet.NewDecoder(newMill(t))
		dst := []drumbeat.Item{{Machine: "before"}}
		got, err := d.Decode(fleet.Form{Type: c.typ}, []byte(c.payload), dst)
		if len(got) != 1 || got[0].Machine != "before" {
			t.Errorf("%.60s: what was decoded before has changed: %d items", c.payload, len(got))
		}
		var undecodable *fleet.Undecodable
		if !errors.As(err, &undecodable) || !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%.60s: got the error %v, want one of type Undecodable", c.payload, err)
			continue
		}
		if diff := cmp.Diff(c.want, undecodable.Reason); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", c.payload, diff)
		}
	}
}

func TestLogEntriesMachinesAndWatermarks(t *testing.T) {
	at := day("2026-01-31T12:00:00Z")
	entry := func(e drumbeat.Entry) drumbeat.Item {
		return drumbeat.Item{Kind: drumbeat.KindEntry, Machine: "W-1", EventTime: at, Entry: e}
	}
	cases := []struct {
		typ, payload string
		want         drumbeat.Item
	}{
		{
			"failure", `{"machine_id":"W-1","when":"2026-01-31T12:00:00Z","mode":"die","note":"loud","id":77}`,
			entry(drumbeat.Entry{Log: "failure", ID: "77", Type: "die", Detail: "loud"}),
		},
		{
			"failure", `{"machine_id":"W-1","when":"2026-01-31T12:00:00Z","mode":"ram"}`,
			entry(drumbeat.Entry{Log: "failure", ID: fleet.EntryID("failure", "W-1", at, "ram"), Type: "ram"}),
		},
		{
			"maintenance", `{"machine_id":"W-1","timestamp":"2026-01-31T12:00:00Z","ticket":"T9","kind":null,"revision":2,"withdrawn":true}`,
			entry(drumbeat.Entry{Log: "maintenance", ID: "T9", Revision: 2, Withdrawn: true}),
		},
		{
			"machine", `{"machine_id":"W-1","hall":"c","built":2019.0}`,
			drumbeat.Item{Kind: drumbeat.KindMachine, Machine: "W-1", EventTime: drumbeat.NoTime, Static: []string{"c", "2019"}},
		},
		{
			"watermark", `{"log":"failure","complete_to":"2026-01-31T12:00:00Z"}`,
			drumbeat.Item{
				Kind: drumbeat.KindWatermark, EventTime: at,
				Watermark: drumbeat.Watermark{Log: "failure", CompleteTo: at},
			},
		},
	}
	for _, c := range cases {
		got, err := fleet.NewDecoder(newMill(t)).Decode(fleet.Form{Type: c.typ}, []byte(c.payload), nil)
		if err != nil {
			t.Errorf("%s: %v", c.payload, err)
			continue
		}
		c.want.Raw = []byte(c.payload)
		if diff := cmp.Diff([]drumbeat.Item{c.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.payload, diff)
		}
		if typ := fleet.TypeOf(&got[0]); typ != c.typ {
			t.Errorf("%s: got the type %s", c.payload, typ)
		}
	}
	if a, b := fleet.EntryID("failure", "W-1", at, "ram"), fleet.EntryID("failure", "W-1r", at, "am"); a == b {
		t.Error("entries of two machines share an id")
	}
}

// ordinary is what the machines of the laundry send.
const ordinary = `{"machine_id":"W-001","timestamp":"2026-01-01T00:00:00.000Z","t":61.25,"vib":12.537,"load":4,"heat":12.4}`

func TestWhatMachinesSendIsScannedFast(t *testing.T) {
	d := fleet.NewDecoder(newMill(t))
	for _, payload := range []string{ordinary, "[" + ordinary + ", " + ordinary + "]"} {
		if !d.Scanned([]byte(payload)) {
			t.Errorf("%s needs the strict way", payload)
		}
	}
}

func FuzzDecodeTwoWays(f *testing.F) {
	for _, seed := range []string{
		ordinary, "[" + ordinary + "]", "[]", "[" + ordinary + "," + ordinary + "]",
		`{"machine_id":17,"timestamp":1769860800000,"sensor":"vib","value":-0.0005}`,
		`{"machine_id":"é","timestamp":"2024-02-29 23:59:59.123456789","t":"NaN","vib":null,"x":true,"load":1E+2}`,
		`{"machine_id":"a","timestamp":"0001-01-01T00:00:00Z","t":1e-400,"t":0,"heat":123456789012345678901234567890.5}`,
		`{"machine_id":"a","timestamp":"9999-12-31T23:59:59.9999999999Z","t":0.005,"vib":"Inf","load":-0,"heat":-.5}`,
	} {
		f.Add([]byte(seed))
	}
	mill := newMill(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		fast, fastErr := fleet.NewDecoder(mill).Decode(fleet.Form{}, payload, nil)
		slow, slowErr := fleet.NewDecoder(mill).Strictly(payload, nil)
		if fmt.Sprint(fastErr) != fmt.Sprint(slowErr) && len(payload) <= fleet.MaxRecord {
			t.Fatalf("the fast way says %v, the strict way %v", fastErr, slowErr)
		}
		if diff := cmp.Diff(slow, fast, cmpopts.IgnoreFields(drumbeat.Item{}, "Raw")); diff != "" {
			t.Fatalf("(-strict +fast):\n%s", diff)
		}
		for _, typ := range []string{"failure", "maintenance", "machine", "watermark"} {
			_, _ = fleet.NewDecoder(mill).Decode(fleet.Form{Type: typ}, payload, nil) // must not panic
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	f, err := fleet.Load(laundry(b), "laundry")
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(`{"machine_id":"W-001","timestamp":"2026-01-01T00:00:00.000Z","temperature_c":61.25,` +
		`"vibration_hz":12.537,"pressure_bar":3.118,"power_kw":14.02,"runtime_hours":10422.75,"error_code_count":0}`)
	d := fleet.NewDecoder(f)
	var items []drumbeat.Item
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if items, err = d.Decode(fleet.Form{}, payload, items[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

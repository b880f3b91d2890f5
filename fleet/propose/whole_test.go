package propose_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleet/propose"
)

func TestRowsOfAfterNowCountForNothing(t *testing.T) {
	w := newWorld()
	now := w.start.AddDate(0, 0, 70)
	folder := w.files()
	p, err := propose.FromFolder(t.Context(), folder, propose.Options{Folder: "plant 7", Now: timeOf(now)})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("telemetry.csv: has %d rows of after now", 8*(50*4-1)); !strings.Contains(said(p), want) {
		t.Errorf("nothing says %q:\n%s", want, said(p))
	}
	if got := load(t, p).FailureLog.To; got > timeOf(now) {
		t.Errorf("the failure log is taken as complete to %s, which is still to come", got)
	}
	if p.Readiness.Days != 70 {
		t.Errorf("got %.1f days of history, want 70", p.Readiness.Days)
	}
}

func TestATableWithARowForEachSensorIsRefusedWithWhatToDo(t *testing.T) {
	w := newWorld()
	var b strings.Builder
	b.WriteString("machine_id,timestamp,sensor_name,reading\n")
	for at := w.start; at.Before(w.start.AddDate(0, 0, 30)); at = at.Add(time.Hour) {
		for m := range 3 {
			for _, sensor := range []string{"pressure", "temperature", "power"} {
				fmt.Fprintf(&b, "%s,%s,%s,%.2f\n", w.id(m), at.Format(time.RFC3339), sensor, w.random.Float64())
			}
		}
	}
	folder := fstest.MapFS{"telemetry.csv": {Data: []byte(b.String())}}
	_, err := propose.FromFolder(t.Context(), folder, propose.Options{})
	if !errors.Is(err, drumbeat.ErrInvalid) || !strings.Contains(err.Error(), "its column sensor_name") {
		t.Errorf("got %v, want the column that says which sensor", err)
	}
}

func TestTheReadinessCountsWhatASplitWouldSee(t *testing.T) {
	// By the definition of the parts (L4), counted another way: each failure is
	// asked which rows before it would have it in their labels.
	w := newWorld()
	p := proposal(t, w.files())
	const day = 24 * time.Hour
	horizon, history := 7*day, 7*day // the world lasts 120 days
	first := w.start.Add(history)
	last := w.start.Add(120*day - w.cadence - horizon)
	free := last.Sub(first) - 2*horizon
	ends := []time.Duration{free * 60 / 100, free * 78 / 100, free}
	want := [3]int{}
	for _, times := range w.fails {
		for _, f := range times {
			begin := time.Duration(0)
			for part, end := range ends {
				gap := time.Duration(part) * horizon
				seen := false
				for row := first.Add(begin + gap); !row.After(first.Add(end + gap)); row = row.Add(time.Hour) {
					seen = seen || f.After(row) && !f.After(row.Add(horizon))
				}
				if seen {
					want[part]++
				}
				begin = end
			}
		}
	}
	r := p.Readiness
	if got := [3]int{r.TrainFailures, r.ValidationFailures, r.TestFailures}; got != want {
		t.Errorf("got %v failures in training, validation and test, want %v", got, want)
	}
	if r.Verdict != propose.NotYet || r.MoreDays < 1 || r.MoreDays > 60 {
		t.Errorf("got %q and %.0f more days: %s", r.Verdict, r.MoreDays, r.Sentence)
	}
	// The days that it asks for are about enough.
	w = newWorld()
	w.days += int(r.MoreDays) + 5
	for m := range w.machines {
		w.fails[w.id(m)] = nil
		for day := 5 + m; day < w.days; day += 12 {
			w.fails[w.id(m)] = append(w.fails[w.id(m)], w.start.AddDate(0, 0, day).Add(5*time.Hour))
		}
	}
	if r := proposal(t, w.files()).Readiness; r.Verdict != propose.Ready {
		t.Errorf("after the days that it asked for: %s", r.Sentence)
	}
}

func TestUnitsAreSaidOnlyWhereTheNameIsSure(t *testing.T) {
	for name, want := range map[string]string{
		"temperature_c": "°C", "TempC": "°C", "Air temperature [K]": "K", "Torque (Nm)": "Nm", "power_kw": "kW", "pressure_bar": "bar",
		"vibration_mm_s": "mm/s", "runtime_hours": "h", "voltage_v": "V", "load_pct": "%", "speed_rpm": "rpm",
		"volt": "", "pressure": "", "column_c": "", "valve_a": "", "grade_b": "", "x": "", "": "",
	} {
		if got := propose.UnitOf(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func FuzzAProposalLoads(f *testing.F) {
	w := newWorld()
	w.machines, w.days, w.cadence = 2, 3, time.Hour
	w.fails = map[string][]time.Time{"M-01": {w.start.Add(30 * time.Hour)}}
	f.Add(w.telemetry(), w.failures())
	f.Add("id,date,Wert: 5\n1,01.02.2024,\"3,5\"\n1,02.02.2024,1\n", "id;when;type\n1;2024-02-01;null\n")
	f.Add("machine,time,e,f\na,1700000000,1e300,-1e-300\na,1700000600,0,5e-324\na,1700001200,3,2\n", "machine,time,true\na,1700000000,~\n")
	f.Add("machine,time,a#b: {c}\nm,2024-01-01T00:00:00Z,1\nm,2024-01-01T01:00:00Z,2\n", "machine,model\nm,\"a\n# b\"\n")
	f.Fuzz(func(t *testing.T, telemetry, other string) {
		const most = 4000
		if len(telemetry)+len(other) > most {
			return
		}
		folder := fstest.MapFS{"telemetry.csv": {Data: []byte(telemetry)}, "other.csv": {Data: []byte(other)}}
		p, err := propose.FromFolder(context.Background(), folder, propose.Options{Folder: "x", Fits: fits})
		if err != nil {
			if strings.Contains(err.Error(), "load the proposed") {
				t.Errorf("%q and %q: %v", telemetry, other, err)
			}
			return
		}
		loaded, err := fleet.Load(p.FS(), ".")
		if err != nil || len(loaded.Sensors) != len(p.Sensors) {
			t.Errorf("%q and %q: %v", telemetry, other, err)
		}
	})
}

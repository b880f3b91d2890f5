package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/web"
)

// monitoring are the pages of the monitoring loop.
var monitoring = []string{"/health", "/quality", "/models", "/models/4", "/models/4/promote", "/models/rollback", "/models/retrain"}

// line is what the page's script reads of a line.
type line struct {
	Name   string     `json:"name"`
	Times  []int64    `json:"times"`
	Values []*float64 `json:"values"`
	High   []*float64 `json:"high"`
	Since  int64      `json:"since"`
}

// plots reads the lines that a page carries.
func plots(t *testing.T, body string) []line {
	t.Helper()
	found := regexp.MustCompile(`data-plots="([^"]*)"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatal("the page carries no lines")
	}
	var list []line
	if err := json.Unmarshal([]byte(html.UnescapeString(found[1])), &list); err != nil {
		t.Fatalf("lines: %v", err)
	}
	return list
}

func TestARecallNeverStandsAlone(t *testing.T) {
	h := newHouse(t)
	for path, times := range map[string]int{"/models": 3, "/models/3": 1, "/health": 1} {
		_, body := h.get(t, access.Viewer, "/fleets/laundry"+path)
		for _, beside := range []string{"<dt>Failures foretold</dt><dd><span", "<dt>Alerts that were right</dt>", "<dt>False alarms</dt>", "<dt>Alerts</dt><dd><span"} {
			if got := strings.Count(body, beside); got != times {
				t.Errorf("%s: %q stands there %d times, want %d", path, beside, got, times)
			}
		}
	}
	_, body := h.get(t, access.Viewer, "/fleets/laundry/health")
	for _, want := range []string{"23 of 24; likely 80 to 99.3\u202f%", "with faults repaired in time: 25 of 26", "per machine and week", "retrain below 85\u202f%", "cannot be judged yet"} {
		if !strings.Contains(body, want) {
			t.Errorf("live recall lacks %q", want)
		}
	}
}

func TestDriftIsShownWithItsBandByDayType(t *testing.T) {
	h := newHouse(t)
	_, body := h.get(t, access.Viewer, "/fleets/laundry/health")
	body = html.UnescapeString(body)
	for _, want := range []string{"<h1>1 sensor has moved</h1>", "20 Mar 2026", "+3.21 Hz", "+0.92", "Slightly moved", "it only grows", "No more than usual", "weeks differ by 0.08", "increase of a day"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	_, body = h.get(t, access.Viewer, "/fleets/laundry/health")
	list := plots(t, body)
	if len(list) != 6 || list[0].Name != "vibration" || list[0].Since == 0 || list[1].Since != 0 {
		t.Fatalf("%d lines, the first %q; want 6, the flagged first and only it marked", len(list), list[0].Name)
	}
	sensor := h.loop.health.Drift.Sensors[1]
	for i, at := range list[0].Times {
		usual := sensor.Weekday
		if day := time.Unix(at, 0).UTC().Weekday(); day == time.Saturday || day == time.Sunday {
			usual = sensor.Weekend
		}
		if got, want := *list[0].High[i], usual.Mean+2*usual.SD; math.Abs(got-want) > 1e-9 {
			t.Fatalf("day %s: the band ends at %v, want %v", time.Unix(at, 0).UTC(), got, want)
		}
		if (list[0].Values[i] == nil) != math.IsNaN(sensor.Days[i].Mean) {
			t.Errorf("day %d: a missing mean is not missing", i)
		}
	}
}

func TestAReferenceThatIsTooShortIsSaidToBe(t *testing.T) {
	h := newHouse(t)
	d := h.loop.health.Drift
	d.TooShort, d.Sentence = "The reference has 3 weekend days with data; 5 are needed, about two weeks more.", ""
	for i := range d.Sensors {
		s := &d.Sensors[i]
		s.Flagged, s.Shift, s.Effect = false, math.NaN(), math.NaN()
		s.Weekend = web.Reference{Mean: math.NaN(), SD: math.NaN(), Days: 3}
	}
	h.loop.health.Live.Status, h.loop.health.Live.Measures.Recall = web.StatusUnknown, web.Share{}
	_, body := h.get(t, access.Viewer, "/fleets/laundry/health")
	for _, want := range []string{"<h1>Too early to judge</h1>", "3 weekend days with data", "Cannot be judged", "nothing to judge it by yet", "Too few failures to judge"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "NaN") || len(plots(t, body)) != 6 {
		t.Error("what is unknown is written as a figure")
	}
}

func TestTheStateOfTheModelIsSaidInTheHeadline(t *testing.T) {
	for status, want := range map[web.Status]string{
		web.StatusHealthy: "The model fits", web.StatusWatch: "The model fits", web.StatusWarn: "The model misses more than it should",
		web.StatusRetrain: "The model misses too much", web.StatusUnknown: "No drift; too few failures to judge",
	} {
		h := newHouse(t)
		h.loop.health.Live.Status = status
		for i := range h.loop.health.Drift.Sensors {
			h.loop.health.Drift.Sensors[i].Flagged = false
		}
		if _, body := h.get(t, access.Viewer, "/fleets/laundry/health"); !strings.Contains(body, "<h1>"+want+"</h1>") {
			t.Errorf("%s: the headline is not %q", status, want)
		}
	}
}

func TestEmptyPagesSayWhatToDoNext(t *testing.T) {
	f := newFloor()
	h := houseOf(t, f, f.source())
	for path, want := range map[string][]string{
		"/models":  {"No model serves", "drumbeat train --promote-first", "None has run yet", "each move of a champion or challenger is kept here"},
		"/health":  {"Not looked at yet", "Not measured yet", "No report yet", "No reason to retrain"},
		"/quality": {"Nothing has arrived yet", "import a file"},
	} {
		status, body := h.get(t, access.Engineer, "/fleets/laundry"+path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s lacks %q", path, text)
			}
		}
	}
	h = newHouse(t)
	h.loop.models.Versions = slices.DeleteFunc(h.loop.models.Versions, func(v web.Version) bool { return strings.HasPrefix(string(v.Role), "challenger") })
	if _, body := h.get(t, access.Viewer, "/fleets/laundry/models"); !strings.Contains(body, "No challenger stands beside the champion") || !strings.Contains(body, "21 Apr 2026") {
		t.Error("without a challenger nobody learns when one comes")
	}
}

func TestWhatIsUnusualIsSaidAndNothingElse(t *testing.T) {
	h := newHouse(t)
	_, body := h.get(t, access.Viewer, "/fleets/laundry/quality")
	for _, want := range []string{
		"<h1>2 things are unusual</h1>", "On Sun 29 Mar, 6\u202f% of the items came late (412 of ", "of the vibration values jumped (240 of ", "0\u202f% is usual.",
		`<a href="/fleets/laundry/machines/W-058">W-058</a>`, "31 hours ago",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := strings.Count(body, "<tr><th scope=\"row\" class=\"still\">"); got != 30 {
		t.Errorf("%d days are listed, want the last 30", got)
	}
	for name, change := range map[string]func(q *web.Quality){
		"the oddity is more than three days old": func(q *web.Quality) { q.Days[44].Kept = 6300; shiftDays(q, 2) },
		"there is no week to compare with":       func(q *web.Quality) { q.Days = q.Days[len(q.Days)-8:] },
		"it is usual":                            func(q *web.Quality) { everyDay(q, func(d *web.QualityDay) { d.Late, d.Flags[1].Jump = 412, 240 }) },
		"it is of a few": func(q *web.Quality) { // though of many per cent
			everyDay(q, func(d *web.QualityDay) {
				d.Kept, d.Duplicate, d.Late = 1000, 0, 0
				for i := range d.Flags {
					d.Flags[i] = web.SensorFlags{Values: 1000}
				}
			})
			q.Days[42].Late, q.Days[42].Flags[1].Jump = 19, 19
		},
		"it is small": func(q *web.Quality) { q.Days[42].Late, q.Days[42].Flags[1].Jump = 25, 25 },
	} {
		h := newHouse(t)
		change(&h.loop.quality)
		if _, body := h.get(t, access.Viewer, "/fleets/laundry/quality"); strings.Contains(body, "unusual</h1>") {
			t.Errorf("%s: it is called unusual all the same", name)
		}
	}
	h.loop.quality.Days[43].Kept = 2000
	if _, body := h.get(t, access.Viewer, "/fleets/laundry/quality"); !strings.Contains(body, "On Mon 30 Mar, only 2,0") {
		t.Error("a day on which little arrived is not called unusual")
	}
}

// shiftDays appends ordinary days.
func shiftDays(q *web.Quality, n int) {
	for range n {
		d := q.Days[10]
		d.Day = q.Days[len(q.Days)-1].Day.Add(dayLong)
		q.Days = append(q.Days, d)
	}
}

func everyDay(q *web.Quality, change func(d *web.QualityDay)) {
	for i := range q.Days {
		change(&q.Days[i])
	}
}

func TestWhatOthersWriteIsShownAsTextOnEveryPage(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	f := newFloor()
	f.loop = newLoop(f.now)
	for i := range f.loop.models.Versions {
		v := &f.loop.models.Versions[i]
		v.Who, v.Why, v.Hash = evil, evil, evil
		if v.Gate != nil {
			v.Gate.Sentence = evil
			v.Gate.Rows[0] = web.GateRow{Name: evil, Asked: evil, Measured: evil, Bound: evil, Missing: evil}
		}
		if v.Shadow != nil {
			v.Shadow.Sentence = evil
		}
	}
	f.loop.models.Versions[1].Role = "challenger-" + evil
	f.loop.models.Ledger[0] = web.LedgerRow{Seq: 9, Alias: evil, From: 1, To: 2, Who: evil, Why: evil, Proof: evil}
	f.loop.models.Runs[0] = web.Run{ID: evil, Reason: evil, Who: evil, State: evil, Error: evil, Steps: []web.RunStep{{Name: evil, State: evil}}}
	d := f.loop.health.Drift
	d.Sentence, d.TooShort = evil, evil
	d.Sensors[0].Name, d.Sensors[0].Sentence = evil, evil
	d.Features[0] = web.FeatureDrift{Name: evil, MadeOf: []string{evil}, Level: evil, Sentence: evil}
	f.loop.health.Live.Sentence = evil
	f.loop.health.Triggers[0] = web.Trigger{Kind: evil, Subject: evil, Sentence: evil, Run: evil}
	f.loop.quality.Silent[0].Machine = evil
	s := f.connect(f.source())
	s.Fleet.Title, s.Fleet.Sensors[1].Title, s.Fleet.Sensors[1].Unit = evil, evil, evil
	other := f.source()
	other.Fleet.Name = drumbeat.FleetName("x" + evil)
	h := houseOf(t, f, s, other)
	for _, path := range append(monitoring, "/", "/machines/W-042", "/alerts") {
		status, body := h.get(t, access.Engineer, "/fleets/laundry"+path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		checkTame(t, path, body)
	}
	_, body := h.get(t, access.Engineer, "/")
	checkTame(t, "the overview", body)
	_, body = h.get(t, access.Engineer, "/fleets/"+strings.ReplaceAll(evil, "/", "%2F")[2:]+"/health")
	checkTame(t, "a fleet that is none", body)
}

// checkTame sees that a page carries no foreign script, and none inline.
func checkTame(t *testing.T, path, body string) {
	t.Helper()
	for _, bad := range []string{"<script>", "<style", " style=", " onclick=", " onload=", "javascript:", "http://", "https://"} {
		if strings.Contains(body, bad) {
			t.Errorf("%s holds %q", path, bad)
		}
	}
}

func TestLongListsAreBounded(t *testing.T) {
	h := newHouse(t)
	m := &h.loop.models
	for i := range 5000 {
		m.Versions = append(m.Versions, web.Version{Number: drumbeat.ModelVersion(100 + i), Why: "again"})
		m.Ledger = append(m.Ledger, web.LedgerRow{Seq: int64(i), Alias: drumbeat.RoleChampion, To: 1, Proof: strings.Repeat("p", 100_000)})
		m.Runs = append(m.Runs, web.Run{ID: strconv.Itoa(i), State: web.RunDone})
		h.loop.health.Triggers = append(h.loop.health.Triggers, web.Trigger{Kind: "schedule", Since: h.now})
		d := h.loop.health.Drift
		d.Features = append(d.Features, web.FeatureDrift{Name: fmt.Sprint("f", i), Level: web.LevelNone})
		d.Sensors = append(d.Sensors, web.SensorDrift{Name: fmt.Sprint("s", i), Days: d.Sensors[0].Days})
		h.loop.quality.Silent = append(h.loop.quality.Silent, web.Silent{Machine: drumbeat.MachineID(fmt.Sprint("M", i)), LastSeen: h.now})
		h.loop.quality.Days = append(h.loop.quality.Days, web.QualityDay{Day: h.now.Add(time.Duration(i) * dayLong), Kept: 1})
	}
	for path, most := range map[string]int{"/models": 1 << 20, "/health": 400 << 10, "/quality": 200 << 10} {
		status, body := h.get(t, access.Engineer, "/fleets/laundry"+path)
		if status != http.StatusOK || len(body) > most {
			t.Errorf("%s: %d, %d bytes; want at most %d", path, status, len(body), most)
		}
		if !strings.Contains(body, "not listed here") {
			t.Errorf("%s does not say that there is more", path)
		}
	}
}

func TestHugeAndMissingFiguresAreShown(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -1e308, 5e-324, 0} {
		h := newHouse(t)
		estimate := web.Estimate{Value: x, Low: x, High: x}
		for i := range h.loop.models.Versions {
			h.loop.models.Versions[i].Threshold = x
			h.loop.models.Versions[i].Measures = web.Measures{
				BaseRate: estimate, PRAUC: estimate, Recall: web.Share{K: math.MaxInt64, N: math.MaxInt64, Low: x, High: x}, FalseAlarms: estimate,
				AlertsPerWeek: x, LeadHours: estimate, ShuffledROCAUC: x,
			}
		}
		live := h.loop.health.Live
		live.Measures, live.WarnBelow, live.Missed = h.loop.models.Versions[0].Measures, x, math.MaxInt64
		for i := range h.loop.health.Drift.Sensors {
			s := &h.loop.health.Drift.Sensors[i]
			s.Shift, s.Effect, s.Weekday = x, x, web.Reference{Mean: x, SD: x, Days: math.MaxInt64}
			s.Days[3].Mean = x
		}
		for i := range h.loop.health.Drift.Features {
			h.loop.health.Drift.Features[i].PSI, h.loop.health.Drift.Features[i].Effect = x, x
		}
		h.loop.quality.Days[43].Kept, h.loop.quality.Days[44].Flags[0].Clipped = math.MaxInt64/2, math.MaxInt64
		h.loop.quality.Days[40].Flags = nil
		for _, path := range monitoring {
			status, body := h.get(t, access.Engineer, "/fleets/laundry"+path)
			if status != http.StatusOK || strings.Contains(body, "NaN") || strings.Contains(body, ">+Inf") {
				t.Errorf("%s with %v: %d, or what is no figure is written as one", path, x, status)
			}
			if strings.Contains(body, "data-plots") {
				plots(t, body)
			}
		}
	}
}

func TestAVersionIsReported(t *testing.T) {
	h := newHouse(t)
	_, body := h.get(t, access.Viewer, "/fleets/laundry/models/3")
	for _, want := range []string{
		"Only 24 failures fell into the test time", "At 0.45 the model foretold 23 of 24 failures", "7 days are left out between the parts", "learnt from",
		"17 Feb 2026", "vibration rolling mean 7d", "labels shuffled", "Alarming always", "23 right, 14 false, 3 unclear", "Could not be seen", "Missed",
		"&#34;library&#34;: &#34;xgboost 3.2.0&#34;", "guessing reaches 0.041",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	// The parts and the gaps fill the line from end to end.
	width := 0
	for _, part := range regexp.MustCompile(`class="part \w+" x="(\d+)" width="(\d+)"`).FindAllStringSubmatch(body, -1) {
		var x, w int
		if _, err := fmt.Sscan(part[1], &x); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(part[2], &w); err != nil {
			t.Fatal(err)
		}
		if x != width {
			t.Errorf("a part begins at %d, want %d", x, width)
		}
		width += w
	}
	if width != 1000 {
		t.Errorf("the parts are %d wide, want 1000", width)
	}
}

func TestASourceThatFailsBetraysNothing(t *testing.T) {
	away := errors.New("dial tcp 10.0.0.7: connection refused")
	f := newFloor()
	s := f.source()
	s.Models = func(context.Context) (web.Models, error) { return web.Models{}, away }
	s.Health = func(context.Context) (web.Health, error) { return web.Health{}, away }
	s.Quality = func(context.Context) (web.Quality, error) { return web.Quality{}, away }
	h := houseOf(t, f, s)
	for _, path := range []string{"/models", "/health", "/quality"} {
		status, body := h.get(t, access.Engineer, "/fleets/laundry"+path)
		if status != http.StatusInternalServerError || !strings.Contains(body, "The fault is ours") || strings.Contains(body, "10.0.0.7") {
			t.Errorf("%s: %d, want 500 with a page that betrays nothing", path, status)
		}
	}
}

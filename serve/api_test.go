package serve_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/feature"
	"drumbeat/serve"
)

func TestAQueryIsAsOfTheNewestReading(t *testing.T) {
	s := newShop(t)
	a := s.predict(t, `{"machine":"W-001"}`)
	if a.AsOf != newest || a.Purpose != drumbeat.PurposeQuery || a.Alarm || a.Recorded != nil || a.ReadingID != "" {
		t.Errorf("W-001: %+v", a.Prediction)
	}
	if b := s.predict(t, `{"machine":"W-002","reading":null}`); !b.Alarm || b.Model != 3 || b.Hash != s.view.Hash {
		t.Errorf("W-002: %+v", b.Prediction)
	}
	if len(s.recorded)+len(s.published) != 0 {
		t.Errorf("a query left %v, %v", s.recorded, s.published)
	}
}

func TestAnExplainedAnswerAddsUp(t *testing.T) {
	s := newShop(t)
	a := s.predict(t, `{"machine":"W-002","explain":true}`)
	sum := a.Explanation.Bias
	for _, r := range a.Explanation.Reasons {
		sum += r.Contribution
	}
	if math.Abs(sum-a.Margin) > 1e-4 || len(a.Reasons) != 5 || !strings.Contains(a.Reasons[0].Text, "70 Hz") {
		t.Errorf("sum %v, margin %v, reasons %+v", sum, a.Margin, a.Reasons)
	}
}

// reading writes a reading so long after the newest one.
func reading(after time.Duration, vibration float64) string {
	return fmt.Sprintf(`{"timestamp":%q,"vibration_hz":%v,"temperature_c":60,"pressure_bar":2,"power_kw":5}`,
		newest.Add(after), vibration)
}

func TestAReadingIsRecordedFirstAndCountedOnce(t *testing.T) {
	s := newShop(t)
	a := s.predict(t, `{"machine":"W-001","reading":`+reading(15*time.Minute, 75.125)+`}`)
	if a.AsOf != newest.Add(15*time.Minute) || a.Purpose != drumbeat.PurposeLive || !a.Alarm {
		t.Errorf("answer %+v", a.Prediction)
	}
	if a.Recorded == nil || a.ReadingID != a.Recorded.String() || a.Position.Offset >= 100_000 {
		t.Errorf("recorded %v, reading id %q, position %s; want the record's position and the reading's id", a.Recorded, a.ReadingID, a.Position)
	}
	want := fmt.Sprintf(`W-001 %s {"machine_id":"W-001",%s`, newest.Add(15*time.Minute), reading(15*time.Minute, 75.125)[1:])
	if diff := cmp.Diff([]string{want}, s.recorded); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	if len(s.published) != 1 || len(s.published[0].Reasons) == 0 {
		t.Errorf("published %+v, want the alarm with its reasons before the answer", s.published)
	}
	// The vector is the one that the engine's own definition makes.
	records, err := s.site.Online.Read(t.Context(), s.view.Hash, []drumbeat.MachineID{"W-001"}, true)
	if err != nil {
		t.Fatal(err)
	}
	item := drumbeat.Item{
		Machine: "W-001", EventTime: newest.Add(15 * time.Minute), Flags: make([]drumbeat.Flag, 6),
		Values: []int64{6000, 75_125, 2000, 5000, drumbeat.Missing, drumbeat.Missing},
	}
	v, status, err := s.view.Advance(&records[0], &item, new(feature.Workspace))
	if err != nil || status != feature.StatusUsed {
		t.Fatal(status, err)
	}
	p, err := s.scorer.Score(&v, serve.Asked{})
	if err != nil || p.Margin != a.Margin {
		t.Errorf("margin %v, want %v; %v", a.Margin, p.Margin, err)
	}
}

func TestAQuietLivePredictionIsKeptWhenThereIsTime(t *testing.T) {
	s := newShop(t)
	a := s.predict(t, `{"machine":"W-001","reading":`+reading(15*time.Minute, 48)+`}`)
	if a.Alarm || a.Purpose != drumbeat.PurposeLive || len(s.published) != 0 {
		t.Fatalf("answer %+v, published %d", a.Prediction, len(s.published))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.api.Run(ctx); err != nil { // ends at once, writing what waits
		t.Fatal(err)
	}
	if len(s.published) != 1 || s.published[0].ReadingID != a.ReadingID {
		t.Errorf("published %+v", s.published)
	}
}

func TestAReadingThatIsNotRecordedIsAQuery(t *testing.T) {
	s := newShop(t)
	body := `{"machine":"W-001","record":false,"reading":` + reading(15*time.Minute, 75) + `}`
	a := s.predict(t, body)
	if a.Purpose != drumbeat.PurposeQuery || !a.Alarm || !strings.HasPrefix(a.ReadingID, "sha256:") {
		t.Errorf("answer %+v", a.Prediction)
	}
	if b := s.predict(t, body); b.ReadingID != a.ReadingID || b.Margin != a.Margin {
		t.Error("the same question got another answer")
	}
	if len(s.recorded)+len(s.published) != 0 {
		t.Errorf("it left %v, %v", s.recorded, s.published)
	}
	if status, _ := s.call(t, access.Viewer, http.MethodPost, "/v1/predict", body); status != http.StatusOK {
		t.Errorf("as a viewer: %d", status)
	}
	recorded := strings.Replace(body, `"record":false`, `"record":true`, 1)
	if status, _ := s.call(t, access.Viewer, http.MethodPost, "/v1/predict", recorded); status != http.StatusForbidden {
		t.Errorf("a viewer records a reading: %d, want 403", status)
	}
}

func TestAReadingThatCannotMoveTheVectorSaysSo(t *testing.T) {
	s := newShop(t)
	for name, tc := range map[string]struct {
		after time.Duration
		flag  string
	}{
		"older than the newest": {-15 * time.Minute, serve.FlagNotUsed},
		"beyond the horizon":    {24*time.Hour + 5*time.Minute, serve.FlagStale},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.predict(t, `{"machine":"W-001","reading":`+reading(tc.after, 75)+`}`)
			if a.Purpose != drumbeat.PurposeQuery || a.AsOf != newest || a.Alarm || len(a.Flags) != 1 || a.Flags[0] != tc.flag {
				t.Errorf("answer %+v", a.Prediction)
			}
			if a.Recorded == nil {
				t.Error("the reading was not recorded")
			}
		})
	}
	at := s.predict(t, `{"machine":"W-001","reading":`+reading(0, 75)+`}`)
	if at.AsOf != newest || at.Alarm || at.Purpose != drumbeat.PurposeLive {
		t.Errorf("at t0 what stands stays: %+v", at.Prediction)
	}
}

func TestNothingIsAnsweredThatIsNotDurable(t *testing.T) {
	s := newShop(t)
	s.fault = errors.New("the broker is gone")
	body := `{"machine":"W-001","reading":` + reading(15*time.Minute, 75) + `}`
	status, text := s.call(t, access.Technician, http.MethodPost, "/v1/predict", body)
	if status != http.StatusInternalServerError || strings.Contains(text, "broker") {
		t.Errorf("%d %s; want 500, without the inside of the house", status, text)
	}
}

func TestWhatCannotBeAnsweredSaysWhatWhyAndWhatNext(t *testing.T) {
	s := newShop(t)
	future := reading(0, 50)
	future = strings.Replace(future, newest.String(), newest.Add(49*time.Hour).String(), 1)
	for name, tc := range map[string]struct {
		body   string
		status int
		detail string
	}{
		"a machine of nobody":           {`{"machine":"W-01"}`, 404, "never been announced"},
		"no machine":                    {`{}`, 422, "validation failed"},
		"no body":                       {``, 400, "required"},
		"broken JSON":                   {`{"machine":`, 400, ""},
		"an unknown field":              {`{"machine":"W-001","maschine":1}`, 422, "validation failed"},
		"a machine without data":        {`{"machine":"W-004"}`, 409, "no reading of it"},
		"no object":                     {`{"machine":"W-001","reading":7}`, 422, "JSON object"},
		"no timestamp":                  {`{"machine":"W-001","reading":{"vibration_hz":1}}`, 422, "timestamp"},
		"no number":                     {`{"machine":"W-001","reading":{"timestamp":"2026-01-09T00:15:00Z","vibration_hz":"fast"}}`, 422, "vibration_hz"},
		"another machine's":             {`{"machine":"W-001","reading":{"machine_id":"W-002","timestamp":"2026-01-09T00:15:00Z"}}`, 422, "machine_id"},
		"from the future":               {`{"machine":"W-001","reading":` + future + `}`, 422, "after the fleet's time"},
		"a machine of nobody's reading": {`{"machine":"W-9","reading":` + reading(0, 1) + `}`, 404, "never been announced"},
		"a flood":                       {`{"machine":"W-001","reading":{"x":"` + strings.Repeat("x", 100_000) + `"}}`, 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := s.call(t, access.Technician, http.MethodPost, "/v1/predict", tc.body)
			p := decode[access.Problem](t, text)
			if status != tc.status || p.Title == "" || p.Next == "" || !strings.Contains(p.Detail, tc.detail) {
				t.Errorf("%d %s; want %d with what, why (%q) and what next", status, text, tc.status, tc.detail)
			}
		})
	}
	if len(s.recorded) != 0 {
		t.Errorf("recorded %v", s.recorded)
	}
	_, text := s.call(t, access.Viewer, http.MethodPost, "/v1/predict", `{"machine":"W-01"}`)
	if p := decode[access.Problem](t, text); !strings.Contains(p.Next, "did you mean W-001") {
		t.Errorf("next %q names no nearest machine", p.Next)
	}
}

func TestAVectorOlderThanItsTTLIsNotUsed(t *testing.T) {
	s := newShop(t)
	s.now = newest.Add(7*24*time.Hour + time.Millisecond)
	status, text := s.call(t, access.Viewer, http.MethodPost, "/v1/predict", `{"machine":"W-001"}`)
	if p := decode[access.Problem](t, text); status != http.StatusConflict || p.Title != "outside max age" {
		t.Errorf("past its ttl: %d %s", status, text)
	}
	s.now = newest.Add(7 * 24 * time.Hour)
	if a := s.predict(t, `{"machine":"W-001"}`); a.AsOf != newest {
		t.Errorf("at its ttl, inclusive: %+v", a)
	}
}

func TestABatchAnswersEachMachineInOrder(t *testing.T) {
	s := newShop(t)
	status, text := s.call(t, access.Viewer, http.MethodPost, "/v1/predict/batch", `{"machines":["W-002","W-9","W-001","W-002"]}`)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	out := decode[struct {
		Answers []struct {
			Machine     string
			Probability *float64
			Problem     *access.Problem
		}
	}](t, text)
	if len(out.Answers) != 4 || out.Answers[1].Problem == nil || out.Answers[1].Problem.Status != 404 || out.Answers[1].Probability != nil {
		t.Fatalf("answers %s", text)
	}
	if *out.Answers[0].Probability != *out.Answers[3].Probability || *out.Answers[0].Probability <= *out.Answers[2].Probability {
		t.Errorf("answers %s", text)
	}
}

func TestTheBoardSaysHowEveryMachineStands(t *testing.T) {
	s := newShop(t)
	_, text := s.call(t, access.Viewer, http.MethodGet, "/v1/machines", "")
	list := decode[struct{ Machines []serve.MachineModel }](t, text).Machines
	got := map[drumbeat.MachineID]drumbeat.MachineState{}
	var order []string
	for _, m := range list {
		got[m.ID] = m.State
		order = append(order, string(m.ID))
	}
	want := map[drumbeat.MachineID]drumbeat.MachineState{
		"W-001": drumbeat.StateHealthy, "W-002": drumbeat.StateAtRisk,
		"W-003": drumbeat.StateNotWatched, "W-004": drumbeat.StateNotWatched,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"W-002", "W-003", "W-004", "W-001"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if list[3].Attributes["location"] != "north" || list[0].Attributes["capacity_kg"] != "" {
		t.Errorf("attributes %v, %v", list[3].Attributes, list[0].Attributes)
	}
}

func TestAMachineIsNotWatchedAfterFourSilentCadences(t *testing.T) {
	s := newShop(t)
	for after, want := range map[time.Duration]drumbeat.MachineState{
		time.Hour: drumbeat.StateHealthy, time.Hour + time.Millisecond: drumbeat.StateNotWatched,
	} {
		s.now = newest.Add(after)
		m, err := s.board.Machine(t.Context(), "W-001")
		if err != nil || m.State != want {
			t.Errorf("%s after its newest reading: %s, %v; want %s", after, m.State, err, want)
		}
	}
	s.now = newest.Add(time.Minute)
	s.conditions = map[drumbeat.MachineID]serve.Condition{"W-001": {Down: true}, "W-002": {Alert: "a-1"}}
	if m, err := s.board.Machine(t.Context(), "W-001"); err != nil || m.State != drumbeat.StateDown {
		t.Errorf("a machine that failed: %s, %v", m.State, err)
	}
	if m, err := s.board.Machine(t.Context(), "W-002"); err != nil || m.Alert != "a-1" || len(m.Prediction.Reasons) == 0 {
		t.Errorf("a machine with an alert: %+v, %v", m, err)
	}
	if _, err := s.board.Machine(t.Context(), "W-007"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("a machine of nobody: %v", err)
	}
}

func TestFindingsAreKeptWithWhoSentThem(t *testing.T) {
	s := newShop(t)
	s.alerts = []drumbeat.Alert{{ID: "a-1", Machine: "W-002", ClosedAt: drumbeat.NoTime}, {ID: "a-0", Machine: "W-002", ClosedAt: start}}
	body := `{"outcome":"repaired","part":"belt","note":"worn"}`
	status, text := s.call(t, access.Technician, http.MethodPost, "/v1/alerts/a-1/finding", body)
	want := drumbeat.Finding{
		ID: "f-1", Fleet: "laundry", Machine: "W-002", Alert: "a-1", Outcome: drumbeat.OutcomeRepaired,
		Part: "belt", Note: "worn", Who: "technician", WhenFleet: s.now,
	}
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	if diff := cmp.Diff([]drumbeat.Finding{want}, s.findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	for _, tc := range []struct {
		path, body string
		want       int
	}{
		{"/v1/alerts/a-1/finding", body, 409},
		{"/v1/alerts/a-9/finding", body, 404},
		{"/v1/alerts/a-1/finding", `{"outcome":"unanswered"}`, 422},
		{"/v1/alerts/a-1/finding", `{}`, 422},
		{"/v1/findings", `{"machine":"W-001","outcome":"failed"}`, 200},
		{"/v1/findings", `{"machine":"W-7","outcome":"failed"}`, 404},
	} {
		if status, text := s.call(t, access.Technician, http.MethodPost, tc.path, tc.body); status != tc.want {
			t.Errorf("%s %s: %d %s; want %d", tc.path, tc.body, status, text, tc.want)
		}
	}
	acts, err := s.access.Acts(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	last := acts[len(acts)-1]
	if last.What != "finding recorded" || last.By.Name != "technician" || last.Subject != "f-2" {
		t.Errorf("last act %+v", last)
	}
	_, text = s.call(t, access.Viewer, http.MethodGet, "/v1/alerts", "")
	if n := len(decode[struct{ Alerts []drumbeat.Alert }](t, text).Alerts); n != 1 {
		t.Errorf("%d open alerts listed, want 1", n)
	}
	_, text = s.call(t, access.Viewer, http.MethodGet, "/v1/alerts?closed=true&machine=W-002&limit=5", "")
	if n := len(decode[struct{ Alerts []drumbeat.Alert }](t, text).Alerts); n != 2 {
		t.Errorf("%d alerts listed, want 2", n)
	}
	for _, wrong := range []string{"?limit=0", "?limit=1001", "?closed=perhaps", "?zebra=1"} {
		if status, _ := s.call(t, access.Viewer, http.MethodGet, "/v1/alerts"+wrong, ""); status != 422 {
			t.Errorf("%s: %d, want 422", wrong, status)
		}
	}
}

func TestTheChampionIsDescribed(t *testing.T) {
	s := newShop(t)
	status, text := s.call(t, access.Viewer, http.MethodGet, "/v1/models/champion", "")
	c := decode[serve.Champion](t, text)
	if status != 200 || c.Version != 3 || c.Hash != s.view.Hash || c.Threshold != 0.45 || string(c.Manifest) != `{"pr_auc":0.5}` || c.Trees != 3 {
		t.Errorf("%d %s", status, text)
	}
}

func TestThePublicPartsAnswerWithoutCredentialsAndLoadNothingFromElsewhere(t *testing.T) {
	s := newShop(t)
	s.predict(t, `{"machine":"W-001"}`)
	if status, text := s.call(t, access.Viewer, http.MethodGet, "/metrics", ""); status != 200 ||
		!strings.Contains(text, `drumbeat_http_predictions_total{alarm="false",fleet="laundry",purpose="query"} 1`) ||
		!strings.Contains(text, `drumbeat_http_request_seconds_count{fleet="laundry",operation="predict",status="200"} 1`) {
		t.Errorf("metrics: %d %s", status, text)
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/openapi.json": `"/v1/predict"`, "/openapi.yaml": "/v1/predict"} {
		status, text := s.call(t, access.Anyone, http.MethodGet, path, "")
		if status != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %.80s", path, status, text)
		}
		if strings.Contains(text, "unpkg") || strings.Contains(text, "cdn") {
			t.Errorf("%s loads from elsewhere", path)
		}
	}
	s.fault = errors.New("still reading silver")
	if status, text := s.call(t, access.Anyone, http.MethodGet, "/readyz", ""); status != 503 || !strings.Contains(text, "still reading silver") {
		t.Errorf("not ready: %d %s", status, text)
	}
}

func TestATokenThatAsksTooFastIsToldToWait(t *testing.T) {
	s := newShop(t) // the wall clock stands still: nothing is refilled
	for range rate {
		s.call(t, access.Viewer, http.MethodGet, "/v1/models/champion", "")
	}
	status, _ := s.call(t, access.Viewer, http.MethodGet, "/v1/models/champion", "")
	if status != http.StatusTooManyRequests {
		t.Errorf("one more than allowed within an instant: %d, want 429", status)
	}
	if status, _ := s.call(t, access.Engineer, http.MethodGet, "/v1/models/champion", ""); status != 200 {
		t.Errorf("somebody else meanwhile: %d", status)
	}
	s.mu.Lock()
	s.wall = s.wall.Add(time.Second)
	s.mu.Unlock()
	if status, _ := s.call(t, access.Viewer, http.MethodGet, "/v1/models/champion", ""); status != 200 {
		t.Errorf("a second later: %d", status)
	}
}

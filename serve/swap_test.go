package serve_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/feature"
	"drumbeat/serve"
)

// narrow is another view of the same fleet: fewer features, in another order.
func narrow(t testing.TB, v *feature.View) *feature.View {
	t.Helper()
	files := fstest.MapFS{"features.yaml": {Data: []byte(`
view: narrow
ttl: 7d
min_history: 2d
features:
  - {name: vibration_max_2d, of: vibration_hz,  agg: max,  window: 2d}
  - {name: vibration_now,    of: vibration_hz,  agg: last, window: 1h}
  - {name: temp_now,         of: temperature_c, agg: last, window: 1h}
`)}}
	view, err := feature.LoadView(files, ".", v.Fleet)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// heat is the feature by which constant's models know a vector of their view:
// 60 °C, where vectors of the other view have something else.
func heat(v *feature.View) string {
	if v.Index("temp_now") >= 0 {
		return "temp_now"
	}
	return "temp_rolling_mean_7d"
}

// constant is a model version whose margin is its number in eighths for a
// vector of its view, and a wild one for any other.
func constant(t testing.TB, v *feature.View, version drumbeat.ModelVersion) *serve.Live {
	t.Helper()
	const wild = 99
	return &serve.Live{Version: version, View: v, Model: forest(t, v, split{heat(v), 55, wild, float32(version) / 8})}
}

// warm is a vector of a view.
func warm(v *feature.View) *drumbeat.Vector { return vector(v, map[string]float64{heat(v): 60}) }

// shaking makes a Usual in which a vibration is ordinary for W-001.
func shaking(v *feature.View, value float64) *serve.Usual {
	usual := serve.NewUsual(v)
	for range 100 {
		usual.Add("W-001", vector(v, map[string]float64{"vibration_now": value}).Values)
	}
	return usual
}

func TestEveryModelReadsTheVectorsOfItsOwnView(t *testing.T) {
	v := laundry(t)
	other := narrow(t, v)
	s := serve.NewScorer(v.Fleet)
	err := s.Swap(serve.Models{
		Champion: constant(t, other, 5),
		Shadows:  []*serve.Live{constant(t, v, 6), constant(t, other, 7), constant(t, v, 8)},
	})
	if err != nil {
		t.Fatal(err)
	}
	type said struct {
		version drumbeat.ModelVersion
		role    drumbeat.Role
		purpose drumbeat.Purpose
		hash    drumbeat.Hash
		reasons int
	}
	for view, want := range map[*feature.View][]said{
		v: {
			{6, drumbeat.RoleChallenger, drumbeat.PurposeLive, v.Hash, 0}, {8, drumbeat.RoleChallenger, drumbeat.PurposeLive, v.Hash, 0},
		},
		other: {
			{5, drumbeat.RoleChampion, drumbeat.PurposeLive, other.Hash, 3}, {7, drumbeat.RoleChallenger, drumbeat.PurposeLive, other.Hash, 0},
		},
	} {
		var got []said
		for _, p := range s.Models().Predict(view.Hash, warm(view), nil) {
			got = append(got, said{p.Model, p.Role, p.Purpose, p.Hash, len(p.Reasons)})
			if p.Margin != float64(p.Model)/8 || !p.Alarm {
				t.Errorf("version %d: margin %v, alarm %t", p.Model, p.Margin, p.Alarm)
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(said{})); diff != "" {
			t.Errorf("of view %s (-want +got):\n%s", view.Name, diff)
		}
	}
	if got := s.Models().Predict("no view of ours", vector(v, nil), nil); len(got) != 0 {
		t.Errorf("of a view that no model reads: %+v", got)
	}
}

func TestAModelThatDoesNotFitItsViewOrFleetIsRefused(t *testing.T) {
	v := laundry(t)
	other, dryers, again := narrow(t, v), laundryNamed(t, "dryers"), laundry(t)
	fits := constant(t, v, 1)
	for name, m := range map[string]serve.Models{
		"a champion with another view":        {Champion: &serve.Live{Version: 2, View: other, Model: fits.Model}},
		"a shadow with another view":          {Champion: fits, Shadows: []*serve.Live{{Version: 2, View: v, Model: constant(t, other, 2).Model}}},
		"a champion without a view":           {Champion: &serve.Live{Version: 2, Model: fits.Model}},
		"a model of another fleet":            {Champion: constant(t, dryers, 2)},
		"a view of the fleet as loaded again": {Champion: constant(t, again, 2)},
		"what is usual in another view":       {Champion: fits, Usual: map[drumbeat.Hash]*serve.Usual{v.Hash: serve.NewUsual(other)}},
		"no champion":                         {Shadows: []*serve.Live{fits}},
	} {
		s := serve.NewScorer(v.Fleet)
		if err := s.Swap(m); !errors.Is(err, drumbeat.ErrInvalid) || s.Models() != nil {
			t.Errorf("%s: %v, want ErrInvalid and nothing in service", name, err)
		}
	}
}

func TestWhatIsUsualGoesWithTheChampionsView(t *testing.T) {
	v := laundry(t)
	other := narrow(t, v)
	usual := map[drumbeat.Hash]*serve.Usual{
		v.Hash: shaking(v, 48), other.Hash: shaking(other, 31),
	}
	s := serve.NewScorer(v.Fleet)
	for view, want := range map[*feature.View]float64{v: 48, other: 31} {
		if err := s.Swap(serve.Models{Champion: constant(t, view, 1), Usual: usual}); err != nil {
			t.Fatal(err)
		}
		e, err := s.Explain(vector(view, nil))
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(e.Reasons, func(r drumbeat.Reason) bool { return r.Feature == "vibration_now" })
		if u := e.Reasons[at].Usual; u == nil || *u != want {
			t.Errorf("view %s: usual %v, want %v", view.Name, u, want)
		}
	}
	fresh := serve.NewUsual(v)
	if err := s.Swap(serve.Models{Champion: constant(t, v, 1), Usual: map[drumbeat.Hash]*serve.Usual{v.Hash: fresh}}); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		x := vector(v, map[string]float64{"vibration_now": 48})
		if i%3 == 0 { // a correction repeats what a reading said
			x.MadeBy, x.Values[v.Index("vibration_now")] = drumbeat.CauseCorrection, 1
		}
		s.Models().Learn(v.Hash, x)
		s.Models().Learn(other.Hash, vector(other, nil)) // nobody keeps it
	}
	if got, ok := fresh.Of("W-001", v.Index("vibration_now")); !ok || got != 48 {
		t.Errorf("learnt %v, %t; want 48", got, ok)
	}
}

// restless is an online store that swaps models in the middle of every read.
type restless struct {
	feature.Online
	swap func()
}

func (r restless) Read(
	ctx context.Context, hash drumbeat.Hash, machines []drumbeat.MachineID, withAdvance bool,
) ([]feature.Record, error) {
	r.swap()
	defer r.swap()
	return r.Online.Read(ctx, hash, machines, withAdvance)
}

// between lets swap run wherever a request reaches out of the room, which is
// when others get to run.
func (s *shop) between(swap func()) {
	s.site.Online = restless{s.site.Online, swap}
	machines, conditions, manifest := s.site.Machines, s.site.Conditions, s.site.Manifest
	s.site.Machines = func() []serve.Known { swap(); return machines() }
	s.site.Conditions = func(ctx context.Context) (map[drumbeat.MachineID]serve.Condition, error) {
		swap()
		return conditions(ctx)
	}
	s.site.Manifest = func(ctx context.Context, v drumbeat.ModelVersion) ([]byte, error) { swap(); return manifest(ctx, v) }
}

// TestNoRequestFailsOrIsHalfAnotherModelsWhileModelsAreSwapped swaps champions
// of two views, a thousand times beside requests of every kind and some
// thousand times in the middle of them.
func TestNoRequestFailsOrIsHalfAnotherModelsWhileModelsAreSwapped(t *testing.T) {
	s := newClosedShop(t, "laundry")
	views := []*feature.View{s.view, narrow(t, s.view)}
	s.fill(t, s.site.Online, views[1])
	// Of version n, the view is n mod 2; four of each.
	models := make([]serve.Models, 8)
	usual := map[drumbeat.Hash]*serve.Usual{
		views[0].Hash: shaking(views[0], 48), views[1].Hash: shaking(views[1], 31),
	}
	for n := range models {
		live := func(n int) *serve.Live { return constant(t, views[n%2], drumbeat.ModelVersion(n)+1) }
		models[n] = serve.Models{Champion: live(n), Shadows: []*serve.Live{live((n + 1) % 8), live((n + 2) % 8)}, Usual: usual}
	}
	var swaps atomic.Int64
	swap := func() {
		if err := s.scorer.Swap(models[int(swaps.Add(1))%len(models)]); err != nil {
			t.Error(err)
		}
	}
	swap()
	s.between(swap)
	s.open(t, 1e6)
	asks := s.asks(views)
	answered, done := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := i; ; n++ {
				if err := asks[n%len(asks)](t); err != nil {
					t.Error(err)
				}
				select {
				case answered <- struct{}{}:
				case <-done:
					return
				}
			}
		})
	}
	for range 1000 {
		swap()
		<-answered
	}
	close(done)
	group.Wait()
}

// asks are requests of every kind that reads a model; each says what is wrong
// with its answer.
func (s *shop) asks(views []*feature.View) []func(*testing.T) error {
	post := func(path, body string) func(t *testing.T) (int, string) {
		return func(t *testing.T) (int, string) { return s.call(t, access.Technician, http.MethodPost, path, body) }
	}
	explained := func(ask func(*testing.T) (int, string)) func(*testing.T) error {
		return func(t *testing.T) error {
			status, text := ask(t)
			if status != http.StatusOK {
				return fmt.Errorf("status %d: %s", status, text)
			}
			a := decode[serve.Answer](t, text)
			return wholeAnswer(&a, views)
		}
	}
	return []func(*testing.T) error{
		explained(post("/v1/predict", `{"machine":"W-001","explain":true}`)),
		explained(post("/v1/predict", `{"machine":"W-001","explain":true,"record":false,"reading":`+reading(15*time.Minute, 52)+`}`)),
		explained(post("/v1/predict", `{"machine":"W-001","explain":true,"reading":`+reading(30*time.Minute, 52)+`}`)),
		func(t *testing.T) error {
			_, text := post("/v1/predict/batch", `{"machines":["W-001","W-002","W-001"],"explain":true}`)(t)
			out := decode[struct{ Answers []serve.Answer }](t, text)
			return sameModel(len(out.Answers), 3, func(i int) *drumbeat.Prediction { return &out.Answers[i].Prediction }, views)
		},
		func(t *testing.T) error {
			status, text := s.call(t, access.Viewer, http.MethodGet, "/v1/machines", "")
			out := decode[struct{ Machines []serve.MachineModel }](t, text)
			predicted := slices.DeleteFunc(out.Machines, func(m serve.MachineModel) bool { return m.Prediction == nil })
			if status != http.StatusOK {
				return fmt.Errorf("machines: %d %s", status, text)
			}
			return sameModel(len(predicted), 3, func(i int) *drumbeat.Prediction { return predicted[i].Prediction }, views)
		},
		func(t *testing.T) error {
			_, text := s.call(t, access.Viewer, http.MethodGet, "/v1/machines/W-001", "")
			p := decode[serve.MachineModel](t, text).Prediction
			if p == nil || len(p.Reasons) == 0 {
				return fmt.Errorf("machine: %s", text)
			}
			return whole(p, views)
		},
		func(t *testing.T) error {
			_, text := s.call(t, access.Viewer, http.MethodGet, "/v1/models/champion", "")
			c := decode[serve.Champion](t, text)
			if view := viewOf(c.Version, views); c.Hash != view.Hash || c.View != view.Name || !slices.Equal(c.Features, view.Names()) {
				return fmt.Errorf("champion %d is of view %s, %s", c.Version, c.View, c.Hash)
			}
			return nil
		},
		func(*testing.T) error { // what the stream does
			m := s.scorer.Models()
			for _, view := range views {
				for _, p := range m.Predict(view.Hash, warm(view), nil) {
					if err := whole(&p, []*feature.View{view, view}); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

func viewOf(version drumbeat.ModelVersion, views []*feature.View) *feature.View {
	return views[(version-1)%2]
}

// whole says in what a prediction is not of one model.
func whole(p *drumbeat.Prediction, views []*feature.View) error {
	view := viewOf(p.Model, views)
	if p.Model < 1 || p.Hash != view.Hash || p.Margin != float64(p.Model)/8 {
		return fmt.Errorf("version %d with hash %.8s and margin %v", p.Model, p.Hash, p.Margin)
	}
	for _, r := range p.Reasons {
		if view.Index(r.Feature) < 0 {
			return fmt.Errorf("version %d gives reasons of another view: %s", p.Model, r.Feature)
		}
	}
	return nil
}

func wholeAnswer(a *serve.Answer, views []*feature.View) error {
	if err := whole(&a.Prediction, views); err != nil {
		return err
	}
	view, sum := viewOf(a.Model, views), a.Explanation.Bias
	names := map[string]bool{}
	for _, r := range a.Explanation.Reasons {
		sum += r.Contribution
		names[r.Feature] = true
		if want := map[*feature.View]float64{views[0]: 48, views[1]: 31}[view]; r.Feature == "vibration_now" && (r.Usual == nil || *r.Usual != want) {
			return fmt.Errorf("version %d says that %v is usual, want %v", a.Model, r.Usual, want)
		}
	}
	for _, name := range view.Names() {
		if !names[name] {
			return fmt.Errorf("version %d does not explain %s", a.Model, name)
		}
	}
	if len(names) != len(view.Features) || math.Abs(sum-a.Margin) > 1e-5 {
		return fmt.Errorf("version %d explains %d features, %v of its margin %v", a.Model, len(names), sum, a.Margin)
	}
	return nil
}

// sameModel says in what the predictions of one answer are not of one model.
func sameModel(got, want int, at func(int) *drumbeat.Prediction, views []*feature.View) error {
	if got != want {
		return fmt.Errorf("%d predictions, want %d", got, want)
	}
	for i := range got {
		if err := whole(at(i), views); err != nil {
			return err
		}
		if at(i).Model != at(0).Model {
			return fmt.Errorf("one answer has versions %d and %d", at(0).Model, at(i).Model)
		}
	}
	return nil
}

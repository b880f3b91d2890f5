//go:build real

package train_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/model"
	"drumbeat/objstore/memory"
	"drumbeat/registry/local"
	"drumbeat/train"
)

// inParts trains as many processes would: each part knows the JSON of what
// came before, and the sources grow between any two.
func inParts(t *testing.T, w *world, opt train.Options) *train.Result {
	t.Helper()
	pin := w.sources(t).Pin(0)
	w.grow()
	prepared, err := train.Prepare(t.Context(), pinned(t, w, &pin), opt)
	if err != nil {
		t.Fatal(err)
	}
	w.grow()
	prepared = carried(t, prepared)
	fitted, err := train.Fit(t.Context(), pinned(t, w, &pin), opt, prepared)
	if err != nil {
		t.Fatal(err)
	}
	w.grow()
	fitted = carried(t, fitted)
	opt.ShuffleLabels, opt.Threads = false, 1 // the fit alone says how
	evaluated, err := train.Evaluate(t.Context(), pinned(t, w, &pin), opt, prepared, fitted)
	if err != nil {
		t.Fatal(err)
	}
	result, err := train.Restore(fitted, carried(t, &evaluated.Manifest))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func manifestText(t *testing.T, r *train.Result) string {
	t.Helper()
	m := r.Manifest
	m.Measures = nil // compared apart
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// same compares what would be registered, to the bit.
func same(t *testing.T, want, got *train.Result) {
	t.Helper()
	left, err := want.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	right, err := got.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name := range left {
		if !bytes.Equal(left[name], right[name]) {
			t.Errorf("%s differs", name)
		}
	}
	if !bytes.Equal(want.Manifest.Measures, got.Manifest.Measures) {
		t.Errorf("report:\n%.3000s", cmp.Diff(string(want.Manifest.Measures), string(got.Manifest.Measures)))
	}
	if a, b := manifestText(t, want), manifestText(t, got); a != b {
		t.Errorf("manifest:\n%s", cmp.Diff(a, b))
	}
	report, err := json.Marshal(got.Report)
	if err != nil || !bytes.Equal(report, got.Manifest.Measures) {
		t.Errorf("the restored report differs from the manifest's, %v", err)
	}
}

func TestPartsInManyProcessesGiveTheBitsOfOneRun(t *testing.T) {
	t.Parallel()
	for name, shuffle := range map[string]bool{"true labels": false, "shuffled labels": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := played()
			opt := options(t)
			opt.ShuffleLabels = shuffle
			pin := w.sources(t).Pin(0)
			want, err := train.Run(t.Context(), pinned(t, w, &pin), opt)
			if err != nil {
				t.Fatal(err)
			}
			same(t, want, inParts(t, w, opt))
			unpinned := played()
			plain, err := train.Run(t.Context(), unpinned.input(t), opt)
			if err != nil {
				t.Fatal(err)
			}
			delete(want.Manifest.Data, "findings") // which only a pinned training counts
			same(t, plain, want)
		})
	}
}

func TestARowThatWasChangedIsFoundOut(t *testing.T) {
	t.Parallel()
	w := played()
	prepared, err := train.Prepare(t.Context(), w.input(t), options(t))
	if err != nil {
		t.Fatal(err)
	}
	other := played()
	for i := range other.vectors {
		if v := &other.vectors[i]; v.Machine == machine(7) && v.AsOf >= begin.Add(50*day) && v.AsOf < begin.Add(51*day) {
			v.Values[1]++
		}
	}
	if _, err := train.Fit(t.Context(), other.input(t), options(t), prepared); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
}

func TestShuffledLabelsTeachNothing(t *testing.T) {
	t.Parallel()
	opt := options(t)
	opt.ShuffleLabels = true
	w := played()
	r, err := train.Run(t.Context(), w.input(t), opt)
	if err != nil {
		t.Fatal(err)
	}
	honest := run(t, played())
	if r.Report.Labels != "shuffled" || r.Manifest.Params["labels"] != "shuffled" || honest.Report.Labels != "" {
		t.Errorf("labels: report says %q, manifest %q", r.Report.Labels, r.Manifest.Params["labels"])
	}
	if got := float64(r.Report.ROCAUC); math.Abs(got-0.5) > 0.15 || got > float64(honest.Report.ROCAUC)-0.2 {
		t.Errorf("ROC-AUC is %v, of the honest model %v", got, honest.Report.ROCAUC)
	}
	if r.Report.BaseRate != honest.Report.BaseRate || !cmp.Equal(r.Report.Rows, honest.Report.Rows) || !cmp.Equal(r.Report.Split, honest.Report.Split) {
		t.Error("the test rows are not those of the honest model")
	}
	if !slices.ContainsFunc(r.Report.Warnings, func(w string) bool { return strings.Contains(w, "shuffled: it is a control") }) {
		t.Errorf("no warning of it: %q", r.Report.Warnings)
	}
	t.Log(honest.Report.ROCAUC, r.Report.ROCAUC, r.Report.EventRecall, r.Report.Sentence)
}

func TestFilesOfTheViewAreRegisteredBesideTheModel(t *testing.T) {
	t.Parallel()
	r := run(t, played())
	reg, err := local.Open(t.Context(), filepath.Join(t.TempDir(), "registry.db"), memory.New(time.Now), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	r.Files = map[string][]byte{"features.yaml": []byte("view: mill_health\n")}
	v, err := r.Register(t.Context(), reg, "run-1", "kim", begin)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Register(t.Context(), reg, "run-1", "kim", begin); err != nil || again.Number != v.Number {
		t.Errorf("registered again: version %d, %v", again.Number, err)
	}
	files := map[string][]byte{}
	for _, f := range v.Files {
		if files[f.Name], err = reg.Read(t.Context(), &v, f.Name); err != nil {
			t.Fatal(err)
		}
	}
	if string(files["features.yaml"]) != "view: mill_health\n" || len(files) != 3 {
		t.Errorf("files: %v", slices.Collect(func(yield func(string) bool) {
			for name := range files {
				_ = yield(name)
			}
		}))
	}
	if _, err := model.Decode(files); err != nil {
		t.Error(err)
	}
	r.Files = map[string][]byte{model.FileTrees: nil}
	if _, err := r.Register(t.Context(), reg, "run-2", "kim", begin); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a file of the model's own name: got %v, want ErrInvalid", err)
	}
}

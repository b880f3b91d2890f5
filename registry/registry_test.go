package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/registry"
	"drumbeat/registry/registrytest"
)

// steps is an alias that stands elsewhere, or fails, at each look.
type steps struct {
	registry.Aliases
	looks []func() (registry.Alias, error)
	done  context.CancelFunc
}

func (s *steps) Alias(context.Context, drumbeat.FleetName, drumbeat.Role) (registry.Alias, error) {
	if len(s.looks) == 0 {
		s.done()
		return registry.Alias{}, context.Canceled
	}
	look := s.looks[0]
	s.looks = s.looks[1:]
	return look()
}

func TestFollowTellsEveryMoveOnce(t *testing.T) {
	stands := func(version drumbeat.ModelVersion, seq int64) func() (registry.Alias, error) {
		return func() (registry.Alias, error) { return registry.Alias{Version: version, Seq: seq}, nil }
	}
	away := func() (registry.Alias, error) { return registry.Alias{}, errors.New("network down") }
	nowhere := func() (registry.Alias, error) { return registry.Alias{}, drumbeat.ErrNotFound }
	ctx, done := context.WithCancel(t.Context())
	s := &steps{done: done, looks: []func() (registry.Alias, error){
		nowhere, nowhere, away, stands(1, 1), stands(1, 1), away, stands(2, 2), stands(1, 3), stands(1, 5), nowhere,
	}}
	ticks := make(chan time.Time, 20)
	for range cap(ticks) {
		ticks <- time.Time{}
	}
	var told []drumbeat.ModelVersion
	failures := 0
	err := registry.Follow(ctx, s, registry.Alias{Fleet: "laundry", Name: drumbeat.RoleChampion}, ticks,
		func(a registry.Alias) error { told = append(told, a.Version); return nil },
		func(error) { failures++ })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]drumbeat.ModelVersion{0, 1, 2, 1, 1, 0}, told); diff != "" || failures != 2 {
		t.Errorf("told %v and %d failures, want 2 (-want +got):\n%s", told, failures, diff)
	}
}

func TestFollowEndsWithTheErrorOfChange(t *testing.T) {
	s := &steps{looks: []func() (registry.Alias, error){
		func() (registry.Alias, error) { return registry.Alias{Version: 1}, nil },
	}}
	wrong := errors.New("no such file")
	err := registry.Follow(t.Context(), s, registry.Alias{}, nil, func(registry.Alias) error { return wrong }, func(error) {})
	if !errors.Is(err, wrong) {
		t.Errorf("got %v, want %v", err, wrong)
	}
}

func TestDecodeManifest(t *testing.T) {
	good, err := json.Marshal(registrytest.Manifest("laundry"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := registry.DecodeManifest(good)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(registrytest.Manifest("laundry"), m); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
	for text, kind := range map[string]error{
		``: drumbeat.ErrInvalid, `{}`: drumbeat.ErrInvalid, `{"format":1}`: drumbeat.ErrInvalid,
		`{"format":2,"threshold":"of another form"}`: drumbeat.ErrNewer,
		`{"format":1,"threshold":"x"}`:               drumbeat.ErrInvalid,
	} {
		if _, err := registry.DecodeManifest([]byte(text)); !errors.Is(err, kind) {
			t.Errorf("%s: got %v, want %v", text, err, kind)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	good, err := json.Marshal(registrytest.Manifest("laundry"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"split":{"train":{"from":null,"until":"2026-01-01T00:00:00Z"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := registry.DecodeManifest(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := registry.DecodeManifest(again); err != nil {
			t.Errorf("what was read is not read again: %v", err)
		}
	})
}

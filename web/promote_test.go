package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/access"
)

const reason = "we know the failures that are missing"

func TestPromotingSaysWhatFollowsAndWhatTheGateSaid(t *testing.T) {
	h := newHouse(t)
	status, body := h.get(t, access.Engineer, "/fleets/laundry/models/4/promote")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{
		"Make version 4 the champion?", "it alone opens alerts", "Version 3 steps down", "Refused by the gate", "1 of 6 demands not met",
		"9 more failures, about 16 days", "Better than alarming always", "Overrule the gate", `name="champion" value="3"`, `name="reason"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the question lacks %q", want)
		}
	}
	h.loop.models.Versions[0].Gate.Passed = true
	if _, body := h.get(t, access.Engineer, "/fleets/laundry/models/4/promote"); strings.Contains(body, `name="reason"`) || !strings.Contains(body, "Passed the gate") {
		t.Error("a version that passed the gate is asked for a reason")
	}
}

func TestPromotingAgainstTheGateNeedsAReason(t *testing.T) {
	h := newHouse(t)
	const path = "/fleets/laundry/models/4/promote"
	for name, tc := range map[string]struct {
		form url.Values
		want int
		says string
	}{
		"no reason":              {url.Values{"champion": {"3"}}, 422, "Say why in at least 3 words"},
		"two words":              {url.Values{"champion": {"3"}, "reason": {"just <b>because"}}, 422, "just &lt;b&gt;because</textarea>"},
		"a reason without end":   {url.Values{"champion": {"3"}, "reason": {strings.Repeat("why ", 600)}}, 422, "That is too long"},
		"a reason refused":       {url.Values{"champion": {"3"}, "reason": {"please refuse me now"}}, 422, "this reason says nothing"},
		"another champion since": {url.Values{"champion": {"2"}, "reason": {reason}}, 409, "version 3 serves now"},
		"no champion named":      {url.Values{"reason": {reason}}, 409, "Somebody was first"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, body := h.post(t, access.Engineer, path, tc.form); status != tc.want || !strings.Contains(body, tc.says) {
				t.Errorf("status %d, want %d and %q", status, tc.want, tc.says)
			}
		})
	}
	if len(h.loop.asked) > 0 {
		t.Fatalf("done all the same: %v", h.loop.asked)
	}
	if status, _ := h.post(t, access.Engineer, path, url.Values{"champion": {"3"}, "reason": {" " + reason + " "}}); status != http.StatusSeeOther {
		t.Fatalf("with a reason: %d, want 303", status)
	}
	want := []string{fmt.Sprintf("promote 4 %q by Ana Keller", reason)}
	if diff := cmp.Diff(want, h.loop.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	_, body := h.get(t, access.Engineer, "/fleets/laundry/models?done=promoted")
	for _, want := range []string{"Version 4 serves", "Done: version 4 serves now.", reason, "Version 4 becomes champion, after version 3"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of models lacks %q", want)
		}
	}
	acts, err := h.access.Acts(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, act := range acts {
		found = found || act.What == "model promoted" && act.Subject == "laundry/4" && act.By.Name == "Ana Keller" && act.Detail == reason
	}
	if !found {
		t.Error("the record of acts does not hold the promotion")
	}
	if status, _ := h.post(t, access.Engineer, path, url.Values{"champion": {"3"}, "reason": {reason}}); status != http.StatusConflict {
		t.Errorf("a second time: %d, want 409", status)
	}
}

func TestSomebodyWhoWasFirstIsNamed(t *testing.T) {
	f := newFloor()
	f.loop = newLoop(f.now)
	s := f.connect(f.source())
	s.Promote = func(context.Context, drumbeat.ModelVersion, string) error {
		return fmt.Errorf("promote version 4: Marco Rossi made version 5 the champion a moment ago: %w", drumbeat.ErrConflict)
	}
	h := houseOf(t, f, s)
	form := url.Values{"champion": {"3"}, "reason": {reason}}
	status, body := h.post(t, access.Engineer, "/fleets/laundry/models/4/promote", form)
	if status != http.StatusConflict || !strings.Contains(body, "Somebody was first") || !strings.Contains(body, "Marco Rossi made version 5") {
		t.Errorf("status %d: the conflict is not told", status)
	}
}

func TestRollingBackAndRetrainingAskForAReason(t *testing.T) {
	h := newHouse(t)
	for path, says := range map[string]string{"/models/rollback": "Bring back version 2?", "/models/retrain": "Train a new version now?"} {
		if status, body := h.get(t, access.Engineer, "/fleets/laundry"+path); status != http.StatusOK || !strings.Contains(body, says) {
			t.Errorf("%s: %d, want %q", path, status, says)
		}
		if status, _ := h.post(t, access.Engineer, "/fleets/laundry"+path, url.Values{"champion": {"3"}, "reason": {"why"}}); status != 422 {
			t.Errorf("%s with one word: %d, want 422", path, status)
		}
	}
	if len(h.loop.asked) > 0 {
		t.Fatalf("done all the same: %v", h.loop.asked)
	}
	if status, _ := h.post(t, access.Engineer, "/fleets/laundry/models/rollback", url.Values{"champion": {"3"}, "reason": {"it rings all night"}}); status != 303 {
		t.Errorf("rollback: %d", status)
	}
	if status, _ := h.post(t, access.Engineer, "/fleets/laundry/models/retrain", url.Values{"champion": {"2"}, "reason": {"new belts since February"}}); status != 303 {
		t.Errorf("retrain: %d", status)
	}
	want := []string{`rollback "it rings all night" by Ana Keller`, `retrain "new belts since February" by Ana Keller`}
	if diff := cmp.Diff(want, h.loop.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if _, body := h.get(t, access.Engineer, "/fleets/laundry/models?run=r-new"); !strings.Contains(body, "see its steps below") || !strings.Contains(body, `id="run-r-new"`) {
		t.Error("the run that was asked for is not shown")
	}
}

func TestWhatCannotBeDoneIsNotOffered(t *testing.T) {
	h := newHouse(t)
	for _, role := range []access.Role{access.Viewer, access.Technician} {
		for _, path := range []string{"/fleets/laundry/models", "/fleets/laundry/models/4"} {
			if _, body := h.get(t, role, path); strings.Contains(body, "/promote") || strings.Contains(body, "/rollback") || strings.Contains(body, "/retrain") {
				t.Errorf("%s is offered a decision at %s", role, path)
			}
		}
	}
	h.loop.models.Previous = 0
	if _, body := h.get(t, access.Engineer, "/fleets/laundry/models"); strings.Contains(body, "/rollback") || !strings.Contains(body, "/promote") {
		t.Error("rolling back to nothing is offered, or promoting is not")
	}
	if status, body := h.get(t, access.Engineer, "/fleets/laundry/models/rollback"); status != http.StatusConflict || !strings.Contains(body, "no version served before") {
		t.Errorf("rolling back to nothing: %d", status)
	}
	for path, want := range map[string]int{
		"/models/3/promote": http.StatusConflict, "/models/99/promote": http.StatusNotFound, "/models/0": http.StatusNotFound, "/models/x": http.StatusNotFound,
		"/models/99999999999999999999": http.StatusNotFound, "/models/99": http.StatusNotFound,
	} {
		if status, _ := h.get(t, access.Engineer, "/fleets/laundry"+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	bare := houseOf(t, newFloor(), newFloor().source())
	for _, path := range []string{"/models/1/promote", "/models/rollback", "/models/retrain", "/models/1"} {
		if status, _ := bare.get(t, access.Engineer, "/fleets/laundry"+path); status != http.StatusNotFound {
			t.Errorf("%s of a fleet that cannot: %d, want 404", path, status)
		}
	}
}

package web

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"drumbeat"
)

const (
	// maxTiles is how many quiet machines are drawn; nobody reads more, and
	// the search reaches the rest.
	maxTiles = 600
	// maxCards is how many loud ones are drawn large.
	maxCards = 60
	// maxSearch bounds a search text, in runes.
	maxSearch = 100
)

// fleetView is the fleet page.
type fleetView struct {
	Headline, Under string
	Chips           []chip
	Search          string
	State           drumbeat.MachineState
	Filtered        bool
	Loud, Quiet     []tile
	More            int // machines that match and are not drawn
	Total           int
}

// chip is a count that filters.
type chip struct {
	State   drumbeat.MachineState // "" is all
	Count   int
	Current bool
	Link    string
}

// tile is a machine in the list.
type tile struct {
	drumbeat.Machine
	Risk   float64 // NaN is unknown
	About  string  // its attributes, shortly
	Reason string
	Alert  *drumbeat.Alert
}

// Known says whether a risk can be named.
func (t *tile) Known() bool { return !math.IsNaN(t.Risk) }

// Aside is what a quiet tile says beside its state: how long a silent machine
// has been silent, else where it stands.
func (t *tile) Aside(now drumbeat.Time) string {
	if t.State == drumbeat.StateHealthy || t.State == drumbeat.StateWarmingUp {
		return t.About
	}
	return since(t.LastSeen, now)
}

// stateOrder is the order in which states are counted.
//
//nolint:gochecknoglobals // a constant table
var stateOrder = [...]drumbeat.MachineState{
	drumbeat.StateAtRisk, drumbeat.StateDown, drumbeat.StateNotWatched,
	drumbeat.StateWarmingUp, drumbeat.StateHealthy, drumbeat.StateOff,
}

// fleetPage shows every machine, those to look at first.
func (b *board) fleetPage(w http.ResponseWriter, r *http.Request) error {
	machines, err := b.source.Machines(r.Context())
	if err != nil {
		return fmt.Errorf("list machines: %w", err)
	}
	alerts, err := b.source.Alerts(r.Context(), AlertFilter{Limit: maxListed})
	if err != nil {
		return fmt.Errorf("list open alerts: %w", err)
	}
	open := map[drumbeat.MachineID]*drumbeat.Alert{}
	for i := range alerts {
		open[alerts[i].Machine] = &alerts[i]
	}
	v := b.fleetView(machines, open, r.URL.Query())
	return b.show(w, r, http.StatusOK, "fleet", &page{Title: v.Headline, Here: "fleet", Follow: true, Main: v})
}

func (b *board) fleetView(
	machines []drumbeat.Machine, open map[drumbeat.MachineID]*drumbeat.Alert, q url.Values,
) *fleetView {
	v := &fleetView{
		State: drumbeat.MachineState(q.Get("state")), Search: shortened(q.Get("q"), maxSearch), Total: len(machines),
	}
	v.Filtered = v.State != "" || v.Search != ""
	counts := map[drumbeat.MachineState]int{}
	loud := 0
	for i := range machines {
		counts[machines[i].State]++
		t := b.tile(&machines[i], open)
		if isLoud(&t) {
			loud++
		}
		if v.State != "" && t.State != v.State || !matches(&t, v.Search) {
			continue
		}
		if isLoud(&t) {
			v.Loud = append(v.Loud, t)
		} else {
			v.Quiet = append(v.Quiet, t)
		}
	}
	slices.SortFunc(v.Loud, byRisk)
	slices.SortFunc(v.Quiet, byRisk)
	for _, list := range []*[]tile{&v.Loud, &v.Quiet} {
		most := maxTiles
		if list == &v.Loud {
			most = maxCards
		}
		if len(*list) > most {
			v.More += len(*list) - most
			*list = (*list)[:most]
		}
	}
	v.Headline, v.Under = headline(loud, counts, len(machines))
	v.Chips = v.chips(b.base, counts)
	return v
}

// tile makes a machine's entry.
func (b *board) tile(m *drumbeat.Machine, open map[drumbeat.MachineID]*drumbeat.Alert) tile {
	t := tile{Machine: *m, Risk: math.NaN(), Alert: open[m.ID]}
	var about []string
	for _, value := range m.Static {
		if value != "" {
			about = append(about, strings.ReplaceAll(value, "_", " "))
		}
	}
	if len(about) > 0 {
		t.About = about[0]
	}
	p := m.Prediction
	if p == nil && t.Alert != nil {
		p = &t.Alert.Latest
	}
	if p != nil {
		t.Risk = p.Probability
	}
	if p != nil {
		t.Reason = because(*p)
	}
	if t.Reason == "" && t.Alert != nil {
		t.Reason = because(t.Alert.Latest)
	}
	return t
}

// because is the weightiest reason that raises the risk, "" without one.
func because(p drumbeat.Prediction) string {
	for i := range p.Reasons {
		if p.Reasons[i].Contribution > 0 && p.Reasons[i].Text != "" {
			return p.Reasons[i].Text
		}
	}
	return ""
}

// isLoud says whether a machine needs somebody now.
func isLoud(t *tile) bool {
	return t.Alert != nil || t.State == drumbeat.StateAtRisk || t.State == drumbeat.StateDown
}

// matches says whether a machine's name or attributes hold every word of the
// search.
func matches(t *tile, search string) bool {
	text := strings.ToLower(string(t.ID) + " " + stateWord(t.State) + " " + strings.Join(t.Static, " "))
	for word := range strings.FieldsSeq(strings.ToLower(search)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// byRisk orders by risk as it is shown, in whole per cents, so that the page
// does not shuffle machines that look the same.
func byRisk(x, y tile) int {
	return cmp.Or(
		cmp.Compare(rank(&x), rank(&y)),
		-cmp.Compare(shown(&x), shown(&y)),
		cmp.Compare(x.ID, y.ID),
	)
}

func rank(t *tile) int {
	if t.State == drumbeat.StateNotWatched {
		return 0 // before the other quiet ones: silence is not health
	}
	if t.State == drumbeat.StateOff {
		return 2
	}
	return 1
}

func shown(t *tile) float64 {
	if !t.Known() {
		return -1
	}
	return math.Round(t.Risk * 100)
}

// headline says how the fleet is in one sentence and a half.
func headline(loud int, counts map[drumbeat.MachineState]int, total int) (first, second string) {
	switch {
	case total == 0:
		return "No machines yet", "They appear here as soon as they are announced."
	case loud == 0:
		first = "All quiet"
	case loud == 1:
		first = "1 machine needs you"
	default:
		first = count(loud, "machine needs you", "machines need you")
	}
	var parts []string
	if n := counts[drumbeat.StateHealthy] + counts[drumbeat.StateOff]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d %s quiet", n, total, plural(n, "is", "are")))
	}
	if n := counts[drumbeat.StateNotWatched]; n > 0 {
		parts = append(parts, count(n, "is silent and not watched", "are silent and not watched"))
	}
	if n := counts[drumbeat.StateWarmingUp]; n > 0 {
		parts = append(parts, count(n, "is too new to judge well", "are too new to judge well"))
	}
	if len(parts) == 0 {
		return first, ""
	}
	return first, strings.Join(parts, ", ") + "."
}

func (v *fleetView) chips(base string, counts map[drumbeat.MachineState]int) []chip {
	link := func(state drumbeat.MachineState) string {
		q := url.Values{}
		if state != "" {
			q.Set("state", string(state))
		}
		if v.Search != "" {
			q.Set("q", v.Search)
		}
		if len(q) == 0 {
			return base + "/"
		}
		return base + "/?" + q.Encode()
	}
	list := []chip{{Count: v.Total, Current: v.State == "", Link: link("")}}
	for _, state := range stateOrder {
		if counts[state] > 0 || v.State == state {
			list = append(list, chip{State: state, Count: counts[state], Current: v.State == state, Link: link(state)})
		}
	}
	return list
}

// shortened cuts a text to at most so many runes.
func shortened(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most])
}

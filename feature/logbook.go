package feature

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"drumbeat"
	"drumbeat/fleet"
)

// maxEntries bounds what is kept of one log of one machine: three entries an
// hour for two years. Beyond it the oldest are forgotten.
const maxEntries = 1 << 16

// logbook holds the newest revision of each entry of a log (T7).
type logbook struct {
	entries map[string]entry
}

type entry struct {
	revision  int64
	withdrawn bool
	t         int64
	kind      string
}

// enterLog takes a log entry, unless the view does not use its log. An older
// revision than the known one changes nothing.
func (m *machine) enterLog(p *plan, item *drumbeat.Item) bool {
	log := slices.IndexFunc(p.logs, func(i int) bool { return p.view.Fleet.Logs[i].Name == item.Entry.Log })
	if log < 0 {
		return false
	}
	book := &m.logs[log]
	if book.entries == nil {
		book.entries = map[string]entry{}
	}
	known, ok := book.entries[item.Entry.ID]
	if ok && item.Entry.Revision <= known.revision {
		return true
	}
	if ok && !known.withdrawn {
		m.count(p, log, known, (*series).remove)
	}
	now := entry{
		revision: item.Entry.Revision, withdrawn: item.Entry.Withdrawn,
		t: item.EventTime.Milliseconds(), kind: item.Entry.Type,
	}
	book.entries[item.Entry.ID] = now
	if !now.withdrawn {
		m.count(p, log, now, (*series).add)
	}
	if len(book.entries) > maxEntries {
		m.forget(p, log)
	}
	return true
}

// count changes the series that an entry belongs to.
func (m *machine) count(p *plan, log int, e entry, change func(*series, int64)) {
	for i, of := range p.series {
		if of.log == log && (of.kind == "" || of.kind == e.kind) {
			change(&m.series[i], e.t)
		}
	}
}

// forget drops the oldest quarter of a log's entries.
func (m *machine) forget(p *plan, log int) {
	entries := m.logs[log].entries
	ids := make([]string, 0, len(entries))
	for id := range entries {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(entries[a].t, entries[b].t), cmp.Compare(a, b))
	})
	for _, id := range ids[:len(ids)/4] {
		if e := entries[id]; !e.withdrawn {
			m.count(p, log, e, (*series).remove)
		}
		delete(entries, id)
	}
}

// maxVersions bounds what is kept of a machine's static attributes; the
// oldest but the first are forgotten.
const maxVersions = 1000

// loadStatic takes a machine record, unless it changes nothing that the view
// uses at any time (V5).
func (m *machine) loadStatic(p *plan, item *drumbeat.Item) bool {
	if len(p.static) == 0 {
		return false
	}
	v := version{from: item.EventTime.Milliseconds(), position: item.Position, values: p.staticValues(item.Static)}
	i, found := slices.BinarySearchFunc(m.versions, v, func(a, b version) int {
		return cmp.Or(cmp.Compare(a.from, b.from), a.position.Compare(b.position))
	})
	if found {
		return false
	}
	changed := len(m.versions) == 0 || !sameBits(m.versions[max(0, i-1)].values, v.values)
	m.versions = slices.Insert(m.versions, i, v)
	if len(m.versions) > maxVersions {
		m.versions = slices.Delete(m.versions, 1, 2)
	}
	return changed
}

// staticValues computes the view's static features from a machine's
// attributes.
func (p *plan) staticValues(attributes []string) []float64 {
	values := make([]float64, len(p.static))
	for i, index := range p.static {
		f := &p.view.Features[index]
		text := ""
		if f.Static < len(attributes) {
			text = attributes[f.Static]
		}
		values[i] = staticValue(&p.view.Fleet.Static[f.Static], f, text)
	}
	return values
}

// staticValue computes one static feature (V5).
func staticValue(a *fleet.Attribute, f *Feature, text string) float64 {
	switch f.Agg { //nolint:exhaustive // the four of an attribute
	case AggOneHot:
		if text == f.Category {
			return 1
		}
		return 0
	case AggCategory:
		if i := slices.Index(a.Values, text); i >= 0 {
			return float64(i)
		}
		return math.NaN()
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return math.NaN()
	}
	if f.Agg == AggNumber {
		return x
	}
	bin := 0 // [lo, hi): a value at a bound is in the bin that it opens
	for bin < len(f.Bins) && x >= f.Bins[bin] {
		bin++
	}
	return float64(bin)
}

// sameBits says whether two lists of values are the same to the bit.
func sameBits(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}

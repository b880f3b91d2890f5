package label

import (
	"slices"
	"time"

	"drumbeat"
)

// logbook is what is known of one machine's failures and maintenance: of each
// entry the newest revision (T7). An entry is known by log and id; the machine
// is given, because a revision reaches only the machine under whose key it
// comes.
type logbook struct {
	Failures    []Known `json:"failures,omitempty"`
	Maintenance []Known `json:"maintenance,omitempty"`
}

// Known is the newest revision of an entry that a Watch has seen.
type Known struct {
	ID        string        `json:"id"`
	Revision  int64         `json:"revision,omitempty"`
	Withdrawn bool          `json:"withdrawn,omitempty"`
	At        drumbeat.Time `json:"at"`
	Type      string        `json:"type,omitempty"`
}

// add takes an entry and says whether it changed what is known: a lower or an
// equal revision does not.
func (b *logbook) add(item *drumbeat.Item) bool {
	list := b.list(item.Entry.Log)
	if list == nil {
		return false
	}
	for i := range *list {
		if (*list)[i].ID != item.Entry.ID {
			continue
		}
		if item.Entry.Revision <= (*list)[i].Revision {
			return false
		}
		(*list)[i] = known(item)
		return true
	}
	*list = append(*list, known(item))
	return true
}

func known(item *drumbeat.Item) Known {
	return Known{
		ID: item.Entry.ID, Revision: item.Entry.Revision, Withdrawn: item.Entry.Withdrawn,
		At: item.EventTime, Type: item.Entry.Type,
	}
}

func (b *logbook) list(log string) *[]Known {
	switch log {
	case FailureLog:
		return &b.Failures
	case MaintenanceLog:
		return &b.Maintenance
	}
	return nil
}

// downEnd returns when the down time of a failure at f ends: at the first
// maintenance at or after it, at most downMax later (L2).
func (b *logbook) downEnd(f drumbeat.Time, downMax time.Duration) drumbeat.Time {
	end := f.Add(downMax)
	for i := range b.Maintenance {
		m := &b.Maintenance[i]
		if !m.Withdrawn && m.At >= f && m.At < end {
			end = m.At
		}
	}
	return end
}

// down says whether the machine is down at t, or has failed for good.
func (b *logbook) down(t drumbeat.Time, rule *Rule) bool {
	for i := range b.Failures {
		f := &b.Failures[i]
		if f.Withdrawn || f.At > t {
			continue
		}
		if rule.Terminal || t < b.downEnd(f.At, rule.DownMax) {
			return true
		}
	}
	return false
}

// forget drops entries that lie before t. Failures of a fleet that fails for
// good are kept: they silence for ever.
func (b *logbook) forget(t drumbeat.Time, terminal bool) {
	old := func(k Known) bool { return k.At < t }
	b.Maintenance = slices.DeleteFunc(b.Maintenance, old)
	if !terminal {
		b.Failures = slices.DeleteFunc(b.Failures, old)
	}
}

func (b *logbook) clone() logbook {
	return logbook{Failures: slices.Clone(b.Failures), Maintenance: slices.Clone(b.Maintenance)}
}

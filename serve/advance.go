package serve

import (
	"fmt"
	"sync"

	"drumbeat"
	"drumbeat/feature"
)

// advancer moves records to the times of requests' readings, reusing memory.
type advancer struct {
	workspaces sync.Pool
}

func newAdvancer() *advancer {
	return &advancer{workspaces: sync.Pool{New: func() any { return new(feature.Workspace) }}}
}

func (ad *advancer) advance(
	view *feature.View, rec *feature.Record, item *drumbeat.Item,
) (drumbeat.Vector, feature.Status, error) {
	ws, ok := ad.workspaces.Get().(*feature.Workspace)
	if !ok {
		ws = new(feature.Workspace)
	}
	defer ad.workspaces.Put(ws)
	return view.Advance(rec, item, ws)
}

// folded predicts from a machine's record moved to a reading's time (S2). It
// is live only if the reading was recorded and is used (S4).
func (at moment) folded(rec *feature.Record, item *drumbeat.Item, recorded string, explain bool) (*Answer, error) {
	if rec.Vector.Values == nil {
		return nil, at.usable(item.Machine, &rec.Vector)
	}
	v, status, err := at.advancer.advance(at.Champion.View, rec, item)
	if err != nil {
		return nil, fmt.Errorf("move machine %s to its reading: %w", item.Machine, err)
	}
	asked := Asked{Purpose: drumbeat.PurposeQuery}
	switch status {
	case feature.StatusUsed:
		if asked.ReadingID = recorded; recorded != "" {
			asked.Purpose, asked.Why = drumbeat.PurposeLive, WhyAlarm
		} else {
			asked.ReadingID = readingID(item.Raw)
		}
	case feature.StatusOlder, feature.StatusStale:
		if err := at.usable(item.Machine, &v); err != nil {
			return nil, err
		}
		asked.Flags = []string{FlagNotUsed}
		if status == feature.StatusStale {
			asked.Flags = []string{FlagStale}
		}
	}
	return at.answer(&v, asked, explain)
}

package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"drumbeat"
)

// alertsView is the list of alerts.
type alertsView struct {
	Open, Past []drumbeat.Alert
	Capped     bool // there are more
}

// alertsPage lists the open alerts, the likeliest failure first, and the past
// ones, the newest first.
func (b *board) alertsPage(w http.ResponseWriter, r *http.Request) error {
	list, err := b.source.Alerts(r.Context(), AlertFilter{Closed: true, Limit: maxListed})
	if err != nil {
		return fmt.Errorf("list alerts: %w", err)
	}
	open, err := b.source.Alerts(r.Context(), AlertFilter{Limit: maxListed})
	if err != nil {
		return fmt.Errorf("list open alerts: %w", err)
	}
	v := &alertsView{Capped: len(list) >= maxListed, Open: slices.Clone(open)}
	for i := range list {
		if list[i].ClosedAt != drumbeat.NoTime {
			v.Past = append(v.Past, list[i])
		}
	}
	slices.SortStableFunc(v.Open, func(x, y drumbeat.Alert) int {
		return -cmp.Compare(x.Latest.Probability, y.Latest.Probability)
	})
	return b.show(w, r, http.StatusOK, "alerts", &page{Title: "Alerts", Here: "alerts", Follow: true, Main: v})
}

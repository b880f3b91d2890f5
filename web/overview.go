package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"drumbeat"
)

// overviewView is the page of all fleets.
type overviewView struct {
	Headline, Under string
	Fleets          []fleetCard // worst first
}

// fleetCard is a fleet in the overview.
type fleetCard struct {
	Title, Link string
	Name        drumbeat.FleetName
	Broken      bool // it cannot be read; the log says why

	Machines                  int
	AtRisk, Down, NotWatched  int
	OpenAlerts                int
	MoreAlerts                bool // more than are counted
	Verdict                   sign // in a word
	Model, Drift, Foretelling sign
}

// overviewPage lists the fleets, worst first; the only one is opened at once.
func (s *Site) overviewPage(w http.ResponseWriter, r *http.Request) error {
	if len(s.boards) == 1 {
		http.Redirect(w, r, s.boards[0].base+"/", http.StatusSeeOther)
		return nil
	}
	v := &overviewView{Fleets: make([]fleetCard, len(s.boards))}
	var all sync.WaitGroup // a slow fleet holds up the page once, not each after the other
	for i, b := range s.boards {
		all.Go(func() { v.Fleets[i] = b.card(r.Context()) })
	}
	all.Wait()
	slices.SortStableFunc(v.Fleets, func(x, y fleetCard) int {
		return cmp.Or(
			cmp.Compare(x.Verdict.worse(), y.Verdict.worse()),
			-cmp.Compare(x.AtRisk+x.Down, y.AtRisk+y.Down),
			-cmp.Compare(x.NotWatched, y.NotWatched),
		)
	})
	v.Headline, v.Under = overviewHeadline(v.Fleets)
	return s.show(w, r, http.StatusOK, "overview", &page{Title: v.Headline, Rest: overviewRest, Main: v})
}

// overviewRest is how often the overview renews itself, in seconds: every
// fleet is asked each time.
const overviewRest = 10

// card asks a fleet how it is. What cannot be read is logged: the other fleets
// are shown all the same.
func (b *board) card(ctx context.Context) fleetCard {
	c := fleetCard{Title: b.title(), Link: b.base + "/", Name: b.source.Fleet.Name}
	if err := b.fill(ctx, &c); err != nil {
		b.opt.Log.ErrorContext(ctx, "fleet not shown in the overview", "fleet", c.Name, "error", err)
		return fleetCard{
			Title: c.Title, Link: c.Link, Name: c.Name, Broken: true,
			Verdict: sign{signBad, "Cannot be read", ""},
		}
	}
	return c
}

func (b *board) fill(ctx context.Context, c *fleetCard) error {
	machines, err := b.source.Machines(ctx)
	if err != nil {
		return fmt.Errorf("list machines: %w", err)
	}
	alerts, err := b.source.Alerts(ctx, AlertFilter{Limit: maxListed})
	if err != nil {
		return fmt.Errorf("list open alerts: %w", err)
	}
	models, err := b.models(ctx)
	if err != nil {
		return err
	}
	health, err := b.health(ctx)
	if err != nil {
		return err
	}
	c.Machines, c.OpenAlerts, c.MoreAlerts = len(machines), len(alerts), len(alerts) >= maxListed
	for i := range machines {
		switch machines[i].State { //nolint:exhaustive // the other states need nobody
		case drumbeat.StateAtRisk:
			c.AtRisk++
		case drumbeat.StateDown:
			c.Down++
		case drumbeat.StateNotWatched:
			c.NotWatched++
		}
	}
	c.Model, c.Drift, c.Foretelling = modelSign(&models), driftSign(health.Drift), liveSign(health.Live)
	c.Verdict = c.verdict()
	return nil
}

// verdict is how a fleet is in a word: the worst of what is known.
func (c *fleetCard) verdict() sign {
	switch worst := min(c.Model.worse(), c.Drift.worse(), c.Foretelling.worse()); {
	case c.AtRisk+c.Down > 0:
		return sign{signBad, "Needs you", count(c.AtRisk+c.Down, "machine", "machines")}
	case c.Model.Kind != signGood:
		return sign{signWarn, "No model yet", ""}
	case c.NotWatched > 0:
		return sign{signWarn, "Partly blind", count(c.NotWatched, "machine is silent", "machines are silent")}
	case worst <= (sign{Kind: signWarn}).worse():
		return sign{signWarn, "Look at its health", ""}
	case c.Machines == 0:
		return sign{signUnknown, "No machines yet", ""}
	}
	return sign{signGood, "All quiet", ""}
}

func overviewHeadline(cards []fleetCard) (first, second string) {
	needy, machines := 0, 0
	for i := range cards {
		machines += cards[i].Machines
		if cards[i].Verdict.Kind == signBad {
			needy++
		}
	}
	second = fmt.Sprintf("%s in %s.", count(machines, "machine", "machines"), count(len(cards), "fleet", "fleets"))
	if needy == 0 {
		return "All quiet", second
	}
	return count(needy, "fleet needs you", "fleets need you"), second
}

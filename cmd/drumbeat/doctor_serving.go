package main

import (
	"context"
	"slices"

	"drumbeat"
)

// servingChecks look at what is served: machines, vectors, alerts.
func servingChecks() []check {
	needs := []string{partFolder, partObjects, partDefinition, partLake, partOnline, partAlerts}
	return []check{
		{name: "watched", what: "machines that are silent though they should report (A3)", needs: needs, fleet: checkWatched},
		{name: "online-machines", what: "the online store has every machine with readings", needs: needs, fleet: checkOnlineMachines},
		{name: "online-age", what: "vectors young enough to be served (P3)", needs: needs, fleet: checkOnlineAge},
		{name: "open-alerts", what: "alerts open for longer than the horizon", needs: needs, fleet: checkOpenAlerts},
	}
}

// clockNow is the fleet's clock.
func (p *patient) clockNow(ctx context.Context, e *exam) (drumbeat.Time, error) {
	tables, err := p.opened(ctx)
	if err != nil {
		return drumbeat.NoTime, err
	}
	return e.host.freshness(p.depot, tables).Now, nil
}

func checkWatched(ctx context.Context, e *exam, p *patient) verdict {
	now, err := p.clockNow(ctx, e)
	if err != nil {
		return skipped("the tables do not read")
	}
	m, err := p.machinesStatus(ctx, now)
	if err != nil {
		return e.unreadable(err)
	}
	switch {
	case m.Unseen > 0:
		return skipped("the online store holds no vectors of this view yet: `drumbeat run --data %s` makes them", e.dir)
	case m.NotWatched > 0:
		return found("%d of %d are silent for more than %d cadences of %s: %s", m.NotWatched, m.Total, silentCadences, p.def.Cadence, some(m.Silent)).
			but("look at their power, network and gateway; a machine that is switched off says so by its last reading (running: in %s)", p.home("fleet.yaml"))
	}
	return good("%s", m.text())
}

func checkOnlineMachines(ctx context.Context, e *exam, p *patient) verdict {
	online, err := p.online.Machines(ctx, p.view.Hash)
	if err != nil {
		return e.unreadable(err)
	}
	if len(online) == 0 {
		return skipped("the online store holds no vectors of this view yet: `drumbeat run --data %s` makes them", e.dir)
	}
	spans, err := p.heard(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	var missing, unknown []drumbeat.MachineID
	for id := range spans {
		if _, there := slices.BinarySearch(online, id); !there {
			missing = append(missing, id)
		}
	}
	for _, id := range online {
		if _, heard := spans[id]; !heard {
			unknown = append(unknown, id)
		}
	}
	slices.Sort(missing)
	switch {
	case len(missing) > 0:
		return found("%d machines have readings and no vector: %s", len(missing), some(missing)).
			bad("stop the daemon, rm %s*, and drumbeat run --data %s fills it anew", p.home(onlineFile), e.dir)
	case len(unknown) > 0 && !e.running():
		return found("%d machines have a vector and no reading in silver: %s", len(unknown), some(unknown)).
			but("drumbeat run --data %s brings silver up to the stream", e.dir)
	}
	return good("%d machines", len(online))
}

func checkOnlineAge(ctx context.Context, e *exam, p *patient) verdict {
	now, err := p.clockNow(ctx, e)
	if err != nil {
		return skipped("the tables do not read")
	}
	online, err := p.online.Machines(ctx, p.view.Hash)
	if err != nil {
		return e.unreadable(err)
	}
	records, err := p.online.Read(ctx, p.view.Hash, online, false)
	if err != nil {
		return e.unreadable(err)
	}
	var old []drumbeat.MachineID
	for i := range records {
		if p.view.OutsideMaxAge(records[i].Vector.AsOf, now) {
			old = append(old, online[i])
		}
	}
	switch {
	case len(online) == 0:
		return skipped("the online store holds no vectors of this view yet")
	case len(old) > 0:
		return found("%d of %d vectors are older than ttl %s and answered with null: %s", len(old), len(online), durationText(p.view.TTL), some(old)).
			but("see why these machines stopped sending, or take them out of service with their last reading")
	case p.view.TTL == 0:
		return good("ttl 0: no vector is ever too old")
	}
	return good("%d vectors, each younger than %s", len(online), durationText(p.view.TTL))
}

func checkOpenAlerts(ctx context.Context, e *exam, p *patient) verdict {
	now, err := p.clockNow(ctx, e)
	if err != nil {
		return skipped("the tables do not read")
	}
	open := p.alerts.Open()
	var old []drumbeat.MachineID
	for i := range open {
		if now.Sub(open[i].OpenedAt) > p.def.Label.Horizon {
			old = append(old, open[i].Machine)
		}
	}
	if len(old) > 0 {
		return found("%d of %d alerts are open for longer than %s: %s", len(old), len(open), p.def.Label.HorizonText, some(old)).
			but("inspect these machines and say on their pages what was found (drumbeat alerts %s)", p.where())
	}
	return good("%d open, none for longer than %s", len(open), p.def.Label.HorizonText)
}

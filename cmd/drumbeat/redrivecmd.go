package main

import (
	"context"
	"net/http"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/fleet"
	"drumbeat/ingest"
	"drumbeat/lake"
	"drumbeat/topic"
)

// redriveQuery says which dead letters to send again, and how.
type redriveQuery struct {
	LetterQuery

	Again  bool `query:"again" doc:"Also those that were redriven before"`
	DryRun bool `query:"dry_run" doc:"Only count"`
}

// redriven says what was done.
type redriven struct {
	Matched  int64    `json:"matched"`
	Sent     int      `json:"sent"`
	Before   int      `json:"redriven_before" doc:"Left alone: they were redriven before"`
	Ingested bool     `json:"ingested" doc:"Bronze, or the dead letters, hold them again"`
	Places   []string `json:"places" doc:"Where those sent stand now"`
}

// redriveTime is how long a redrive may take over the API.
const redriveTime = 10 * time.Minute

func redriveLetters() *operation[redriveQuery, output[redriven]] {
	return &operation[redriveQuery, output[redriven]]{
		method: http.MethodPost, path: "/v1/deadletters/redrive", id: "redrive-dead-letters", least: access.Engineer, timeout: redriveTime,
		summary: "Send dead letters again: each once, judged by when it first arrived",
		run: func(ctx context.Context, h *host, who access.Person, in *redriveQuery) (*output[redriven], error) {
			d, err := h.daemon(in.Fleet)
			if err != nil {
				return nil, err
			}
			done, err := d.redrive(ctx, in)
			if err == nil && done.Sent > 0 {
				err = h.access.Record(ctx, access.Act{By: who, What: "dead letters redriven", Subject: string(d.def.Name)})
			}
			return answer(done, err)
		},
	}
}

// redrive sends what matches again and waits until it was ingested.
func (d *daemon) redrive(ctx context.Context, in *redriveQuery) (done redriven, err error) {
	if err := d.openIdle(ctx); err != nil {
		return done, err
	}
	found, before, matched, err := in.find(ctx, d.depot)
	if err != nil {
		return done, err
	}
	done = redriven{Matched: matched, Places: []string{}}
	var chosen []lake.DeadLetter
	now := d.arrivalNow()
	for i := range found {
		if before[found[i].Position] && !in.Again {
			done.Before++
			continue
		}
		chosen = append(chosen, found[i])
		now = max(now, found[i].ArrivalTime) // it does not arrive before it arrived
	}
	if done.Sent = len(chosen); in.DryRun || len(chosen) == 0 {
		return done, nil
	}
	places, err := ingest.Redrive(ctx, d.writer, d.telemetry, chosen, now)
	for _, place := range places {
		done.Places = append(done.Places, place.String())
	}
	if err != nil {
		return done, err
	}
	done.Ingested, err = d.ingested(ctx, places)
	return done, err
}

// arrivalNow is when a record that is sent now arrives (T1, T6).
func (d *daemon) arrivalNow() drumbeat.Time {
	if d.def.Clock == fleet.ClockWall {
		return drumbeat.At(wallNow())
	}
	return d.now()
}

// ingested waits until bronze holds what stands at the places: a running
// daemon brings it there, otherwise we do.
func (d *daemon) ingested(ctx context.Context, places []drumbeat.Position) (bool, error) {
	if !d.running.Load() {
		ends, err := topic.Ends(ctx, d.kafka, d.telemetry.Name)
		if err != nil {
			return false, err
		}
		return true, d.ingester.Drain(ctx, ends)
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for range 100 { // ten seconds: five times what a commit waits
		progress, all := d.lake.BronzeProgress(), true
		for _, place := range places {
			all = all && progress[place.Partition] > place.Offset
		}
		if all {
			return true, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, nil
}

// redriveLetterCommand sends dead letters again.
type redriveLetterCommand struct {
	letterFlags

	Position string `arg:"" optional:"" help:"Only the one at this position."`
	Again    bool   `help:"Also those that were redriven before."`
	DryRun   bool   `help:"Only count, send nothing."`
}

// Run sends them and says what became of it.
func (c *redriveLetterCommand) Run(ctx context.Context, p *process) error {
	query := redriveQuery{LetterQuery: c.query(), Again: c.Again, DryRun: c.DryRun}
	query.Position = c.Position
	out, err := call(ctx, p, c.Data, redriveLetters(), &query)
	if err != nil {
		return err
	}
	done := &out.Body
	if c.JSON {
		return printJSON(p.stdout, done)
	}
	verb := "sent again"
	if c.DryRun {
		verb = "would be sent again"
	}
	p.say("%d match, %d %s, %d were redriven before", done.Matched, done.Sent, verb, done.Before)
	if !done.Ingested && done.Sent > 0 && !c.DryRun {
		p.say("they are in the topic; bronze will hold them when the daemon has come so far")
	}
	return nil
}

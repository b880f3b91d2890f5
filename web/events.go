package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"drumbeat"
)

// streamLife is how long one stream of events may last: then the browser asks
// again, and who asks is looked at again.
const streamLife = 5 * time.Minute

// eventBody is what a follower is told of an alert.
type eventBody struct {
	ID      string             `json:"id"`
	Machine drumbeat.MachineID `json:"machine"`
	Words   string             `json:"words"`
	Percent string             `json:"percent"`
}

// beatBody is what a follower is told now and then.
type beatBody struct {
	Day   string `json:"day"`
	Clock string `json:"clock"`
}

// events streams changes of alerts as server-sent events. A follower that
// comes back says with Last-Event-ID where it was.
func (b *board) events(w http.ResponseWriter, r *http.Request) error {
	select {
	case b.streams <- struct{}{}:
		defer func() { <-b.streams }()
	default:
		return fmt.Errorf("follow events: %d pages follow already: %w", maxStreams, drumbeat.ErrLimit)
	}
	after := int64(-1)
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		parsed, err := strconv.ParseInt(last, 10, 64)
		if err != nil || parsed < 0 {
			return fmt.Errorf("follow events: Last-Event-ID %q: want a whole number: %w", last, drumbeat.ErrInvalid)
		}
		after = parsed
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	changes, err := b.source.Subscribe(ctx, after)
	if err != nil {
		return fmt.Errorf("follow events: %w", err)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := stream{w: w, flush: http.NewResponseController(w)}
	defer out.release()
	if out.send("retry: 2000\n\n") != nil || out.beat(b.source.Now()) != nil {
		return nil // the follower went away before it began
	}
	beat := time.NewTicker(b.opt.Beat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-b.stopped:
			return nil
		case <-beat.C:
			err = out.beat(b.source.Now())
		case event, more := <-changes:
			if !more {
				return nil
			}
			if event.Change != Updated { // the next beat shows the newer figures
				err = out.change(&event)
			}
		}
		if err != nil {
			return nil // the follower went away
		}
	}
}

// stream writes server-sent events.
type stream struct {
	w     http.ResponseWriter
	flush *http.ResponseController
}

// slowFollower is how long a write to a follower may take: a browser that
// reads nothing for so long is gone.
const slowFollower = 10 * time.Second

func (o *stream) send(text string) error {
	// Recorders in tests have no deadline; real connections do.
	_ = o.flush.SetWriteDeadline(time.Now().Add(slowFollower))
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.flush.Flush()
}

// release leaves the connection without a deadline to the next request.
func (o *stream) release() { _ = o.flush.SetWriteDeadline(time.Time{}) }

func (o *stream) beat(now drumbeat.Time) error {
	body, err := json.Marshal(beatBody{Day: day(now), Clock: clock(now)})
	if err != nil {
		return err
	}
	return o.send("event: beat\ndata: " + string(body) + "\n\n")
}

func (o *stream) change(e *Event) error {
	p := e.Alert.Latest.Probability
	body, err := json.Marshal(eventBody{ID: e.Alert.ID, Machine: e.Alert.Machine, Words: likely(p), Percent: percent(p)})
	if err != nil {
		return err
	}
	return o.send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Change, body))
}

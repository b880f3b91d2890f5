package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"drumbeat"
	"drumbeat/lake"
	"drumbeat/topic"
)

const (
	// tick is how often the producer sends: an open loop, whatever the rest of
	// the machine does.
	tick = 50 * time.Millisecond
	// look is how often a reader of the table asks what is new.
	look = 50 * time.Millisecond
	// settle is left out of the figures: the first commits find cold files.
	settle = 5 * time.Second
)

// accepted is a batch that the broker has acknowledged.
type accepted struct {
	at   time.Time
	ends map[int32]int64 // the next offset of each partition
}

// ledger is what was accepted and has not been seen in the table yet.
type ledger struct {
	mu      sync.Mutex
	waiting []accepted
	sent    int64
}

func (l *ledger) add(a accepted, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting, l.sent = append(l.waiting, a), l.sent+n
}

// seen takes out what the progress of the table covers and returns how long
// each batch waited.
func (l *ledger) seen(progress lake.Progress, now time.Time) []float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var waits []float64
	l.waiting = slices.DeleteFunc(l.waiting, func(a accepted) bool {
		for partition, end := range a.ends {
			if progress[partition] < end {
				return false
			}
		}
		waits = append(waits, now.Sub(a.at).Seconds())
		return true
	})
	return waits
}

// fresh sends readings at a fixed rate into the topic while they are ingested,
// and watches from outside, through a lake of its own, when their rows are
// there.
func (s *step) fresh(ctx context.Context) (out outcome, err error) {
	broker, t, err := s.broker(ctx)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	writing, err := s.openLake(ctx)
	if err != nil {
		return out, err
	}
	watching, err := s.openLake(ctx)
	if err != nil {
		return out, err
	}
	in, err := s.ingester(ctx, broker.Config(), t, writing)
	if err != nil {
		return out, err
	}
	writer, err := topic.NewWriter(ctx, broker.Config())
	if err != nil {
		return out, err
	}
	defer writer.Close()
	if err := writer.Write(ctx, s.declarations()); err != nil {
		return out, err
	}
	var held ledger
	loading, stop := context.WithTimeout(ctx, s.length)
	defer stop()
	ingesting, end := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return in.Run(ingesting) })
	group.Go(func() error {
		defer end()
		err := s.load(loading, ctx, writer, &held)
		return errors.Join(err, s.quiet(ctx, &held))
	})
	began := time.Now()
	group.Go(func() error { return watch(ingesting, watching, &held, began, &out) })
	err = group.Wait()
	out.Rows, out.Seconds = held.sent, s.length.Seconds()
	return out, err
}

// quiet waits, at most half a minute, until everything sent was seen.
func (s *step) quiet(ctx context.Context, held *ledger) error {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for range 600 {
		held.mu.Lock()
		waiting := len(held.waiting)
		held.mu.Unlock()
		if waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return fmt.Errorf("%d batches of readings never came to the table", len(held.waiting))
}

// declarations are the machine records of the fleet.
func (s *step) declarations() []topic.Record {
	records := make([]topic.Record, s.machines)
	for i := range records {
		id := fmt.Sprintf("W-%05d", i)
		records[i] = topic.Record{
			Topic: topicName, Key: id, Type: "machine", Time: drumbeat.At(time.Now()),
			Value: []byte(`{"machine_id":"` + id + `","location":"north","model_year":"2019","age_months":"60","capacity_kg":"40"}`),
		}
	}
	return records
}

// load sends readings until loading ends. Each tick sends what is due, so a
// slow broker makes it late, never slower in sum.
func (s *step) load(loading, ctx context.Context, writer *topic.KafkaWriter, held *ledger) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	began, sent := time.Now(), int64(0)
	for {
		select {
		case <-loading.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		due := int64(time.Since(began).Seconds()*float64(s.rate)) - sent
		records := s.readings(sent, due)
		if err := writer.Write(ctx, records); err != nil {
			return err
		}
		ends := map[int32]int64{}
		for i := range records {
			ends[records[i].Partition] = max(ends[records[i].Partition], records[i].Offset+1)
		}
		sent += due
		held.add(accepted{at: time.Now(), ends: ends}, due)
	}
}

// readings returns n readings, from the given one on; machine by machine, each
// a millisecond after its last.
func (s *step) readings(from, n int64) []topic.Record {
	records := make([]topic.Record, n)
	now := drumbeat.At(time.Now())
	for i := range records {
		at := from + int64(i)
		id := fmt.Sprintf("W-%05d", at%int64(s.machines))
		text := make([]byte, 0, 176)
		text = append(text, `{"machine_id":"`...)
		text = append(text, id...)
		text = append(text, `","timestamp":"`...)
		text = append(text, now.String()...)
		text = append(text, `","temperature_c":`...)
		text = strconv.AppendInt(text, 40+at%50, 10)
		text = append(text, `.25,"vibration_hz":`...)
		text = strconv.AppendInt(text, 20+at%30, 10)
		text = append(text, `.125,"pressure_bar":2.013,"power_kw":11.250,"runtime_hours":`...)
		text = strconv.AppendInt(text, 1000+at/1_000_000, 10)
		text = append(text, `.25,"error_code_count":0}`...)
		records[i] = topic.Record{Topic: topicName, Key: id, Type: "reading", Value: text, Time: now}
	}
	return records
}

// watch asks the table again and again what it holds, until ctx ends.
func watch(ctx context.Context, l *lake.Lake, held *ledger, began time.Time, out *outcome) error {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	var waits []float64
	last, rows, due := began, int64(0), 10*time.Second
	for {
		select {
		case <-ctx.Done():
			slices.Sort(waits)
			if n := len(waits); n > 0 {
				out.P50, out.P99, out.Max = waits[n/2], waits[n*99/100], waits[n-1]
			}
			return nil
		case <-ticker.C:
		}
		progress, err := l.RefreshBronze(ctx)
		if ctx.Err() != nil {
			continue
		}
		if err != nil {
			return err
		}
		now := time.Now()
		if found := held.seen(progress, now); now.Sub(began) > settle {
			waits = append(waits, found...)
		}
		if now.Sub(began) >= due {
			due += 10 * time.Second
			var in int64
			for _, end := range progress {
				in += end
			}
			held.mu.Lock()
			lag := max(held.sent-in, 0)
			held.mu.Unlock()
			out.Series = append(out.Series, sample{
				Second: now.Sub(began).Seconds(), Rate: float64(in-rows) / now.Sub(last).Seconds(), Lag: lag, RSS: resident(), Holding: heap(),
			})
			last, rows = now, in
		}
	}
}

// resident returns this process's resident memory in MB.
func resident() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseFloat(fields[1], 64)
	return pages * float64(os.Getpagesize()) / (1 << 20)
}

// heap returns the live heap in MB as of the last collection.
func heap() float64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64()) / (1 << 20)
}

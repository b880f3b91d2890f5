package ingest

import (
	"context"
	"encoding/json"
	"fmt"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/topic"
)

// RedriveRecord returns the record that a dead letter becomes when it is sent
// again (T8): the same key, type, payload and headers, with where it stood and
// when it first arrived. It arrives now.
func RedriveRecord(name string, letter *lake.DeadLetter, now drumbeat.Time) topic.Record {
	headers := map[string]string{}
	if letter.Headers != "" {
		// Ingest wrote it; what another hand wrote is no header of ours.
		_ = json.Unmarshal([]byte(letter.Headers), &headers)
	}
	first := letter.ArrivalTime
	if form := fleet.FormOf(letter.Type, headers); form.RedriveOf != nil {
		first = form.FirstArrival
	}
	headers[fleet.HeaderRedriveOf] = letter.Position.String()
	headers[fleet.HeaderArrival] = first.String()
	return topic.Record{Topic: name, Key: letter.Key, Value: letter.Raw, Type: letter.Type, Headers: headers, Time: now}
}

// Redrive sends dead letters again, in their order, and returns where each
// stands now. Those that were sent before an error stay sent: sent once more
// they are duplicates.
func Redrive(ctx context.Context, w topic.Writer, t topic.Topic, letters []lake.DeadLetter, now drumbeat.Time) ([]drumbeat.Position, error) {
	const most = 1000 // some megabytes at once
	var places []drumbeat.Position
	for len(letters) > 0 {
		n := min(most, len(letters))
		records := make([]topic.Record, n)
		for i := range records {
			records[i] = RedriveRecord(t.Name, &letters[i], now)
		}
		if err := w.Write(ctx, records); err != nil {
			return places, fmt.Errorf("redrive %d dead letters after %d: %w", n, len(places), err)
		}
		for i := range records {
			places = append(places, drumbeat.Position{Epoch: t.Epoch, Partition: records[i].Partition, Offset: records[i].Offset})
		}
		letters = letters[n:]
	}
	return places, nil
}

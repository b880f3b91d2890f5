package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/alert"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/topic"
)

// topicChecks look at the fleet's topics and at how far everything has come.
func topicChecks() []check {
	topics := []string{partFolder, partBroker, partDefinition, partTopics}
	all := append(slices.Clone(topics), partObjects, partLake, partAlerts)
	return []check{
		{name: "epochs", what: "the topics are those that the lake remembers (T2)", needs: append(slices.Clone(topics), partLake), fleet: checkEpochs},
		{name: "arrival-times", what: "clock: wall has a topic that the broker stamps (T1)", needs: topics, fleet: checkStamps},
		{name: "offsets", what: "the stream's committed offsets lie within the topic", needs: topics, fleet: checkOffsets},
		{name: "progress", what: "no part is ahead of the one that it reads", needs: all, fleet: checkProgress},
		{name: "lag", what: "records that wait", needs: all, fleet: checkLag},
	}
}

func checkEpochs(_ context.Context, e *exam, p *patient) verdict {
	restore := fmt.Sprintf("restore broker and objects together from a backup of %s; "+
		"if the topic was made anew on purpose, start with `drumbeat run --data %s`", e.dir, e.dir)
	for _, t := range []topic.Topic{p.telemetry, p.predictions} {
		before, known := e.remembered[t.Name]
		if known && (before.ID != t.ID || before.Partitions != t.Partitions) {
			return found("topic %s has id %.12s and %d partitions, the lake remembers %.12s and %d: epoch %d begins",
				t.Name, t.ID, t.Partitions, before.ID, before.Partitions, t.Epoch).bad("%s", restore)
		}
	}
	if p.lake.Epoch() > p.telemetry.Epoch {
		return found("the lake holds epoch %d, topic %s is in epoch %d: objects/topics was lost or is an older one",
			p.lake.Epoch(), p.telemetry.Name, p.telemetry.Epoch).bad("%s", restore)
	}
	return good("%s has %d partitions, epoch %d; the lake is in epoch %d",
		p.telemetry.Name, p.telemetry.Partitions, p.telemetry.Epoch, p.lake.Epoch())
}

func checkStamps(ctx context.Context, e *exam, p *patient) verdict {
	if p.def.Clock == fleet.ClockData {
		return good("clock: data; whoever writes the topic says when a record arrived")
	}
	// Asked for the settings of clock: wall, an existing topic is only looked at.
	spec := topic.Spec{Name: p.telemetry.Name, Partitions: p.telemetry.Partitions}
	_, err := topic.Ensure(ctx, p.kafka, spec, p.epochs)
	switch {
	case errors.Is(err, drumbeat.ErrConflict):
		return found("clock: wall, and arrival times are those that writers claim: %s", err).
			bad("write clock: data into %s, or keep the fleet on a Kafka broker whose topic has message.timestamp.type=LogAppendTime",
				p.home(fleet.FileName))
	case err != nil:
		return e.unreadable(err)
	}
	return good("the broker stamps every record")
}

func checkOffsets(ctx context.Context, e *exam, p *patient) verdict {
	committed, err := topic.Committed(ctx, p.kafka, p.streamGroup(), p.telemetry.Name)
	if err != nil {
		return e.unreadable(err)
	}
	ends, err := topic.Ends(ctx, p.kafka, p.telemetry.Name)
	if err != nil {
		return e.unreadable(err)
	}
	if ahead := beyond(committed, ends); ahead != "" {
		return found("group %s committed more than topic %s holds: %s", p.streamGroup(), p.telemetry.Name, ahead).
			bad("restore %s whole from a backup: the topic lost records", folderPath(e.dir, brokerDir))
	}
	if len(committed) == 0 {
		return good("the stream has not committed yet")
	}
	return good("committed %d of %d records", sum(committed), sum(ends))
}

// beyond says where a progress is ahead of what it reads.
func beyond(reader, read lake.Progress) string {
	var ahead []string
	for _, partition := range slices.Sorted(maps.Keys(reader)) {
		if reader[partition] > read[partition] {
			ahead = append(ahead, fmt.Sprintf("partition %d at %d of %d", partition, reader[partition], read[partition]))
		}
	}
	return some(ahead)
}

func checkProgress(ctx context.Context, e *exam, p *patient) verdict {
	at, err := p.progressOf(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	published, err := topic.Ends(ctx, p.kafka, p.predictions.Name)
	if err != nil {
		return e.unreadable(err)
	}
	for _, step := range []struct {
		reader, read string
		next, from   lake.Progress
		mend         string
	}{
		{"bronze", "topic " + p.telemetry.Name, at.bronze, at.ends, folderPath(e.dir, brokerDir)},
		{"silver", "bronze", at.silver, at.bronze, folderPath(e.dir, objectDir)},
		{"gold", "silver", at.gold, at.silver, folderPath(e.dir, objectDir)},
		{"the alert store", "topic " + p.predictions.Name, p.alerted(), published, p.home(alertsFile) + " and " + folderPath(e.dir, brokerDir)},
	} {
		if ahead := beyond(step.next, step.from); ahead != "" {
			return found("%s is ahead of %s, which lost what was in it: %s", step.reader, step.read, ahead).
				bad("restore %s from a backup that was made with the rest of the folder", step.mend)
		}
	}
	return good("topic %d, bronze %d, silver %d, gold %d records", sum(at.ends), sum(at.bronze), sum(at.silver), sum(at.gold))
}

// alerted is how far the alert store has come in the predictions topic.
func (d *depot) alerted() lake.Progress {
	next := lake.Progress{}
	for place, offset := range d.alerts.Progress() {
		if place == (alert.Place{Epoch: d.predictions.Epoch, Partition: place.Partition}) {
			next[place.Partition] = offset
		}
	}
	return next
}

func checkLag(ctx context.Context, e *exam, p *patient) verdict {
	lag, err := p.lag(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	v := found("%s", lag.text())
	waiting := lag.Bronze + lag.Silver + lag.Gold
	switch {
	case !e.running() && waiting > 0:
		return v.but("drumbeat run --data %s", e.dir)
	case e.running() && lag.Bronze > fallenBehind:
		return v.but("give the process more cores or a faster disk; see the checks cores, small-files and disk-space")
	}
	return v
}

package main

import "drumbeat"

// entryRecord is a log entry on its way through the predictions topic
// (docs/format/predictions.md).
type entryRecord struct {
	Machine     drumbeat.MachineID `json:"machine"`
	Log         string             `json:"log"`
	ID          string             `json:"id"`
	Revision    int64              `json:"revision,omitempty"`
	Withdrawn   bool               `json:"withdrawn,omitempty"`
	Type        string             `json:"type,omitempty"`
	Detail      string             `json:"detail,omitempty"`
	EventTime   drumbeat.Time      `json:"event_time"`
	ArrivalTime drumbeat.Time      `json:"arrival_time"`
	Position    drumbeat.Position  `json:"position"` // in the fleet's topic
}

func recordOf(item *drumbeat.Item) entryRecord {
	e := &item.Entry
	return entryRecord{
		Machine: item.Machine, Log: e.Log, ID: e.ID, Revision: e.Revision, Withdrawn: e.Withdrawn, Type: e.Type, Detail: e.Detail,
		EventTime: item.EventTime, ArrivalTime: item.ArrivalTime, Position: item.Position,
	}
}

func (r *entryRecord) item() *drumbeat.Item {
	return &drumbeat.Item{
		Kind: drumbeat.KindEntry, Machine: r.Machine, EventTime: r.EventTime, ArrivalTime: r.ArrivalTime, Position: r.Position,
		Entry: drumbeat.Entry{
			Log: r.Log, ID: r.ID, Revision: r.Revision, Withdrawn: r.Withdrawn, Type: r.Type, Detail: r.Detail,
		},
	}
}

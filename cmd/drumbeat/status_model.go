package main

import (
	"context"
	"errors"
	"fmt"

	"drumbeat"
	"drumbeat/registry"
)

// modelStatus is which model serves.
type modelStatus struct {
	Champion  drumbeat.ModelVersion `json:"champion"` // 0 without one
	AgeDays   float64               `json:"age_days"` // by the fleet's clock, since it was trained
	TrainedAt drumbeat.Time         `json:"trained_at"`
	DataUntil drumbeat.Time         `json:"trained_until"` // the end of its training rows
	// Challengers are the versions that shadow it.
	Challengers []drumbeat.ModelVersion `json:"challengers"`
	Versions    int                     `json:"versions"`
	Current     bool                    `json:"view_is_current"` // the view still has the champion's hash (P5)
}

func (m *modelStatus) text() string {
	if m.Champion == 0 {
		return fmt.Sprintf("none; %d versions registered", m.Versions)
	}
	text := fmt.Sprintf("version %d, %.1f days old, trained on data until %s", m.Champion, m.AgeDays, momentText(m.DataUntil))
	if len(m.Challengers) > 0 {
		text += fmt.Sprintf("; challengers: versions %d", m.Challengers)
	}
	return text
}

func (d *depot) modelStatus(ctx context.Context, now drumbeat.Time) (modelStatus, error) {
	m := modelStatus{TrainedAt: drumbeat.NoTime, DataUntil: drumbeat.NoTime, Challengers: []drumbeat.ModelVersion{}}
	versions, err := d.registry.List(ctx, d.def.Name)
	if err != nil {
		return m, err
	}
	m.Versions = len(versions)
	champion, _, err := registry.Champion(ctx, d.registry, d.def.Name)
	if errors.Is(err, drumbeat.ErrNotFound) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	m.Champion, m.TrainedAt, m.Current = champion.Number, champion.WhenFleet, champion.Manifest.Hash == d.view.Hash
	if span, known := champion.Manifest.Split["train"]; known {
		m.DataUntil = span.Until
	}
	if now != drumbeat.NoTime {
		m.AgeDays = now.Sub(m.TrainedAt).Hours() / 24
	}
	standing, err := registry.Standing(ctx, d.registry, d.def.Name)
	for _, alias := range standing {
		if alias.Name != drumbeat.RoleChampion {
			m.Challengers = append(m.Challengers, alias.Version)
		}
	}
	return m, err
}

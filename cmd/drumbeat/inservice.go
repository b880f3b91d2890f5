package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/lake"
	"drumbeat/materialize"
	"drumbeat/model"
	"drumbeat/registry"
	"drumbeat/serve"
)

// live loads a version that is to answer, with the view that it reads.
func (d *daemon) live(ctx context.Context, number drumbeat.ModelVersion) (*serve.Live, error) {
	version, err := d.registry.Version(ctx, d.def.Name, number)
	if err != nil {
		return nil, fmt.Errorf("find version %d: %w", number, err)
	}
	files := map[string][]byte{}
	for _, file := range version.Files {
		content, err := d.registry.Read(ctx, &version, file.Name)
		if err != nil {
			return nil, fmt.Errorf("read version %d: %w", number, err)
		}
		files[file.Name] = content
	}
	view, err := d.viewOf(&version, files[feature.ViewFile])
	if err != nil {
		return nil, err
	}
	m, err := model.Decode(files)
	if err != nil {
		return nil, fmt.Errorf("load version %d: %w", number, err)
	}
	return &serve.Live{Version: number, View: view, Model: m}, nil
}

// viewOf returns the view that a version was trained on: one that is known
// here, or else the features.yaml that was registered with it, read with the
// fleet as it is declared now (P5).
func (d *daemon) viewOf(version *registry.Version, text []byte) (*feature.View, error) {
	want := version.Manifest.Hash
	if d.view.Hash == want {
		return d.view, nil
	}
	if view, known := d.views.Load(want); known {
		return view.(*feature.View), nil //nolint:forcetypeassert // nothing else is stored
	}
	if text == nil {
		return nil, fmt.Errorf("version %d reads view hash %.12s and its %s was not registered with it; "+
			"put that file back, or train a new model: %w", version.Number, want, feature.ViewFile, drumbeat.ErrConflict)
	}
	view, err := feature.ParseView(text, d.def)
	if err != nil {
		return nil, fmt.Errorf("read the view of version %d: %w", version.Number, err)
	}
	if view.Hash != want {
		return nil, fmt.Errorf("version %d was trained on view hash %.12s, this program and fleet file make %.12s of its features; "+
			"put the old declarations of its sensors and logs back, or train a new model: %w",
			version.Number, want, view.Hash, drumbeat.ErrConflict)
	}
	d.views.Store(want, view)
	return view, nil
}

// liveViews returns the fleet's own view and those of the models that the
// aliases name. A model that cannot be loaded has none here; putInService says
// what is wrong with it.
func (d *daemon) liveViews(ctx context.Context) ([]*feature.View, error) {
	standing, err := registry.Standing(ctx, d.registry, d.def.Name)
	if err != nil {
		return nil, err
	}
	views := []*feature.View{d.view}
	for _, alias := range standing {
		if live, err := d.live(ctx, alias.Version); err == nil {
			views = addView(views, live.View)
		}
	}
	return views, nil
}

func addView(views []*feature.View, view *feature.View) []*feature.View {
	if slices.ContainsFunc(views, func(v *feature.View) bool { return v.Hash == view.Hash }) {
		return views
	}
	return append(views, view)
}

// putInService puts the models in service that the aliases name: the champion
// and its shadows. A champion that cannot be loaded leaves in service what is;
// where nothing is, the last one before it that can be loaded.
func (d *daemon) putInService(ctx context.Context) error {
	d.swapping.Lock()
	defer d.swapping.Unlock()
	standing, err := registry.Standing(ctx, d.registry, d.def.Name)
	if err != nil {
		return err
	}
	models := serve.Models{Usual: map[drumbeat.Hash]*serve.Usual{}}
	for _, alias := range standing {
		live, err := d.live(ctx, alias.Version)
		switch {
		case err != nil && alias.Name == drumbeat.RoleChampion:
			if live, err = d.lastGood(ctx, alias.Version, err); err != nil {
				return err
			}
			models.Champion = live
		case err != nil:
			d.log.ErrorContext(ctx, "challenger not put in service", "fleet", d.def.Name, "alias", alias.Name, "error", err)
		case alias.Name == drumbeat.RoleChampion:
			d.trouble.Store(nil)
			models.Champion = live
		default:
			models.Shadows = append(models.Shadows, live)
		}
	}
	if models.Champion == nil {
		return nil
	}
	return d.swap(ctx, &models)
}

// lastGood stands in for a champion that cannot be loaded.
func (d *daemon) lastGood(ctx context.Context, champion drumbeat.ModelVersion, why error) (*serve.Live, error) {
	if now := d.scorer.Champion(); now != nil {
		d.inTrouble(ctx, champion, now.Version, why)
		return now, nil
	}
	ledger, err := d.registry.Ledger(ctx, d.def.Name, 0)
	if err != nil {
		return nil, errors.Join(why, err)
	}
	for _, row := range slices.Backward(ledger) {
		if row.Alias != drumbeat.RoleChampion || row.To == champion || row.To == 0 {
			continue
		}
		if live, err := d.live(ctx, row.To); err == nil {
			d.inTrouble(ctx, champion, live.Version, why)
			return live, nil
		}
	}
	return nil, fmt.Errorf("champion %d of %s cannot be put in service, and no champion before it can: %w",
		champion, d.def.Name, why)
}

// inTrouble keeps the sentence that status and the page show.
func (d *daemon) inTrouble(ctx context.Context, champion, stands drumbeat.ModelVersion, why error) {
	text := fmt.Sprintf("champion %d cannot be put in service (%s); version %d, the last good one, keeps serving. "+
		"Restore its file, or `drumbeat models rollback`", champion, why, stands)
	d.trouble.Store(&text)
	d.log.ErrorContext(ctx, "champion not put in service", "fleet", d.def.Name, "trouble", text)
}

// swap brings stream, gold and online store to the views that the models read,
// then swaps, then lets go of what nobody reads.
func (d *daemon) swap(ctx context.Context, models *serve.Models) error {
	views := []*feature.View{d.view}
	for _, live := range append([]*serve.Live{models.Champion}, models.Shadows...) {
		views = addView(views, live.View)
	}
	before := views
	for _, v := range d.stream.Views() {
		before = addView(before, v)
	}
	if err := d.stream.Use(ctx, before); err != nil {
		return fmt.Errorf("bring the stream to the models' views: %w", err)
	}
	if err := d.useViews(ctx, views); err != nil {
		return err
	}
	for _, v := range views {
		usual, err := d.usualOf(ctx, v)
		if err != nil {
			return err
		}
		models.Usual[v.Hash] = usual
	}
	if err := d.scorer.Swap(*models); err != nil {
		return err
	}
	return d.stream.Use(ctx, views)
}

// useViews carries on the gold tables of these views, and no others.
func (d *daemon) useViews(ctx context.Context, views []*feature.View) error {
	d.carrying.Lock()
	defer d.carrying.Unlock()
	next := map[drumbeat.Hash]*materialize.Backfill{}
	for _, v := range views {
		if next[v.Hash] = d.backfills[v.Hash]; next[v.Hash] != nil {
			continue
		}
		backfill, err := materialize.NewBackfill(ctx, d.lake, v)
		if err != nil {
			return err
		}
		if _, err := backfill.Run(ctx); err != nil {
			return fmt.Errorf("materialize view hash %.12s: %w", v.Hash, err)
		}
		next[v.Hash] = backfill
	}
	d.backfills = next
	return nil
}

// usualOf returns what is usual for each machine in a view: what is in
// service, or else what the last weeks of gold say.
func (d *daemon) usualOf(ctx context.Context, v *feature.View) (*serve.Usual, error) {
	if models := d.scorer.Models(); models != nil && models.Usual[v.Hash] != nil {
		return models.Usual[v.Hash], nil
	}
	usual := serve.NewUsual(v)
	now := d.stream.Clock().Now()
	if now == drumbeat.NoTime {
		return usual, nil
	}
	gold, err := d.lake.Gold(ctx, v.Name, v.Hash, v.Names())
	if err != nil {
		return nil, fmt.Errorf("open gold: %w", err)
	}
	hour := map[drumbeat.MachineID]int64{}
	values := make([]float64, len(v.Features))
	scan := lake.GoldScan{From: now.Add(-usualDays * 24 * time.Hour), Until: drumbeat.NoTime}
	err = gold.Scan(ctx, scan, func(c *lake.GoldChunk) error {
		for i := range c.Len() {
			h := c.AsOf[i].Milliseconds() / time.Hour.Milliseconds()
			if hour[c.Machine[i]] == h || c.MadeBy[i] != drumbeat.CauseReading {
				continue
			}
			hour[c.Machine[i]] = h
			for j := range values {
				values[j] = c.Features[j][i]
			}
			usual.Add(c.Machine[i], values)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("learn what is usual: %w", err)
	}
	return usual, nil
}

// followAliases swaps models when an alias has moved, until ctx ends. What
// cannot be put in service leaves what is.
func (d *daemon) followAliases(ctx context.Context) error {
	ticker := time.NewTicker(aliasEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := d.follow(ctx); err != nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "models not put in service, trying again", "fleet", d.def.Name, "error", err)
		}
	}
}

// follow looks once whether an alias has moved, and swaps models if so.
func (d *daemon) follow(ctx context.Context) error {
	standing, err := registry.Standing(ctx, d.registry, d.def.Name)
	if err != nil {
		return err
	}
	stands := map[drumbeat.Role]registry.Alias{}
	for _, alias := range standing {
		stands[alias.Name] = alias
	}
	if old := d.standing.Load(); old != nil && maps.Equal(*old, stands) {
		return nil
	}
	if err := d.putInService(ctx); err != nil {
		return err
	}
	d.standing.Store(&stands)
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/model"
	"drumbeat/registry"
)

// modelChecks look at the fleet's models.
func modelChecks() []check {
	needs := []string{partFolder, partRegistry, partDefinition}
	return []check{
		{name: "champion", what: "a version is champion", needs: needs, fleet: checkChampion},
		{name: "aliases", what: "champion and challenger stand at versions that exist", needs: needs, fleet: checkAliases},
		{name: "model-files", what: "their files carry their hash and load", needs: needs, fleet: checkModelFiles},
		{name: "view-hash", what: "this program computes the view that they were trained on (P5)", needs: needs, fleet: checkViewHash},
		{name: "ledger", what: "every move of an alias follows the one before", needs: needs, fleet: checkLedger},
		{name: "in-service", what: "the champion is what the daemon serves", needs: needs, fleet: checkInService},
		{name: "last-runs", what: "the last run of every stage did not fail", needs: append(slices.Clone(needs), partRuns), fleet: checkRuns},
		{name: "monitoring", what: "the last monitoring report against its schedule", needs: append(slices.Clone(needs), partObjects, partLake, partAlerts), fleet: checkMonitoring},
		{name: "model-age", what: "the champion's age against the schedule", needs: append(slices.Clone(needs), partObjects, partLake, partAlerts), fleet: checkModelAge},
	}
}

func (p *patient) where() string { return "--data " + p.dir + " --fleet " + string(p.name) }

func checkChampion(ctx context.Context, e *exam, p *patient) verdict {
	versions, err := p.registry.List(ctx, p.name)
	if err != nil {
		return e.unreadable(err)
	}
	alias, err := p.registry.Alias(ctx, p.name, drumbeat.RoleChampion)
	switch {
	case errors.Is(err, drumbeat.ErrNotFound) && len(versions) == 0:
		return found("there is no model yet, so nothing is predicted").but("drumbeat train %s --promote-first", p.where())
	case errors.Is(err, drumbeat.ErrNotFound):
		return found("%d versions are registered, none is champion, so nothing is predicted", len(versions)).
			bad("drumbeat train %s --promote-first", p.where())
	case err != nil:
		return e.unreadable(err)
	}
	return good("version %d of %d", alias.Version, len(versions))
}

// standing returns where the fleet's aliases stand, the champion first, of all
// that the ledger ever moved: by their own table, which registry.Standing does
// not ask.
func (p *patient) standing(ctx context.Context) ([]registry.Alias, error) {
	rows, err := p.registry.Ledger(ctx, p.name, 0)
	if err != nil {
		return nil, err
	}
	names := []drumbeat.Role{drumbeat.RoleChampion, drumbeat.RoleChallenger}
	for i := range rows {
		if !slices.Contains(names, rows[i].Alias) {
			names = append(names, rows[i].Alias)
		}
	}
	var all []registry.Alias
	for _, name := range names {
		alias, err := p.registry.Alias(ctx, p.name, name)
		if errors.Is(err, drumbeat.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, alias)
	}
	return all, nil
}

func checkAliases(ctx context.Context, e *exam, p *patient) verdict {
	standing, err := p.standing(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	var stand []string
	for _, alias := range standing {
		if _, err := p.registry.Version(ctx, p.name, alias.Version); err != nil {
			return found("%s stands at version %d: %s", alias.Name, alias.Version, err).
				bad("restore registry.sqlite from a backup of %s; a version is never deleted", e.dir)
		}
		stand = append(stand, fmt.Sprintf("%s at version %d", alias.Name, alias.Version))
	}
	if len(stand) == 0 {
		return skipped("no alias stands anywhere")
	}
	return good("%s", strings.Join(stand, ", "))
}

// liveVersion is a version with the part that it plays.
type liveVersion struct {
	role drumbeat.Role
	registry.Version
}

// live returns the versions that play a part, the champion first.
func (p *patient) live(ctx context.Context) ([]liveVersion, error) {
	standing, err := p.standing(ctx)
	if err != nil {
		return nil, err
	}
	var all []liveVersion
	for _, alias := range standing {
		version, err := p.registry.Version(ctx, p.name, alias.Version)
		if err != nil {
			return nil, err
		}
		all = append(all, liveVersion{alias.Name, version})
	}
	return all, nil
}

func checkModelFiles(ctx context.Context, e *exam, p *patient) verdict {
	live, err := p.live(ctx)
	if err != nil {
		return skipped("see the check aliases: %s", err)
	}
	var told []string
	for i := range live {
		version, role := &live[i].Version, live[i].role
		files, size := map[string][]byte{}, int64(0)
		for _, file := range version.Files {
			content, err := p.registry.Read(ctx, version, file.Name)
			if err != nil {
				return found("%s: %s", role, err).
					bad("restore %s/models from a backup; until then `drumbeat train %s` makes another version", folderPath(e.dir, objectDir), p.where())
			}
			files[file.Name], size = content, size+int64(len(content))
		}
		if _, err := model.Decode(files); err != nil {
			return found("%s, version %d, does not load: %s", role, version.Number, err).bad("drumbeat train %s", p.where())
		}
		told = append(told, fmt.Sprintf("%s, version %d: %d files, %s", role, version.Number, len(files), bytesText(size)))
	}
	if len(told) == 0 {
		return skipped("no model plays a part yet")
	}
	return good("%s", strings.Join(told, "; "))
}

// checkViewHash asks for the view of each live model as serving does.
func checkViewHash(ctx context.Context, _ *exam, p *patient) verdict {
	live, err := p.live(ctx)
	if err != nil {
		return skipped("see the check aliases: %s", err)
	}
	var told []string
	for i := range live {
		version := &live[i].Version
		var text []byte
		if slices.ContainsFunc(version.Files, func(f registry.File) bool { return f.Name == feature.ViewFile }) {
			if text, err = p.registry.Read(ctx, version, feature.ViewFile); err != nil {
				return skipped("see the check model-files: %s", err)
			}
		}
		if _, err := newDaemon(p.depot).viewOf(version, text); err != nil {
			return found("%s: %s", live[i].role, err).
				bad("put the old %s back into %s, or drumbeat train %s", feature.ViewFile, p.home(), p.where())
		}
		reads := fmt.Sprintf("%s reads %.12s", live[i].role, version.Manifest.Hash)
		if version.Manifest.Hash != p.view.Hash {
			reads += ", an earlier view than the folder's"
		}
		told = append(told, reads)
	}
	if len(live) == 0 {
		return skipped("no model plays a part yet; the view's hash is %.12s", p.view.Hash)
	}
	return good("%s", strings.Join(told, "; "))
}

// checkLedger plays the ledger and compares where it ends with the aliases.
func checkLedger(ctx context.Context, e *exam, p *patient) verdict {
	rows, err := p.registry.Ledger(ctx, p.name, 0)
	if err != nil {
		return e.unreadable(err)
	}
	restore := fmt.Sprintf("restore registry.sqlite from a backup of %s, and find out who changed it", e.dir)
	at := map[drumbeat.Role]drumbeat.ModelVersion{}
	last := drumbeat.NoTime
	for _, row := range rows {
		switch {
		case row.From != at[row.Alias]:
			return found("row %d moves %s from version %d, but it stood at %d", row.Seq, row.Alias, row.From, at[row.Alias]).bad("%s", restore)
		case row.Who == "" || row.Why == "" || row.Proof == "":
			return found("row %d does not say who, why and on what proof", row.Seq).bad("%s", restore)
		case row.WhenWall.Add(clockSlack) < last:
			return found("row %d is of %s, earlier than the row before it: the wall clock was set back", row.Seq, row.WhenWall).but(setClock)
		}
		at[row.Alias], last = row.To, row.WhenWall
	}
	standing, err := p.standing(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	for _, alias := range standing {
		if alias.Version != at[alias.Name] {
			return found("%s stands at version %d, the ledger left it at %d", alias.Name, alias.Version, at[alias.Name]).bad("%s", restore)
		}
		delete(at, alias.Name)
	}
	for name, version := range at {
		if version != 0 {
			return found("%s stands nowhere, the ledger left it at version %d", name, version).bad("%s", restore)
		}
	}
	return good("%d moves, each from where the one before ended", len(rows))
}

func checkModelAge(ctx context.Context, e *exam, p *patient) verdict {
	tables, err := p.opened(ctx)
	if err != nil {
		return skipped("the tables do not read")
	}
	fresh := e.host.freshness(p.depot, tables)
	m, err := p.modelStatus(ctx, fresh.Now)
	if err != nil {
		return e.unreadable(err)
	}
	every := p.def.Policy.RetrainEvery
	switch {
	case m.Champion == 0:
		return skipped("there is no champion")
	case every == 0:
		return good("%.1f days old; trained only for a reason (retrain_every: 0)", m.AgeDays)
	case time.Duration(m.AgeDays*24*float64(time.Hour)) > overdue*every:
		return found("%.1f days old, to be trained anew every %s", m.AgeDays, durationText(every)).but("drumbeat train %s", p.where())
	}
	return good("%.1f days old, to be trained anew every %s", m.AgeDays, durationText(every))
}

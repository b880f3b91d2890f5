package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/lake"
)

// tableChecks look at the fleet's tables as files.
func tableChecks() []check {
	needs := []string{partFolder, partObjects, partDefinition, partLake}
	return []check{
		{name: "table-logs", what: "the log of every table reads from its newest checkpoint on", needs: needs, fleet: checkTableLogs},
		{name: "table-files", what: "every file that a log names is there, of its size", needs: needs, fleet: checkTableFiles},
		{name: "table-reads", what: "the newest file of every table decodes", needs: needs, fleet: checkTableReads},
		{name: "small-files", what: "tables of many small files", needs: needs, fleet: checkSmallFiles},
	}
}

// opened reads the logs of the fleet's tables, once.
func (p *patient) opened(ctx context.Context) ([]*delta.Table, error) {
	if p.seen.tables != nil {
		return p.seen.tables, nil
	}
	tables, err := p.tables(ctx)
	if err == nil {
		p.seen.tables = tables
	}
	return tables, err
}

// heard is when every machine was heard of, read once.
func (p *patient) heard(ctx context.Context) (map[drumbeat.MachineID]lake.Span, error) {
	if p.seen.spans == nil {
		spans, err := p.lake.Spans(ctx, nil)
		if err != nil {
			return nil, err
		}
		p.seen.spans = spans
	}
	return p.seen.spans, nil
}

// table returns one of the fleet's tables, nil if there is none.
func (p *patient) table(ctx context.Context, name string) (*delta.Table, error) {
	tables, err := p.opened(ctx)
	at := slices.IndexFunc(tables, func(t *delta.Table) bool { return t.Name() == string(p.name)+"/"+name })
	if err != nil || at < 0 {
		return nil, err
	}
	return tables[at], nil
}

func checkTableLogs(ctx context.Context, e *exam, p *patient) verdict {
	tables, err := p.opened(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	versions := int64(0)
	for _, t := range tables {
		versions += t.Snapshot().Version() + 1
	}
	return good("%d tables of %d commits", len(tables), versions)
}

func checkTableFiles(ctx context.Context, e *exam, p *patient) verdict {
	tables, err := p.opened(ctx)
	if err != nil {
		return skipped("the logs do not read")
	}
	files := 0
	var missing []string
	for _, t := range tables {
		snapshot := t.Snapshot()
		sizes := map[string]int64{}
		for entry, err := range p.objects.List(ctx, t.Name()+"/", "") {
			if err != nil {
				return e.unreadable(err)
			}
			sizes[strings.TrimPrefix(entry.Key, t.Name()+"/")] = entry.Size
		}
		for _, file := range snapshot.Files() {
			files++
			switch size, there := sizes[file.Path]; {
			case !there:
				missing = append(missing, t.Name()+"/"+file.Path+" is gone")
			case size != file.Size:
				missing = append(missing, fmt.Sprintf("%s/%s has %d bytes, not %d", t.Name(), file.Path, size, file.Size))
			}
		}
	}
	if len(missing) > 0 {
		return found("%d of %d files are not as the logs say: %s", len(missing), files, some(missing)).
			bad("restore them from a backup of %s", folderPath(e.dir, objectDir))
	}
	return good("%d files, each of its size", files)
}

func checkTableReads(ctx context.Context, e *exam, p *patient) verdict {
	tables, err := p.opened(ctx)
	if err != nil {
		return skipped("the logs do not read")
	}
	rows := 0
	for _, t := range tables {
		snapshot := t.Snapshot()
		files := snapshot.Files()
		if len(files) == 0 {
			continue
		}
		for batch, err := range snapshot.Scan(ctx, delta.ScanOptions{Files: files[len(files)-1:]}) {
			if err != nil {
				return found("%s", err).bad("restore the file from a backup of %s", folderPath(e.dir, objectDir))
			}
			rows += batch.N
		}
	}
	return good("%d rows decoded, of the newest file of each table", rows)
}

// manySmall is how many small files slow a scan noticeably: each costs about a
// millisecond to open.
const manySmall = 1000

func checkSmallFiles(ctx context.Context, e *exam, p *patient) verdict {
	tables, err := p.opened(ctx)
	if err != nil {
		return skipped("the logs do not read")
	}
	all, worst := 0, tableStatus{}
	for _, t := range tables {
		s := statusOf(t, p.name)
		all += s.Files
		if s.Small > worst.Small {
			worst = s
		}
	}
	v := found("%d files in %d tables", all, len(tables))
	if worst.Small > 0 {
		v.Found += fmt.Sprintf("; the most small ones in %s: %d of %d are below %s", worst.Table, worst.Small, worst.Files, bytesText(smallFile))
	}
	if worst.Small > e.small {
		return v.but("let `drumbeat run --data %s` compact them, which it does by itself in quiet minutes", e.dir)
	}
	return v
}

// counted counts the values of a text column of a table.
func counted(ctx context.Context, t *delta.Table, column string) (map[string]int64, error) {
	counts := map[string]int64{}
	if t == nil {
		return counts, nil
	}
	for batch, err := range t.Snapshot().Scan(ctx, delta.ScanOptions{Columns: []string{column}}) {
		if err != nil {
			return counts, fmt.Errorf("count %s: %w", column, err)
		}
		for _, text := range batch.Columns[0].Bytes {
			counts[string(text)]++
		}
	}
	return counts, nil
}

// most writes the greatest of some counts.
func most(counts map[string]int64, limit int) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return int(max(-1, min(1, counts[b]-counts[a])))
		}
		return strings.Compare(a, b)
	})
	words := make([]string, 0, limit)
	for _, key := range keys[:min(len(keys), limit)] {
		words = append(words, fmt.Sprintf("%d × %s", counts[key], key))
	}
	return strings.Join(words, ", ")
}

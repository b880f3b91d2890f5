package materialize

import (
	"context"
	"fmt"

	"drumbeat"
	"drumbeat/lake"
)

// LabelChange is a label row that differs from the newest that the table held.
type LabelChange struct {
	Label  lake.Label
	Before *lake.Label // nil for a row that had no label yet
}

// labelKey names a label row: one machine, one time, one policy.
type labelKey struct {
	machine drumbeat.MachineID
	asOf    drumbeat.Time
	policy  string
}

// Labels appends to the label table the rows that are new or differ from the
// newest there, and returns them. The table is append-only (L3): what was once
// believed stays readable.
func Labels(ctx context.Context, l *lake.Lake, rows []lake.Label) ([]LabelChange, error) {
	newest := map[labelKey]lake.Label{}
	err := l.ScanLabels(ctx, func(labels []lake.Label) error {
		for i := range labels {
			newest[keyOf(&labels[i])] = labels[i]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the label table: %w", err)
	}
	var changes []LabelChange
	var fresh []lake.Label
	for i := range rows {
		row := rows[i]
		before, known := newest[keyOf(&row)]
		switch {
		case !known:
			changes = append(changes, LabelChange{Label: row})
		case before.Value != row.Value || before.Source != row.Source:
			changes = append(changes, LabelChange{Label: row, Before: &before})
		default:
			continue
		}
		fresh = append(fresh, row)
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	if err := l.AppendLabels(ctx, fresh); err != nil {
		return nil, fmt.Errorf("append %d label rows: %w", len(fresh), err)
	}
	return changes, nil
}

func keyOf(l *lake.Label) labelKey { return labelKey{l.Machine, l.AsOf, l.Policy} }

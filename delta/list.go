package delta

import (
	"context"
	"fmt"
	"strings"
)

// Tables returns the prefixes, without a slash behind them, of the tables that
// a store holds under a prefix. It lists about once a table.
func Tables(ctx context.Context, store Store, prefix string) ([]string, error) {
	var found []string
	after := ""
	for {
		name, err := nextTable(ctx, store, prefix, after)
		if err != nil {
			return nil, fmt.Errorf("list tables under %q: %w", prefix, err)
		}
		if name == "" {
			return found, nil
		}
		found = append(found, name)
		after = name + "/~" // beyond its files
	}
}

func nextTable(ctx context.Context, store Store, prefix, after string) (string, error) {
	for entry, err := range store.List(ctx, prefix, after) {
		if err != nil {
			return "", err
		}
		if name, _, isLog := strings.Cut(entry.Key, "/"+logFolder); isLog {
			return name, nil
		}
	}
	return "", nil
}

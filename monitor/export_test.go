package monitor

import (
	"context"
	"time"

	"drumbeat"
)

// Sampled returns the first column of the table of the days [from, until)
// after the first of 2026.
func Sampled(ctx context.Context, scan Scan, from, until int64, grid time.Duration, limit int) ([]float64, error) {
	first := dayOf(drumbeat.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	t, err := readTable(ctx, scan, period{first + from, first + until}, grid, limit)
	if err != nil {
		return nil, err
	}
	return t.column(0, false), nil
}

package feature

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"drumbeat"
)

// Definition returns the canonical text of everything that the view's values
// depend on (P5), one thing a line; its SHA-256 is the view's Hash. Titles,
// units, labels and the names of payload fields are texts and no part of it.
func (v *View) Definition() string {
	var b strings.Builder
	line := func(words ...any) {
		for i, word := range words {
			if i > 0 {
				b.WriteByte(' ')
			}
			if text, ok := word.(string); ok && i > 0 {
				word = strconv.Quote(text)
			}
			fmt.Fprint(&b, word)
		}
		b.WriteByte('\n')
	}
	line("semantics", SemanticsVersion)
	line("fleet", string(v.Fleet.Name))
	line("cadence", v.Fleet.Cadence.Milliseconds())
	line("lateness", v.Fleet.Lateness.Milliseconds())
	line("view", v.Name)
	line("ttl", v.TTL.Milliseconds())
	line("min_history", v.MinHistory.Milliseconds())
	line("serve_lag", v.ServeLag.Milliseconds())
	sensors, static, logs := v.used()
	if c := v.Fleet.Running; c != nil {
		line("running", v.Fleet.Sensors[c.Sensor].Name, int(c.Op), c.Value)
		sensors = append(sensors, c.Sensor)
	}
	slices.Sort(sensors)
	for _, i := range slices.Compact(sensors) {
		s := &v.Fleet.Sensors[i]
		line("sensor", s.Name, int(s.Kind), s.Min, s.Max, s.Decimals, int(s.OutOfRange), s.StuckAfter, s.MaxJump,
			s.Factor, s.Offset)
	}
	for _, i := range static {
		a := &v.Fleet.Static[i]
		line("static", a.Name, int(a.Type))
		for _, value := range a.Values {
			line("value", value)
		}
	}
	for _, i := range logs {
		line("log", v.Fleet.Logs[i].Name)
	}
	for i := range v.Features {
		f := &v.Features[i]
		line("feature", f.Name, f.Agg.String())
		switch {
		case f.Agg == AggExpr:
			line("expr", f.Expr.String())
		case f.Agg.OfSensor():
			line("of", f.Of, f.Window.Milliseconds(), v.MaxReadings(f.Window), f.UseAll)
		case f.Agg.OfLog():
			line("of", f.Of, f.Window.Milliseconds(), f.Type)
		default:
			line("of", f.Of, f.Category)
			for _, bound := range f.Bins {
				line("bound", bound)
			}
		}
	}
	return b.String()
}

func definitionHash(v *View) drumbeat.Hash {
	sum := sha256.Sum256([]byte(v.Definition()))
	return drumbeat.Hash(hex.EncodeToString(sum[:]))
}

// used returns the indices of the sensors, static attributes and logs that
// features are made of, each sorted and once.
func (v *View) used() (sensors, static, logs []int) {
	for i := range v.Features {
		f := &v.Features[i]
		if f.Sensor >= 0 {
			sensors = append(sensors, f.Sensor)
		}
		if f.Static >= 0 {
			static = append(static, f.Static)
		}
		if f.Log >= 0 {
			logs = append(logs, f.Log)
		}
	}
	for _, list := range []*[]int{&sensors, &static, &logs} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return sensors, static, logs
}

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"drumbeat/feature"
)

// definition is a view's canonical text in parts: what the hash covers (P5).
type definition struct {
	features map[string]string // their lines
	settings map[string]string // all other lines, by what they are about
	keys     []string          // of settings, in order
}

// definitionOf takes a view's definition apart. Lines that say more of what
// stands before them (of, expr and bound of a feature, value of an attribute)
// stay with it.
func definitionOf(v *feature.View) *definition {
	d := &definition{features: map[string]string{}, settings: map[string]string{}}
	feature, setting := "", ""
	for line := range strings.Lines(v.Definition()) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch word {
		case "feature":
			feature = firstName(rest)
			d.features[feature] = line
		case "of", "expr", "bound":
			d.features[feature] += line
		case "value":
			d.settings[setting] += " " + rest
		default:
			setting = word
			if word == "sensor" || word == "static" || word == "log" {
				setting += " " + firstName(rest)
			}
			d.settings[setting] = rest
			d.keys = append(d.keys, setting)
		}
	}
	return d
}

// firstName returns the first of a line's words, which is quoted.
func firstName(words string) string {
	quoted, err := strconv.QuotedPrefix(words)
	if err != nil {
		return words
	}
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return words
	}
	return name
}

// changesOf says what moves the hash from one view to another.
func changesOf(from, to *feature.View) *viewChange {
	before, after := definitionOf(from), definitionOf(to)
	c := &viewChange{From: from.Hash, Same: from.Hash == to.Hash}
	why := map[string]string{} // by feature that changed
	for i := range to.Features {
		f := &to.Features[i]
		at := from.Index(f.Name)
		if at < 0 {
			c.New = append(c.New, f.Name)
			continue
		}
		reasons := featureChanges(from, to, &from.Features[at], f)
		if len(reasons) == 0 && before.features[f.Name] != after.features[f.Name] {
			reasons = append(reasons, "its definition")
		}
		for _, kind := range []string{"sensor ", "static ", "log "} {
			if key := kind + f.Of; f.Of != "" && before.settings[key] != after.settings[key] {
				reasons = append(reasons, key)
			}
		}
		if len(reasons) > 0 {
			why[f.Name] = strings.Join(reasons, ", ")
		}
	}
	spread(to, why)
	for i := range to.Features {
		if name := to.Features[i].Name; why[name] != "" {
			c.Changed = append(c.Changed, name+": "+why[name])
		}
	}
	for _, name := range from.Names() {
		if to.Index(name) < 0 {
			c.Gone = append(c.Gone, name)
		}
	}
	c.Settings = settingsBetween(before, after)
	if !c.Same && len(c.New)+len(c.Changed)+len(c.Gone)+len(c.Settings) == 0 {
		c.Settings = []string{"the order of the features"}
	}
	return c
}

// featureChanges says how a feature's own definition differs.
func featureChanges(from, to *feature.View, before, after *feature.Feature) []string {
	var out []string
	differ := func(what string, x, y any) {
		if a, b := fmt.Sprint(x), fmt.Sprint(y); a != b {
			out = append(out, fmt.Sprintf("%s %s, was %s", what, b, a))
		}
	}
	differ("agg", before.Agg, after.Agg)
	differ("of", before.Of, after.Of)
	differ("window", durationText(before.Window), durationText(after.Window))
	differ("type", strconv.Quote(before.Type), strconv.Quote(after.Type))
	differ("use all", before.UseAll, after.UseAll)
	differ("bins", before.Bins, after.Bins)
	differ("category", before.Category, after.Category)
	if before.Expr != nil && after.Expr != nil {
		differ("expr", before.Expr, after.Expr)
	}
	if len(out) == 0 && after.Agg.OfSensor() { // it follows from the window and the cadence (W5)
		differ("readings a window at most", from.MaxReadings(before.Window), to.MaxReadings(after.Window))
	}
	return out
}

// spread marks the features that are made of changed ones.
func spread(v *feature.View, why map[string]string) {
	for again := true; again; {
		again = false
		for i := range v.Features {
			f := &v.Features[i]
			if f.Expr == nil || why[f.Name] != "" {
				continue
			}
			for _, name := range identifiers(f.Expr.String()) {
				if why[name] != "" {
					why[f.Name], again = "made of "+name, true
					break
				}
			}
		}
	}
}

// identifiers lists the words of an expression.
func identifiers(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// sensorWords are the words of a sensor's line, after its name.
var sensorWords = []string{
	"kind", "min", "max", "decimals", "out_of_range", "stuck_after", "max_jump", "factor", "offset",
}

// times are the settings that are milliseconds.
var times = []string{"cadence", "lateness", "ttl", "min_history", "serve_lag"}

// settingsBetween says which other lines differ, those of sensors, attributes
// and logs only where both have them: the others come and go with features.
func settingsBetween(before, after *definition) []string {
	var out []string
	for _, key := range after.keys {
		old, known := before.settings[key]
		now := after.settings[key]
		switch {
		case !known && key != "running" || old == now:
		case strings.HasPrefix(key, "sensor "):
			out = append(out, key+": "+sensorChanges(strings.Fields(old), strings.Fields(now)))
		case slices.Contains(times, key):
			out = append(out, fmt.Sprintf("%s: %s, was %s", key, millisecondsText(now), millisecondsText(old)))
		default:
			out = append(out, fmt.Sprintf("%s: %s, was %s", key, now, cmp.Or(old, "not there")))
		}
	}
	if old, was := before.settings["running"]; was && after.settings["running"] == "" {
		out = append(out, "running: gone, was "+old)
	}
	return out
}

// sensorChanges names the words of a sensor's line that differ. Bounds and
// jumps are scaled by ten to the decimals, as they are compared.
func sensorChanges(before, after []string) string {
	var out []string
	for i, word := range sensorWords {
		if at := i + 1; at < len(before) && at < len(after) && before[at] != after[at] {
			out = append(out, fmt.Sprintf("%s %s, was %s", word, after[at], before[at]))
		}
	}
	return strings.Join(out, "; ")
}

func millisecondsText(text string) string {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return text
	}
	return durationText(time.Duration(ms) * time.Millisecond)
}

package propose

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"drumbeat/fleet"
)

// assign says which column of each sheet names the machine, and what each
// sheet is to the fleet.
func assign(sheets []*sheet) {
	for _, s := range sheets {
		if s.role != roleNone {
			s.declared()
		}
	}
	for range 2 { // the second time, what other sheets chose is known
		for _, s := range sheets {
			if s.role == roleNone {
				s.machine = s.findMachine(sheets)
			}
		}
	}
	for _, s := range sheets {
		s.gaps()
	}
	for _, s := range sheets {
		if s.role == roleNone {
			s.role = s.guessRole()
		}
		if s.role == roleMachines { // its dates are no events
			s.time, s.start, s.known = -1, -1, -1
		}
	}
	nameLogs(sheets)
}

// declared finds the columns of a sheet whose role is known: payloads have
// names of their own for the machine and the time.
func (s *sheet) declared() {
	s.machine = slices.Index(s.columns, machineField)
	if at := slices.Index(s.columns, timeField); s.role == roleTelemetry {
		s.time, s.start, s.known = -1, -1, -1
		if at >= 0 && s.cols[at].kind == kindTime {
			s.time = at
		}
	}
	if s.machine < 0 || s.role != roleMachines && s.time < 0 {
		s.role = roleNone // without these no record can be read
	}
}

// machineWords are what people call a machine.
func machineWords() []string {
	return []string{
		"machine", "device", "asset", "equipment", "unit", "engine", "turbine", "vehicle", "truck", "pump", "motor", "robot",
		"serial", "station", "washer", "press", "compressor", "disk", "drive", "anlage", "maschine", "tool",
	}
}

// findMachine scores the columns that may name the machine: names are hints,
// the values decide between equals.
func (s *sheet) findMachine(sheets []*sheet) int {
	best, bestScore := -1, 1.5
	for i := range s.cols {
		if score := s.machineScore(i, sheets); score > bestScore {
			best, bestScore = i, score
		}
	}
	return best
}

func (s *sheet) machineScore(i int, sheets []*sheet) float64 {
	c := &s.cols[i]
	rows := len(s.rows0)
	if c.kind == kindEmpty || c.kind == kindTime || c.twice || c.decimals || c.filled*100 < rows*95 {
		return math.Inf(-1)
	}
	score := 0.0
	named := hasPart(c.words, machineWords()...)
	id := hasWord(c.words, "id", "no", "nr", "number", "name", "sn", "key", "uid")
	switch {
	case named && id:
		score += 8
	case named && len(c.words) == 1:
		score += 6
	case named:
		score += 2
	case len(c.words) == 1 && id:
		score += 3
	case id:
		score++
	}
	if hasPart(c.words, "type", "model", "kind", "class", "fail", "error", "event", "comp", "status", "state") {
		score -= 6
	}
	n := len(c.distinct)
	switch {
	case s.time >= 0 && n*3 <= rows && n > 1 && c.kind == kindText:
		score += 2
	case s.time >= 0 && n*3 <= rows:
		score++
	case s.time >= 0 && n == rows && rows > 3:
		score -= 4 // an id of the row
	case s.time < 0 && n == rows:
		score++
	}
	for _, other := range sheets {
		if other == s || other.machine < 0 {
			continue
		}
		score += 4 * overlap(c, &other.cols[other.machine]) / float64(len(sheets)-1)
		if slices.Equal(other.cols[other.machine].words, c.words) {
			score += 4 / float64(len(sheets)-1)
		}
	}
	return score
}

// overlap is the share of a's values that b has.
func overlap(a, b *column) float64 {
	if len(a.distinct) == 0 {
		return 0
	}
	n := 0
	for value := range a.distinct {
		if b.distinct[value] > 0 {
			n++
		}
	}
	return float64(n) / float64(len(a.distinct))
}

// guessRole tells telemetry, a log and the machines' own table apart: by the
// number of rows a machine, by the regularity of its rows, and last by names.
func (s *sheet) guessRole() role {
	if s.machine < 0 || len(s.rows0) == 0 {
		return roleNone
	}
	unique := len(s.cols[s.machine].distinct) == len(s.rows0) && len(s.rows0) < maxDistinct
	words := wordsOf(s.name)
	if s.time < 0 {
		if unique || len(s.cols[s.machine].distinct) >= maxDistinct {
			return roleMachines
		}
		return roleNone
	}
	if unique && len(s.rows0) > 1 && (hasPart(words, machineWords()...) || isOld(s.cols[s.time].words)) &&
		!hasPart(words, logWords()...) {
		return roleMachines
	}
	numbers := 0
	for i := range s.cols {
		if s.isValue(i) && s.cols[i].kind == kindNumber {
			numbers++
		}
	}
	hint := hasPart(words, logWords()...)
	switch {
	case numbers == 0:
		return roleLog
	case hint && !(s.regular >= 0.8 && numbers >= 3):
		return roleLog
	case s.regular >= 0.5, hasPart(words, "telemetry", "sensor", "reading", "measure", "scada"):
		return roleTelemetry
	case s.typeColumn() >= 0 && numbers < 3 && !math.IsNaN(s.regular):
		return roleLog
	}
	return roleTelemetry
}

// isOld knows the names of dates in a machine's life that are no events.
func isOld(words []string) bool {
	return hasPart(words, "install", "commission", "purchase", "manufact", "warranty", "built", "birth")
}

func logWords() []string {
	return []string{
		"fail", "fault", "breakdown", "maint", "error", "alarm", "event", "repair", "service", "incident", "downtime", "log",
		"work", "workorder", "order", "ticket", "replacement",
	}
}

// isValue says whether a column is neither the machine nor a time.
func (s *sheet) isValue(i int) bool {
	return i != s.machine && i != s.time && i != s.start && i != s.known && s.cols[i].kind != kindTime && !s.cols[i].twice
}

// typeColumn returns the column that says what kind of entry a row is, -1 if
// there is none: few values, and rather one whose name says so.
func (s *sheet) typeColumn() int {
	best, bestScore := -1, 0.0
	for i := range s.cols {
		c := &s.cols[i]
		n := len(c.distinct)
		if !s.isValue(i) || c.kind == kindEmpty || c.decimals || n > 50 || c.filled*2 < len(s.rows0) {
			continue
		}
		score := 1 / float64(1+n)
		if c.kind == kindText {
			score++
		}
		switch {
		case hasWord(c.words, "type", "code", "kind", "mode", "category", "class"):
			score += 3
		case hasPart(c.words, "fail", "error", "fault", "comp", "event", "alarm", "maint", "cause", "reason"):
			score += 2
		case n*2 > len(s.rows0) && len(s.rows0) > 8:
			continue // hardly a kind: nearly every row has its own
		}
		if score > bestScore && score >= 1 {
			best, bestScore = i, score
		}
	}
	return best
}

// nameLogs names the logs: the names of files and columns say which one tells
// of failures. What nobody recognizes keeps its file's name.
func nameLogs(sheets []*sheet) {
	taken := map[string]*sheet{}
	for _, s := range sheets {
		if s.role != roleLog {
			continue
		}
		if s.log != "" { // the topic says it
			taken[s.log] = s
			continue
		}
		words := wordsOf(s.name)
		s.log = logByWords(words)
		if s.log == "" {
			for _, c := range s.cols {
				if s.log = logByWords(c.words); s.log != "" {
					break
				}
			}
		}
		if s.log == "" {
			s.log = identifier(strings.SplitN(s.name, ".", 2)[0], "log")
		}
		if slices.Contains([]string{fleet.TypeReading, fleet.TypeMachine, fleet.TypeWatermark}, s.log) {
			s.log += "_log"
		}
		if other := taken[s.log]; other != nil && !sameColumns(other.table, s.table) {
			name := s.log
			for n := 2; taken[s.log] != nil; n++ {
				s.log = fmt.Sprintf("%s_%d", name, n)
			}
		}
		if taken[s.log] == nil {
			taken[s.log] = s
		}
	}
}

func logByWords(words []string) string {
	switch {
	case hasPart(words, "fail", "breakdown", "ausfall"):
		return fleet.FailureLog
	case hasPart(words, "maint", "repair", "service", "wartung", "workorder", "replacement"):
		return fleet.MaintenanceLog
	case hasPart(words, "error", "alarm", "warning", "alert"):
		return "error"
	case hasPart(words, "fault"):
		return fleet.FailureLog
	}
	return ""
}

// identifier makes a name of a text: lower-case letters, digits and _, a
// letter first.
func identifier(text, fallback string) string {
	name := strings.Join(wordsOf(text), "_")
	var b strings.Builder
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_':
			b.WriteRune(r)
		case strings.ContainsRune("äöüß", r):
			b.WriteString(map[rune]string{'ä': "ae", 'ö': "oe", 'ü': "ue", 'ß': "ss"}[r])
		}
	}
	name = strings.Trim(b.String(), "_")
	if name == "" {
		name = fallback
	}
	if name[0] < 'a' || name[0] > 'z' {
		name = fallback + "_" + name
	}
	const longest = 40
	return strings.TrimRight(name[:min(len(name), longest)], "_")
}

package web

import (
	"cmp"
	"fmt"
	"slices"

	"drumbeat"
)

// sign is a judgement in a symbol and a word, with what lies behind it.
type sign struct {
	Kind   signKind
	Word   string
	Detail string // "" without one
}

// signKind picks the symbol and the colour of a sign.
type signKind string

const (
	signBad     signKind = "bad"
	signWarn    signKind = "warn"
	signUnknown signKind = "unknown"
	signGood    signKind = "good"

	// Kinds of what is neither good nor bad.
	signRefused signKind = "refused"
	signRunning signKind = "running"
	signWaiting signKind = "waiting"
	signOff     signKind = "off"
)

// worse orders signs, the worst first.
func (s sign) worse() int {
	return slices.Index([]signKind{signBad, signWarn, signUnknown, signGood}, s.Kind)
}

// modelSign says which model serves.
func modelSign(m *Models) sign {
	champion := m.champion()
	if champion == nil {
		return sign{signWarn, "No model", "nothing is foretold"}
	}
	detail := ""
	if n := len(m.challengers()); n > 0 {
		detail = count(n, "challenger beside it", "challengers beside it")
	}
	return sign{signGood, fmt.Sprintf("Version %d serves", champion.Number), detail}
}

// driftSign says whether the sensors still say what they said.
func driftSign(d *Drift) sign {
	switch {
	case d == nil:
		return sign{signUnknown, "Not looked at yet", ""}
	case d.TooShort != "":
		return sign{signUnknown, "Cannot be judged yet", ""}
	}
	flagged := d.flagged()
	if len(flagged) == 0 {
		return sign{signGood, "No drift", count(len(d.Sensors), "sensor as usual", "sensors as usual")}
	}
	return sign{signWarn, "Drift", count(len(flagged), "sensor has moved", "sensors have moved")}
}

// liveSign says how well the champion foretells.
func liveSign(l *Live) sign {
	if l == nil {
		return sign{signUnknown, "Not measured yet", ""}
	}
	detail := ""
	if s := l.Measures.Recall; s.N > 0 {
		detail = fmt.Sprintf("%d of %d failures foretold, %s of the alerts right, %s alerts a week",
			s.K, s.N, l.Measures.Precision.Text(), figure(l.Measures.AlertsPerWeek))
	}
	switch l.Status {
	case StatusHealthy:
		return sign{signGood, "Foretells well", detail}
	case StatusWatch:
		return sign{signGood, "Foretells fairly well", detail}
	case StatusWarn:
		return sign{signWarn, "Foretells less well", detail}
	case StatusRetrain:
		return sign{signBad, "Foretells too little", detail}
	case StatusUnknown:
	}
	return sign{signUnknown, "Too few failures to judge", detail}
}

// champion is the version that serves, nil if none does.
func (m *Models) champion() *Version {
	for i := range m.Versions {
		if m.Versions[i].Role == drumbeat.RoleChampion {
			return &m.Versions[i]
		}
	}
	return nil
}

// challengers are the versions that stand beside the champion.
func (m *Models) challengers() []*Version {
	var list []*Version
	for i := range m.Versions {
		if v := &m.Versions[i]; v.Role != "" && v.Role != drumbeat.RoleChampion {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(x, y *Version) int { // challenger before challenger-2
		return cmp.Or(cmp.Compare(x.Role, y.Role), cmp.Compare(y.Number, x.Number))
	})
	return list
}

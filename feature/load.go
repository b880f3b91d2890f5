package feature

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleet/strict"
)

// ViewFile is the name of a view's file in a fleet's folder.
const ViewFile = "features.yaml"

// LoadView reads dir/features.yaml in fsys. It reads strictly and reports
// every fault at once, as strict.Faults: file, line, column, what was
// expected and the nearest known word.
func LoadView(fsys fs.FS, dir string, f *fleet.Fleet) (*View, error) {
	file, err := strict.Open(fsys, path.Join(dir, ViewFile))
	if err != nil {
		return nil, err
	}
	return readView(file, f)
}

// ParseView reads a view's file from memory, as [LoadView] does: a model brings
// the one that it was trained on (P5).
func ParseView(text []byte, f *fleet.Fleet) (*View, error) {
	file, err := strict.Parse(ViewFile, text)
	if err != nil {
		return nil, err
	}
	return readView(file, f)
}

func readView(file *strict.File, f *fleet.Fleet) (*View, error) {
	root := file.Root().Map()
	r := viewReader{fleet: f, view: View{Fleet: f}}
	r.view.Name = root.Need("view").Name("", "_-")
	r.view.TTL = root.Get("ttl").Duration(0, 0, 10*MaxWindow)
	r.view.MinHistory = root.Get("min_history").Duration(0, 0, 10*MaxWindow)
	r.view.ServeLag = root.Get("serve_lag").Duration(defaultServing, 0, strict.Day)
	r.view.MaxRecord = int(root.Get("max_record_bytes").Int(DefaultRecord, 1<<10, 16<<20))
	list := root.Need("features")
	for _, entry := range list.List(MaxFeatures) {
		r.entry(entry)
	}
	r.root, r.list = root, list
	root.Close()
	if err := file.Err(); err != nil {
		return nil, err // faults of form; faults of meaning would repeat them
	}
	view, ok := r.view.completed(r.fault)
	if !ok {
		return nil, file.Err()
	}
	return view, nil
}

// viewReader turns the file's entries into features; a onehot becomes several.
type viewReader struct {
	fleet  *fleet.Fleet
	view   View
	root   *strict.Map
	list   strict.Value
	values []strict.Value // the entry of each feature
	told   map[string]bool
}

// fault reports a fault of meaning where the feature stands, once an entry.
func (r *viewReader) fault(feature int, key, message string) {
	if feature < 0 {
		place := r.list
		if key != "" && r.root.Get(key).Exists() {
			place = r.root.Get(key)
		}
		place.Faultf("%s", message)
		return
	}
	entry := r.values[feature]
	if r.told == nil {
		r.told = map[string]bool{}
	}
	id := entry.Path() + key + message
	if r.told[id] {
		return
	}
	r.told[id] = true
	if place := entry.Map().Get(key); place.Exists() {
		place.Faultf("%s", message)
		return
	}
	entry.Faultf("%s: %s", key, message)
}

//nolint:gochecknoglobals // a constant table
var fileAggs = aggNames[AggCount : AggMeanBetween+1]

func (r *viewReader) entry(value strict.Value) {
	m := value.Map()
	f := Feature{
		Name:   m.Need("name").Name("", "_"),
		Title:  m.Get("title").Text(""),
		Unit:   m.Get("unit").Text(""),
		Of:     m.Get("of").Text(""),
		Window: m.Get("window").Duration(0, time.Millisecond, MaxWindow),
		Type:   m.Get("type").Text(""),
		UseAll: m.Get("use").OneOf(0, "valid", "all") == 1,
		Labels: m.Get("labels").Texts(MaxBins + 1),
		Agg:    AggExpr,
	}
	if where := m.Get("where"); where.Exists() {
		where.Faultf("conditions inside a window are not computed by this version: leave the key out")
	}
	for _, bound := range m.Get("bins").List(MaxBins) {
		f.Bins = append(f.Bins, bound.Float(0, -math.MaxFloat64, math.MaxFloat64))
	}
	oneHot := m.Get("onehot").Bool(false)
	agg, expr := m.Get("agg"), m.Get("expr")
	switch {
	case expr.Exists():
		r.expression(&f, m)
	case !m.Get("of").Exists():
		value.Faultf("a feature needs of: (a sensor, log or attribute) or expr:")
	case agg.Exists():
		if agg.Raw() == "slope" {
			agg.Faultf("slope is not computed by this version: delta over the same window says the direction")
			break
		}
		f.Agg = Agg(agg.OneOf(0, fileAggs...)) //nolint:gosec // an index of the table
		if f.Agg == AggCount && r.fleet.LogNamed(f.Of) != nil {
			f.Agg = AggEvents
		}
	case r.static(f.Of) == nil:
		value.Faultf("agg is missing%s", r.whatIs(f.Of))
	case r.static(f.Of).Type == fleet.Category:
		f.Agg = AggCategory
	case f.Bins != nil:
		f.Agg = AggBins
	default:
		f.Agg = AggNumber
	}
	r.misplaced(m, f.Agg)
	m.Close()
	if oneHot {
		r.oneHot(value, f)
		return
	}
	r.add(value, f)
}

func (r *viewReader) expression(f *Feature, m *strict.Map) {
	expr := m.Get("expr")
	for _, key := range []string{"of", "agg", "window", "onehot"} {
		if other := m.Get(key); other.Exists() {
			other.Faultf("a feature with expr: has no %s:", key)
		}
	}
	text := expr.Raw()
	if text == "" {
		expr.Faultf("must be an expression such as a_mean_7d / a_mean_30d")
		return
	}
	parsed, err := ParseExpr(text)
	if err != nil {
		expr.Faultf("%s", strings.TrimSuffix(err.Error(), ": "+drumbeat.ErrInvalid.Error()))
		return
	}
	f.Expr = parsed
}

// misplaced reports the keys of static attributes on anything else.
func (r *viewReader) misplaced(m *strict.Map, agg Agg) {
	for _, key := range []string{"bins", "labels"} {
		if v := m.Get(key); v.Exists() && agg != AggBins {
			v.Faultf("only a static number has %s", key)
		}
	}
	if v := m.Get("onehot"); v.Exists() && agg != AggCategory {
		v.Faultf("only a static category is made onehot")
	}
}

func (r *viewReader) oneHot(value strict.Value, f Feature) {
	attribute := r.static(f.Of)
	if attribute == nil || attribute.Type != fleet.Category {
		return // reported as misplaced
	}
	if len(attribute.Values) == 0 {
		value.Faultf("%s must declare its values in the fleet file before it is made onehot (V5)", f.Of)
		return
	}
	name, heading := f.Name, f.Title
	for _, category := range attribute.Values {
		f.Agg, f.Category = AggOneHot, category
		f.Name = name + "_" + identifier(category)
		if heading != "" {
			f.Title = heading + " is " + category
		}
		r.add(value, f)
	}
}

// identifier turns a category into the tail of a feature's name.
func identifier(category string) string {
	out := make([]byte, 0, len(category))
	for i := range len(category) {
		c := category[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if !isLetter(c) && !isDigit(c) {
			c = '_'
		}
		out = append(out, c)
	}
	return string(out)
}

func (r *viewReader) add(value strict.Value, f Feature) {
	r.view.Features = append(r.view.Features, f)
	r.values = append(r.values, value)
}

func (r *viewReader) static(name string) *fleet.Attribute {
	i := slices.IndexFunc(r.fleet.Static, func(a fleet.Attribute) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &r.fleet.Static[i]
}

// whatIs says what the name stands for, to help with a missing agg.
func (r *viewReader) whatIs(name string) string {
	switch {
	case r.fleet.SensorIndex(name) >= 0:
		return ": how the values of " + name + " become one, such as mean, std, min, max, sum, last"
	case r.fleet.LogNamed(name) != nil:
		return ": age, events or mean_between of " + name
	}
	return suggest(name, r.fleet)
}

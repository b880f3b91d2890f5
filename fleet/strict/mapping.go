package strict

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Map is a mapping that is being read. A key that was neither asked for by
// Get or Need nor taken by Rest when the map is closed is a fault.
type Map struct {
	value Value
	keys  []*yaml.Node
	vals  []*yaml.Node
	asked []string
}

// Map returns the value as a mapping; one that is absent or wrong is empty.
func (v Value) Map() *Map {
	m := &Map{value: v}
	if v.node == nil {
		return m
	}
	if v.node.Kind != yaml.MappingNode {
		v.wrong("a mapping of keys to values")
		return m
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		place := Value{file: v.file, node: key, path: v.path}
		switch first := m.find(key.Value); {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null":
			place.Faultf("a key must be a word")
		case key.ShortTag() == "!!merge":
			place.Faultf("merge keys (<<) are not read: write the keys out")
		case first >= 0:
			place.Faultf("%q stands here twice, first at line %d", key.Value, m.keys[first].Line)
		default:
			m.keys = append(m.keys, key)
			m.vals = append(m.vals, v.node.Content[i+1])
		}
	}
	return m
}

func (m *Map) find(key string) int {
	return slices.IndexFunc(m.keys, func(k *yaml.Node) bool { return k.Value == key })
}

func (m *Map) path(key string) string {
	if m.value.path == "" {
		return key
	}
	return m.value.path + "." + key
}

// Get returns the value of a key that may be absent.
func (m *Map) Get(key string) Value {
	if !slices.Contains(m.asked, key) {
		m.asked = append(m.asked, key)
	}
	v := Value{file: m.value.file, path: m.path(key)}
	if i := m.find(key); i >= 0 {
		v.node = m.vals[i]
	}
	return v
}

// Need returns the value of a key whose absence is a fault.
func (m *Map) Need(key string) Value {
	v := m.Get(key)
	if v.node == nil && m.value.node != nil && m.value.node.Kind == yaml.MappingNode {
		m.value.Faultf("%q is missing", key)
	}
	return v
}

// Pair is one entry of a mapping whose keys are the writer's own.
type Pair struct {
	Key   Value // its Text or Name is the key
	Value Value
}

// Rest returns the entries that were not asked for, in the file's order, and
// takes them all.
func (m *Map) Rest() []Pair {
	var out []Pair
	for i, key := range m.keys {
		if slices.Contains(m.asked, key.Value) {
			continue
		}
		m.asked = append(m.asked, key.Value)
		out = append(out, Pair{
			Key:   Value{file: m.value.file, node: key, path: m.value.path},
			Value: Value{file: m.value.file, node: m.vals[i], path: m.path(key.Value)},
		})
	}
	return out
}

// Close reports every key that nobody asked for, with the nearest known one.
func (m *Map) Close() {
	known := slices.Sorted(slices.Values(m.asked))
	for _, key := range m.keys {
		if !slices.Contains(known, key.Value) {
			m.value.file.fault(key, m.value.path, fmt.Sprintf("unknown key %q%s", key.Value, Suggest(key.Value, known)))
		}
	}
}

package model

import "math"

// The perfect-heap layout. Trees are taken in groups of eight, each tree
// filled up to the depth of its group's deepest, so that a walk is a fixed
// number of equal steps without a branch; the eight walks of a group are
// independent, so that the processor overlaps them.
//
// A row becomes integers that sort like its floats, twice a feature: in slot
// 2f a missing value is below every threshold, in slot 2f+1 above. A node
// names the slot that sends a missing value the way that training chose.
const (
	heapDepth    = 8
	heapFeatures = 256
	heapLanes    = 8
	// A walk's indices stay below these; masking with them lets the compiler
	// drop the bounds checks.
	heapNodes = heapLanes << heapDepth
	heapSlots = 2 * heapFeatures
)

// heap is an ensemble in that layout. Node i of lane k of a group stands at
// first + i·8 + k: the eight roots share a cache line.
type heap struct {
	width  int // features of a row
	groups []heapGroup
	nodes  []uint64 // threshold's key in the upper half, slot in the lower
	leaves []float32
}

type heapGroup struct {
	first int // of its nodes, and of its leaves
	leaf  int
	depth int
	trees int // 1 to 8; further lanes repeat the last tree and are not added
}

func newHeap(trees []tree, width int) *heap {
	h := &heap{width: width}
	for i := 0; i < len(trees); i += heapLanes {
		members := trees[i:min(i+heapLanes, len(trees))]
		g := heapGroup{first: len(h.nodes), leaf: len(h.leaves), trees: len(members)}
		for j := range members {
			g.depth = max(g.depth, members[j].depth)
		}
		h.nodes = append(h.nodes, make([]uint64, heapLanes*(1<<g.depth-1))...)
		h.leaves = append(h.leaves, make([]float32, heapLanes<<g.depth)...)
		for lane := range heapLanes {
			h.place(g, lane, &members[min(lane, len(members)-1)], 0, 0, 0)
		}
		h.groups = append(h.groups, g)
	}
	// A group is read through arrays of the greatest size.
	h.nodes = append(h.nodes, make([]uint64, heapNodes)...)
	h.leaves = append(h.leaves, make([]float32, heapNodes)...)
	return h
}

// place writes t's subtree at node to place i, level steps below the root. A
// leaf above the group's depth goes on as both children of a split that
// therefore decides nothing.
func (h *heap) place(g heapGroup, lane int, t *tree, node int32, i, level int) {
	if level == g.depth {
		h.leaves[g.leaf+heapLanes*(i-(1<<g.depth-1))+lane] = t.threshold[node]
		return
	}
	left, right := node, node
	if !t.leaf(node) {
		slot := 2 * uint64(t.feature[node]) //nolint:gosec // validated: 0 to heapFeatures-1
		if !t.defaultLeft[node] {
			slot++
		}
		h.nodes[g.first+heapLanes*i+lane] = uint64(uint32(key(t.threshold[node])))<<32 | slot //nolint:gosec // bits
		left, right = t.left[node], t.right[node]
	}
	h.place(g, lane, t, left, 2*i+1, level+1)
	h.place(g, lane, t, right, 2*i+2, level+1)
}

// key maps a float to an integer that sorts like it; both zeros are 0.
func key(x float32) int32 {
	bits := int32(math.Float32bits(x)) //nolint:gosec // bits
	if bits == math.MinInt32 {
		return 0
	}
	return bits ^ (bits >> 31 & math.MaxInt32)
}

// slots writes the keys of a row's features, those beyond its end missing.
func slots(row []float32, keys *[heapSlots]int32, width int) {
	for f := range min(width, len(row), heapFeatures) {
		if x := row[f]; !nan(x) {
			k := key(x)
			keys[2*f], keys[2*f+1] = k, k
		} else {
			keys[2*f], keys[2*f+1] = math.MinInt32, math.MaxInt32
		}
	}
	for f := len(row); f < min(width, heapFeatures); f++ {
		keys[2*f], keys[2*f+1] = math.MinInt32, math.MaxInt32
	}
}

// step moves lane k's walk from place j = 8i+k to a child's: right if the key
// is at least the threshold's.
func step(nodes *[heapNodes]uint64, keys *[heapSlots]int32, j, k int) int {
	node := nodes[j&(heapNodes-1)]
	less := (int64(keys[node&(heapSlots-1)]) - int64(node)>>32) >> 63 //nolint:gosec // bits
	return 2*j + 2*heapLanes - k + int(less<<3)
}

func (h *heap) margin(sum float32, row []float32) float32 {
	var keys [heapSlots]int32
	slots(row, &keys, h.width)
	for _, g := range h.groups {
		nodes := (*[heapNodes]uint64)(h.nodes[g.first:])
		j0, j1, j2, j3, j4, j5, j6, j7 := 0, 1, 2, 3, 4, 5, 6, 7
		for range g.depth {
			j0 = step(nodes, &keys, j0, 0)
			j1 = step(nodes, &keys, j1, 1)
			j2 = step(nodes, &keys, j2, 2)
			j3 = step(nodes, &keys, j3, 3)
			j4 = step(nodes, &keys, j4, 4)
			j5 = step(nodes, &keys, j5, 5)
			j6 = step(nodes, &keys, j6, 6)
			j7 = step(nodes, &keys, j7, 7)
		}
		leaves := (*[heapNodes]float32)(h.leaves[g.leaf:])
		inner := heapLanes * (1<<g.depth - 1)
		at := [heapLanes]int{j0, j1, j2, j3, j4, j5, j6, j7}
		for _, j := range at[:g.trees] {
			sum += leaves[(j-inner)&(heapNodes-1)]
		}
	}
	return sum
}

// margins walks eight rows at a time down each tree, so that the nodes of one
// tree stay in the nearest cache.
func (h *heap) margins(base float32, rows, out []float32, width int) {
	var keys [heapLanes][heapSlots]int32
	for ; len(out) >= heapLanes; rows, out = rows[heapLanes*width:], out[heapLanes:] {
		for r := range heapLanes {
			slots(rows[r*width:(r+1)*width], &keys[r], width)
			out[r] = base
		}
		for _, g := range h.groups {
			h.group(g, &keys, (*[heapLanes]float32)(out))
		}
	}
	for r := range out {
		out[r] = h.margin(base, rows[r*width:(r+1)*width])
	}
}

func (h *heap) group(g heapGroup, keys *[heapLanes][heapSlots]int32, out *[heapLanes]float32) {
	nodes := (*[heapNodes]uint64)(h.nodes[g.first:])
	leaves := (*[heapNodes]float32)(h.leaves[g.leaf:])
	inner := heapLanes * (1<<g.depth - 1)
	for k := range g.trees {
		j0, j1, j2, j3, j4, j5, j6, j7 := k, k, k, k, k, k, k, k
		for range g.depth {
			j0 = step(nodes, &keys[0], j0, k)
			j1 = step(nodes, &keys[1], j1, k)
			j2 = step(nodes, &keys[2], j2, k)
			j3 = step(nodes, &keys[3], j3, k)
			j4 = step(nodes, &keys[4], j4, k)
			j5 = step(nodes, &keys[5], j5, k)
			j6 = step(nodes, &keys[6], j6, k)
			j7 = step(nodes, &keys[7], j7, k)
		}
		out[0] += leaves[(j0-inner)&(heapNodes-1)]
		out[1] += leaves[(j1-inner)&(heapNodes-1)]
		out[2] += leaves[(j2-inner)&(heapNodes-1)]
		out[3] += leaves[(j3-inner)&(heapNodes-1)]
		out[4] += leaves[(j4-inner)&(heapNodes-1)]
		out[5] += leaves[(j5-inner)&(heapNodes-1)]
		out[6] += leaves[(j6-inner)&(heapNodes-1)]
		out[7] += leaves[(j7-inner)&(heapNodes-1)]
	}
}

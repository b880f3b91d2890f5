package model

// packed holds trees that are too deep for the heap, breadth first, both
// children of a node next to each other.
type packed struct {
	roots []int32
	nodes []packedNode
}

type packedNode struct {
	threshold float32 // of a leaf: its value
	feature   int32
	left      int32 // the right child follows it; -1 for a leaf
	missing   int32 // the child of a missing value
}

func newPacked(trees []tree) *packed {
	p := &packed{}
	for i := range trees {
		t := &trees[i]
		first := len(p.nodes)
		p.roots = append(p.roots, int32(first)) //nolint:gosec // at most maxNodes
		queue := []int32{0}
		p.nodes = append(p.nodes, packedNode{})
		for at := 0; at < len(queue); at++ {
			node := queue[at]
			out := packedNode{threshold: t.threshold[node], left: -1}
			if !t.leaf(node) {
				out.feature = t.feature[node]
				out.left = int32(len(p.nodes)) //nolint:gosec // at most maxNodes
				out.missing = out.left + 1
				if t.defaultLeft[node] {
					out.missing = out.left
				}
				queue = append(queue, t.left[node], t.right[node])
				p.nodes = append(p.nodes, packedNode{}, packedNode{})
			}
			p.nodes[first+at] = out
		}
	}
	return p
}

func (p *packed) margin(sum float32, row []float32) float32 {
	for _, at := range p.roots {
		n := &p.nodes[at]
		for n.left >= 0 {
			next := n.left
			switch x := row[n.feature]; {
			case nan(x):
				next = n.missing
			case x >= n.threshold:
				next++
			}
			n = &p.nodes[next]
		}
		sum += n.threshold
	}
	return sum
}

package model

import "math"

// Explain computes exact path-dependent Shapley values, what XGBoost calls
// pred_contribs.
//
// A leaf's value counts to the extent that the row follows the path to it. Let
// feature i's splits on that path let through the fraction z_i of the training
// rows, and let o_i be 1 if they let this row through, else 0. The leaf's game
// is v·Π(o_i or z_i), and the Shapley value of i in it is
//
//	v·(o_i − z_i)·∫₀¹ Π_{j≠i} (z_j(1−t) + o_j·t) dt,
//
// because ∫ t^s(1−t)^(k−1−s) is the weight of a coalition of s among k
// features. The integrand is a polynomial of degree k−1, so Gauss-Legendre
// quadrature with k/2 points gives the integral without error, and the
// products can be shared by all leaves beneath an edge: one walk down with the
// products above, one up with the sums below. The cost is linear in the number
// of nodes, where the usual algorithm takes their number times depth squared.
//
// Where a feature splits again on a path, the lower edge holds both splits: it
// takes the place of the upper edge for the leaves beneath it.

// leastShare stands for a child that no training row reached, so that nothing
// divides by zero; it is far below what one row in any training set makes.
const leastShare = 1e-9

// explainer holds the trees with each node's share of its parent's cover.
type explainer struct {
	roots []int32
	nodes []explainNode
	mean  float64 // of all trees over their training rows
	// t are the quadrature's points in (0, 1), w its weights.
	t, w []float64
}

// explainNode is a node, depth first: the left child follows its parent.
type explainNode struct {
	threshold float32
	feature   int32 // -1 for a leaf
	right     int32
	missing   bool // goes left
	again     int8 // the level of the nearest split above by the same feature, -1 if none
	value     float64
	share     [2]float64 // z of the left and right edge, same-feature splits above included
}

func newExplainer(trees []tree, depth int) explainer {
	x := explainer{}
	x.t, x.w = gaussLegendre((max(depth, 1) + 1) / 2)
	for i := range trees {
		x.roots = append(x.roots, int32(len(x.nodes))) //nolint:gosec // at most maxNodes
		x.mean += x.add(&trees[i], 0, nil)
	}
	return x
}

// edge is a split on the path to a node being added.
type edge struct {
	feature int32
	share   float64
}

// add appends t's subtree at node and returns its mean.
func (x *explainer) add(t *tree, node int32, path []edge) float64 {
	at := len(x.nodes)
	if t.leaf(node) {
		x.nodes = append(x.nodes, explainNode{feature: -1, value: float64(t.threshold[node])})
		return float64(t.threshold[node])
	}
	n := explainNode{
		threshold: t.threshold[node], feature: t.feature[node], missing: t.defaultLeft[node],
		again: -1,
	}
	above := 1.0
	for level, e := range path {
		if e.feature == n.feature {
			n.again, above = int8(level), e.share
		}
	}
	children := [2]int32{t.left[node], t.right[node]}
	share := t.shares(node)
	x.nodes = append(x.nodes, n)
	mean := 0.0
	for side, child := range children {
		if side == 1 {
			x.nodes[at].right = int32(len(x.nodes)) //nolint:gosec // at most maxNodes
		}
		z := above * share[side]
		x.nodes[at].share[side] = z
		mean += share[side] * x.add(t, child, append(path, edge{n.feature, z}))
	}
	return mean
}

// shares returns the parts of a node's cover that go left and right.
func (t *tree) shares(node int32) [2]float64 {
	left, right := float64(t.cover[t.left[node]]), float64(t.cover[t.right[node]])
	if left+right == 0 {
		return [2]float64{0.5, 0.5}
	}
	z := min(max(left/(left+right), leastShare), 1-leastShare)
	return [2]float64{z, 1 - z}
}

// Explain writes each feature's contribution to the row's margin into out,
// and last the bias: the mean margin over the training rows. They sum to the
// margin but for rounding. out needs len(Features())+1 places.
func (e *Ensemble) Explain(row []float32, out []float64) {
	out = out[:len(e.features)+1]
	clear(out)
	row = e.pad(row)
	x := &e.explain
	if len(x.t) <= 4 {
		s := shap4{x: x, row: row, out: out}
		s.run()
	} else {
		s := shapAny{x: x, row: row, out: out}
		s.run(e.depth)
	}
	out[len(e.features)] = e.expects
}

// Expects returns the mean margin over the training rows, the bias of Explain.
func (e *Ensemble) Expects() float64 { return e.expects }

// followed says whether the row goes left at n.
func (n *explainNode) followed(row []float32) bool {
	v := row[n.feature]
	return v < n.threshold || (n.missing && nan(v))
}

// gaussLegendre returns n points and weights of the quadrature on (0, 1), by
// Newton's method on the Legendre polynomial.
func gaussLegendre(n int) (points, weights []float64) {
	points, weights = make([]float64, n), make([]float64, n)
	for i := range n {
		z := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		slope := 0.0
		for range 100 {
			p, before := 1.0, 0.0
			for j := range n {
				k := float64(j)
				p, before = ((2*k+1)*z*p-k*before)/(k+1), p
			}
			slope = float64(n) * (z*p - before) / (z*z - 1)
			step := p / slope
			z -= step
			if math.Abs(step) < 1e-16 {
				break
			}
		}
		points[i] = (1 + z) / 2
		weights[i] = 1 / ((1 - z*z) * slope * slope)
	}
	return points, weights
}

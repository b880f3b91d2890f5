package model

// shapEdge is an edge on the path of a walk: the fraction z, whether the row
// follows it, and the factor z(1−t)+o·t at each quadrature point.
type shapEdge struct {
	o      bool
	z      float64
	factor [4]float64
}

// shap4 explains trees whose paths have at most eight distinct features: four
// quadrature points, kept in registers.
type shap4 struct {
	x    *explainer
	row  []float32
	out  []float64
	t, w [4]float64
	path [2*4 + 1]shapEdge
}

func (s *shap4) run() {
	copy(s.t[:], s.x.t)
	copy(s.w[:], s.x.w)
	for _, root := range s.x.roots {
		s.walk(root, 0, 1, 1, 1, 1)
	}
}

// walk visits a node that level edges lead to. a0 to a3 are the products of
// the factors above; it returns the sums over the leaves beneath of their
// value times the product of the factors beneath.
func (s *shap4) walk(at int32, level int, a0, a1, a2, a3 float64) (h0, h1, h2, h3 float64) {
	n := &s.x.nodes[at]
	if n.feature < 0 {
		return n.value, n.value, n.value, n.value
	}
	left := n.followed(s.row)
	l0, l1, l2, l3 := s.edge(n, 0, at+1, level, left, a0, a1, a2, a3)
	r0, r1, r2, r3 := s.edge(n, 1, n.right, level, !left, a0, a1, a2, a3)
	return l0 + r0, l1 + r1, l2 + r2, l3 + r3
}

func (s *shap4) edge(n *explainNode, side int, child int32, level int, o bool, a0, a1, a2, a3 float64) (
	h0, h1, h2, h3 float64,
) {
	e := &s.path[level]
	z := n.share[side]
	var upper *shapEdge
	if n.again >= 0 {
		upper = &s.path[n.again]
		o = o && upper.o
	}
	e.o, e.z = o, z
	take := 0.0
	if o {
		take = 1
	}
	d := take - z
	f0, f1, f2, f3 := z+d*s.t[0], z+d*s.t[1], z+d*s.t[2], z+d*s.t[3]
	e.factor = [4]float64{f0, f1, f2, f3}
	if upper == nil {
		if leaf := &s.x.nodes[child]; leaf.feature < 0 {
			h0, h1, h2, h3 = leaf.value, leaf.value, leaf.value, leaf.value
		} else {
			h0, h1, h2, h3 = s.walk(child, level+1, a0*f0, a1*f1, a2*f2, a3*f3)
		}
		s.out[n.feature] += d * (s.w[0]*a0*h0 + s.w[1]*a1*h1 + s.w[2]*a2*h2 + s.w[3]*a3*h3)
		return h0 * f0, h1 * f1, h2 * f2, h3 * f3
	}
	// The factor of the upper edge is in a: f/u takes its place beneath.
	u := &upper.factor
	i0, i1, i2, i3 := 1/u[0], 1/u[1], 1/u[2], 1/u[3]
	f0, f1, f2, f3 = f0*i0, f1*i1, f2*i2, f3*i3
	h0, h1, h2, h3 = s.walk(child, level+1, a0*f0, a1*f1, a2*f2, a3*f3)
	b0, b1, b2, b3 := s.w[0]*a0*h0*i0, s.w[1]*a1*h1*i1, s.w[2]*a2*h2*i2, s.w[3]*a3*h3*i3
	upperTake := -upper.z
	if upper.o {
		upperTake++
	}
	// What the upper edge will count for these leaves is not its own.
	s.out[n.feature] += d*(b0+b1+b2+b3) - upperTake*(b0*f0+b1*f1+b2*f2+b3*f3)
	return h0 * f0, h1 * f1, h2 * f2, h3 * f3
}

// shapAny is the same for deeper trees, with any number of points.
type shapAny struct {
	x      *explainer
	row    []float32
	out    []float64
	levels []shapLevel
}

type shapLevel struct {
	o      bool
	z      float64
	factor []float64 // of the edge from this level down
	above  []float64 // the product of the factors of the edges above
	sum    []float64 // what a walk to this level returned
	half   []float64 // the left child's part of it
}

// run explains every tree; depth is the deepest one's.
func (s *shapAny) run(depth int) {
	s.levels = make([]shapLevel, depth+1)
	q := len(s.x.t)
	room := make([]float64, 4*q*(depth+1))
	for i := range s.levels {
		l := &s.levels[i]
		l.factor, l.above, l.sum, l.half = room[:q], room[q:2*q], room[2*q:3*q], room[3*q:4*q]
		room = room[4*q:]
	}
	for i := range s.levels[0].above {
		s.levels[0].above[i] = 1
	}
	for _, root := range s.x.roots {
		s.walk(root, 0)
	}
}

// walk visits the node at, leaving the sums over its leaves in its level.
func (s *shapAny) walk(at int32, level int) {
	n := &s.x.nodes[at]
	l := &s.levels[level]
	if n.feature < 0 {
		for i := range l.sum {
			l.sum[i] = n.value
		}
		return
	}
	left := n.followed(s.row)
	s.edge(n, 0, at+1, level, left)
	copy(l.half, l.sum)
	s.edge(n, 1, n.right, level, !left)
	for i := range l.sum {
		l.sum[i] += l.half[i]
	}
}

// edge walks to one child and leaves its part of the sums in this level.
func (s *shapAny) edge(n *explainNode, side int, child int32, level int, o bool) {
	l, next := &s.levels[level], &s.levels[level+1]
	z := n.share[side]
	var upper *shapLevel
	upperTake := 0.0
	if n.again >= 0 {
		upper = &s.levels[n.again]
		o = o && upper.o
		if upperTake = -upper.z; upper.o {
			upperTake++
		}
	}
	l.o, l.z = o, z
	d := -z
	if o {
		d++
	}
	for i, t := range s.x.t {
		l.factor[i] = z + d*t
		next.above[i] = l.above[i] * l.factor[i]
		if upper != nil {
			next.above[i] /= upper.factor[i]
		}
	}
	s.walk(child, level+1)
	total := 0.0
	for i, w := range s.x.w {
		f, part := l.factor[i], w*l.above[i]*next.sum[i]
		if upper != nil {
			part /= upper.factor[i]
			f /= upper.factor[i]
			total += d*part - upperTake*part*f
		} else {
			total += d * part
		}
		l.sum[i] = next.sum[i] * f
	}
	s.out[n.feature] += total
}

package feature

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"drumbeat"
)

// Limits of an expression: a person can still read it.
const (
	maxExprText  = 1000
	maxExprDepth = 32 // of nesting, and of the stack that evaluates it
)

// Expr is a parsed expression over earlier features (W6): + - * /,
// parentheses, numbers, names, and abs, log1p, min, max, coalesce.
//
// Null operands give null, except in coalesce, which gives its first operand
// that is not null. x/0 gives null, and so does every result that no finite
// double holds (V3).
type Expr struct {
	code  []instruction
	names []string
	texts []string // canonical text of what is on the stack while parsing
	text  string
}

type opcode uint8

const (
	opNumber opcode = iota
	opName
	opNegate
	opAdd
	opSub
	opMul
	opDiv
	opAbs
	opLog1p
	opMin
	opMax
	opCoalesce
)

type instruction struct {
	op     opcode
	arg    int // of opName: the index of the name, later of the feature; else the operands
	number float64
}

// ParseExpr parses text. Which names exist is checked when a view is made.
func ParseExpr(text string) (*Expr, error) {
	if len(text) > maxExprText {
		return nil, fmt.Errorf("read expression: longer than %d characters: %w", maxExprText, drumbeat.ErrLimit)
	}
	p := exprParser{text: text, expr: &Expr{}}
	p.next()
	p.sum(0)
	if p.err == nil && p.token != "" {
		p.fail("expected an operator or the end, found %q", p.token)
	}
	if p.err != nil {
		return nil, p.err
	}
	p.expr.text, p.expr.texts = p.expr.texts[0], nil
	return p.expr, nil
}

// String returns the expression in its canonical form, with every operation
// in parentheses.
func (e *Expr) String() string { return e.text }

// Names returns the features that the expression names, each once.
func (e *Expr) Names() []string { return e.names }

// bound returns e with each name replaced by its feature's index.
func (e *Expr) bound(index func(name string) int) []instruction {
	code := make([]instruction, len(e.code))
	for i, in := range e.code {
		if in.op == opName {
			in.arg = index(e.names[in.arg])
		}
		code[i] = in
	}
	return code
}

// evaluate runs bound code over the features computed so far.
func evaluate(code []instruction, features []float64) float64 {
	var stack [maxExprDepth + 1]float64
	n := 0
	for i := range code {
		in := &code[i]
		switch in.op {
		case opNumber:
			stack[n] = in.number
			n++
		case opName:
			stack[n] = features[in.arg]
			n++
		case opNegate, opAbs, opLog1p:
			stack[n-1] = unaryOp(in.op, stack[n-1]) //nolint:gosec // the parser bounds the stack
		case opAdd, opSub, opMul, opDiv:
			n--
			stack[n-1] = binaryOp(in.op, stack[n-1], stack[n]) //nolint:gosec // the parser bounds the stack
		case opMin, opMax, opCoalesce:
			n -= in.arg - 1
			stack[n-1] = choice(in.op, stack[n-1:n-1+in.arg])
		}
	}
	return stack[0]
}

func unaryOp(op opcode, x float64) float64 {
	switch op { //nolint:exhaustive // the callers' three
	case opNegate:
		return finite(-x)
	case opAbs:
		return finite(math.Abs(x))
	default:
		return finite(math.Log1p(x))
	}
}

func binaryOp(op opcode, x, y float64) float64 {
	switch op { //nolint:exhaustive // the callers' four
	case opAdd:
		return finite(x + y)
	case opSub:
		return finite(x - y)
	case opMul:
		return finite(float64(x * y)) // the conversion forbids a fused product (W6)
	default:
		return finite(x / y)
	}
}

func choice(op opcode, operands []float64) float64 {
	best := operands[0]
	for _, x := range operands[1:] {
		switch {
		case op == opCoalesce:
			if math.IsNaN(best) {
				best = x
			}
		case math.IsNaN(best) || math.IsNaN(x):
			best = math.NaN()
		case op == opMin:
			best = min(best, x)
		default:
			best = max(best, x)
		}
	}
	return best
}

// finite returns x, or the one NaN that stands for null.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return math.NaN()
	}
	return x
}

// exprParser descends by precedence; each method leaves the next unread
// token in token.
type exprParser struct {
	text  string
	at    int // where the next token begins
	start int // where the current one began
	token string
	depth int // of the stack at this point of the code
	expr  *Expr
	err   error
}

func (p *exprParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("read expression: character %d: %s: %w", p.start+1, fmt.Sprintf(format, args...), drumbeat.ErrInvalid)
	}
	p.token, p.at = "", len(p.text)
}

func (p *exprParser) next() {
	for p.at < len(p.text) && strings.IndexByte(" \t\n\r", p.text[p.at]) >= 0 {
		p.at++
	}
	p.start = p.at
	if p.at == len(p.text) {
		p.token = ""
		return
	}
	end := p.at + 1
	switch c := p.text[p.at]; {
	case isLetter(c):
		for end < len(p.text) && (isLetter(p.text[end]) || isDigit(p.text[end])) {
			end++
		}
	case isDigit(c) || c == '.':
		for end < len(p.text) && (isDigit(p.text[end]) || strings.IndexByte(".eE", p.text[end]) >= 0 ||
			strings.IndexByte("+-", p.text[end]) >= 0 && strings.IndexByte("eE", p.text[end-1]) >= 0) {
			end++
		}
	}
	p.token, p.at = p.text[p.at:end], end
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *exprParser) sum(depth int) {
	p.product(depth)
	for p.token == "+" || p.token == "-" {
		token := p.token
		p.next()
		p.product(depth)
		p.emitBinary(token)
	}
}

func (p *exprParser) product(depth int) {
	p.factor(depth)
	for p.token == "*" || p.token == "/" {
		token := p.token
		p.next()
		p.factor(depth)
		p.emitBinary(token)
	}
}

func (p *exprParser) factor(depth int) {
	if depth >= maxExprDepth || p.depth >= maxExprDepth {
		p.fail("nested deeper than %d", maxExprDepth)
		return
	}
	token := p.token
	switch {
	case token == "":
		p.fail("expected a number, a feature or a parenthesis, found the end")
	case token == "-":
		p.next()
		p.factor(depth + 1)
		p.emit(instruction{op: opNegate}, 1, "-(%s)")
	case token == "(":
		p.next()
		p.sum(depth + 1)
		p.expect(")")
	case isDigit(token[0]) || token[0] == '.':
		p.number(token)
	case isLetter(token[0]):
		p.next()
		if p.token == "(" {
			p.call(token, depth)
			return
		}
		p.name(token)
	default:
		p.fail("expected a number, a feature or a parenthesis, found %q", token)
	}
}

func (p *exprParser) number(token string) {
	x, err := strconv.ParseFloat(token, 64)
	if err != nil || math.IsInf(x, 0) {
		p.fail("%q is no number", token)
		return
	}
	p.next()
	p.push(instruction{op: opNumber, number: x}, strconv.FormatFloat(x, 'g', -1, 64))
}

func (p *exprParser) name(token string) {
	index := -1
	for i, known := range p.expr.names {
		if known == token {
			index = i
		}
	}
	if index < 0 {
		index = len(p.expr.names)
		p.expr.names = append(p.expr.names, token)
	}
	p.push(instruction{op: opName, arg: index}, token)
}

// functions says which operation a function is and how many operands it
// takes at least and at most.
//
//nolint:gochecknoglobals // a constant table
var functions = map[string]struct {
	op          opcode
	least, most int
}{
	"abs": {opAbs, 1, 1}, "log1p": {opLog1p, 1, 1},
	"min": {opMin, 2, 16}, "max": {opMax, 2, 16}, "coalesce": {opCoalesce, 2, 16},
}

func (p *exprParser) call(name string, depth int) {
	function, ok := functions[name]
	if !ok {
		p.start -= len(name)
		p.fail("there is no function %q: use abs, coalesce, log1p, max, min", name)
		return
	}
	count := 0
	for {
		p.next() // "(" or ","
		p.sum(depth + 1)
		count++
		if p.token != "," {
			break
		}
	}
	p.expect(")")
	if p.err == nil && (count < function.least || count > function.most) {
		p.fail("%s takes %d to %d operands, found %d", name, function.least, function.most, count)
	}
	p.emit(instruction{op: function.op, arg: count}, count, name+"("+strings.TrimSuffix(strings.Repeat("%s,", count), ",")+")")
}

func (p *exprParser) expect(token string) {
	if p.err == nil && p.token != token {
		p.fail("expected %q, found %q", token, p.token)
		return
	}
	p.next()
}

func (p *exprParser) emitBinary(token string) {
	op := map[string]opcode{"+": opAdd, "-": opSub, "*": opMul, "/": opDiv}[token]
	p.emit(instruction{op: op}, 2, "(%s "+token+" %s)")
}

func (p *exprParser) push(in instruction, text string) {
	if p.err != nil {
		return
	}
	p.expr.code = append(p.expr.code, in)
	p.expr.texts = append(p.expr.texts, text)
	p.depth++
}

// emit appends an operation on the last operands of the stack.
func (p *exprParser) emit(in instruction, operands int, form string) {
	if p.err != nil {
		return
	}
	p.expr.code = append(p.expr.code, in)
	from := len(p.expr.texts) - operands
	args := make([]any, operands)
	for i, text := range p.expr.texts[from:] {
		args[i] = text
	}
	p.expr.texts = append(p.expr.texts[:from], fmt.Sprintf(form, args...))
	p.depth -= operands - 1
}

package feature

// aggNames holds the word of the file for each Agg that has one.
//
//nolint:gochecknoglobals // a constant table
var aggNames = [...]string{
	AggCount: "count", AggMean: "mean", AggStd: "std", AggMin: "min", AggMax: "max", AggSum: "sum",
	AggFirst: "first", AggLast: "last", AggDelta: "delta", AggIncrease: "increase",
	AggCoverage: "coverage", AggAge: "age", AggEvents: "events", AggMeanBetween: "mean_between",
	AggExpr: "expr", AggBins: "bins", AggOneHot: "onehot", AggCategory: "category", AggNumber: "number",
}

// String returns the word that a features file uses.
func (a Agg) String() string {
	if int(a) < len(aggNames) {
		return aggNames[a]
	}
	return "unknown"
}

// OfSensor says whether a is computed over a window of a sensor's values.
func (a Agg) OfSensor() bool { return a <= AggCoverage }

// OfLog says whether a is computed over the entries of a log.
func (a Agg) OfLog() bool { return a == AggAge || a == AggEvents || a == AggMeanBetween }

// OfStatic says whether a is computed from a static attribute.
func (a Agg) OfStatic() bool {
	return a == AggBins || a == AggOneHot || a == AggCategory || a == AggNumber
}

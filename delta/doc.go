// Package delta reads and writes Delta Lake tables (reader version 1, writer
// version 2): a log of JSON commits with checkpoints beside immutable Parquet
// files, over an object store with atomic create-if-absent. Appends carry
// application transactions (txn actions), so that a writer that is told to
// write the same again writes nothing.
//
// Spec: the Delta Transaction Log Protocol.
package delta

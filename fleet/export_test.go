package fleet

import "drumbeat"

// Strictly decodes readings by the strict way alone, for tests that hold the
// fast one to it.
func (d *Decoder) Strictly(payload []byte, dst []drumbeat.Item) ([]drumbeat.Item, error) {
	if len(payload) > MaxRecord {
		return dst, undecodable("too long")
	}
	return d.strictReadings(payload, dst)
}

// Scanned says whether the fast way alone decodes the payload.
func (d *Decoder) Scanned(payload []byte) bool {
	_, ok := d.scanReadings(payload, nil)
	return ok
}

// Space returns for how many event times of a machine the judge holds space.
func (j *Judge) Space(m drumbeat.MachineID) int { return cap(j.machines[m].accepted.times) }

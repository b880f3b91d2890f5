package delta

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// decode takes the values out of a page and returns how many there are.
func (c *columnReader) decode(page parquet.Page) (int, error) {
	dict := page.Dictionary()
	if dict == nil {
		return c.decodePlain(page.Data())
	}
	if c.dict != dict {
		if err := c.decodeDictionary(dict); err != nil {
			return 0, err
		}
		c.dict = dict
	}
	data := page.Data()
	if data.Kind() != encoding.Int32 {
		return 0, errors.New("a dictionary page without indexes")
	}
	return c.look(data.Int32())
}

// decodeDictionary takes the values out of a dictionary.
func (c *columnReader) decodeDictionary(dict parquet.Dictionary) error {
	if _, err := c.decodePlain(dict.Page().Data()); err != nil {
		return err
	}
	switch c.field.Type {
	case Float64:
		c.dictFloat, c.floatRoom = c.floats, nil
	case String, Binary:
		c.dictText, c.textSpace = c.text, nil
	case Int32, Int64, Timestamp, Decimal, Date:
		c.dictInts, c.intSpace = c.ints, nil
	case Bool:
		return errors.New("a dictionary of booleans")
	}
	return nil
}

// look replaces indexes by the dictionary's values.
func (c *columnReader) look(indexes []int32) (int, error) {
	var err error
	switch c.field.Type {
	case Float64:
		c.floatRoom, err = lookup(c.floatRoom, c.dictFloat, indexes)
		c.floats = c.floatRoom
	case String, Binary:
		c.textSpace, err = lookup(c.textSpace, c.dictText, indexes)
		c.text = c.textSpace
	case Int32, Int64, Timestamp, Decimal, Date:
		c.intSpace, err = lookup(c.intSpace, c.dictInts, indexes)
		c.ints = c.intSpace
	case Bool:
	}
	return len(indexes), err
}

func lookup[T any](out, values []T, indexes []int32) ([]T, error) {
	out = resize(out, len(indexes))
	for i, index := range indexes {
		if index < 0 || int(index) >= len(values) {
			return out, fmt.Errorf("index %d in a dictionary of %d", index, len(values))
		}
		out[i] = values[index]
	}
	return out, nil
}

// decodePlain takes values that stand for themselves, and returns how many
// there are.
func (c *columnReader) decodePlain(data encoding.Values) (int, error) {
	if want := c.physical(); data.Kind() != want {
		return 0, fmt.Errorf("a page of %s, want %s", data.Kind(), want)
	}
	switch c.field.Type {
	case Float64:
		return c.decodeFloats(data)
	case String, Binary:
		return c.decodeText(data)
	case Bool:
		c.bools = data.Boolean()
		return 8 * len(c.bools), nil
	case Int32, Int64, Timestamp, Decimal, Date:
	}
	return c.decodeInts(data)
}

// physical returns the kind of values that the column's pages must have.
func (c *columnReader) physical() encoding.Kind {
	switch c.convert {
	case fromInt32:
		return encoding.Int32
	case fromInt96:
		return encoding.Int96
	case fromFixed:
		return encoding.FixedLenByteArray
	case fromFloat32:
		return encoding.Float
	case fromMillis:
		return encoding.Int64
	case direct:
	}
	switch c.field.Type {
	case Float64:
		return encoding.Double
	case String, Binary:
		return encoding.ByteArray
	case Bool:
		return encoding.Boolean
	case Int32, Int64, Timestamp, Decimal, Date:
	}
	return encoding.Int64
}

func (c *columnReader) decodeFloats(data encoding.Values) (int, error) {
	if c.convert == direct {
		c.floats = data.Double()
		return len(c.floats), nil
	}
	c.floatRoom = c.floatRoom[:0]
	for _, v := range data.Float() {
		c.floatRoom = append(c.floatRoom, float64(v))
	}
	c.floats = c.floatRoom
	return len(c.floats), nil
}

func (c *columnReader) decodeText(data encoding.Values) (int, error) {
	body, offsets := data.ByteArray()
	n := max(len(offsets)-1, 0)
	c.textSpace = resize(c.textSpace, n)
	for i := range n {
		from, to := offsets[i], offsets[i+1]
		if from > to || uint64(to) > uint64(len(body)) {
			return 0, errors.New("a text beyond the end of its page")
		}
		c.textSpace[i] = body[from:to:to]
	}
	c.text = c.textSpace
	return n, nil
}

func (c *columnReader) decodeInts(data encoding.Values) (int, error) {
	if c.convert == direct {
		c.ints = data.Int64()
		return len(c.ints), nil
	}
	c.intSpace = c.intSpace[:0]
	switch c.convert {
	case fromInt32:
		for _, v := range data.Int32() {
			c.intSpace = append(c.intSpace, int64(v))
		}
	case fromMillis:
		for _, v := range data.Int64() {
			c.intSpace = append(c.intSpace, v*1000)
		}
	case fromInt96:
		for _, v := range data.Int96() {
			c.intSpace = append(c.intSpace, int96Micros(v))
		}
	case fromFixed:
		body, size := data.FixedLenByteArray()
		for at := 0; size > 0 && at+size <= len(body); at += size {
			v, ok := fixed(body[at : at+size])
			if !ok {
				return 0, errors.New("a decimal of more than 18 digits")
			}
			c.intSpace = append(c.intSpace, v)
		}
	case direct, fromFloat32:
	}
	c.ints = c.intSpace
	return len(c.ints), nil
}

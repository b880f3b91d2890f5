package delta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"drumbeat"
)

// The versions of the protocol that we speak.
const (
	readerVersion = 1
	writerVersion = 2
)

// action is one line of a commit: exactly one of its parts is set.
type action struct {
	Protocol *protocol   `json:"protocol,omitempty" parquet:"protocol,optional"`
	MetaData *metaData   `json:"metaData,omitempty" parquet:"metaData,optional"`
	Txn      *txn        `json:"txn,omitempty" parquet:"txn,optional"`
	Add      *add        `json:"add,omitempty" parquet:"add,optional"`
	Remove   *remove     `json:"remove,omitempty" parquet:"remove,optional"`
	Info     *commitInfo `json:"commitInfo,omitempty" parquet:"-"`
}

type protocol struct {
	MinReaderVersion int32    `json:"minReaderVersion" parquet:"minReaderVersion"`
	MinWriterVersion int32    `json:"minWriterVersion" parquet:"minWriterVersion"`
	ReaderFeatures   []string `json:"readerFeatures,omitempty" parquet:"-"`
	WriterFeatures   []string `json:"writerFeatures,omitempty" parquet:"-"`
}

type metaData struct {
	ID               string            `json:"id" parquet:"id"`
	Name             string            `json:"name,omitempty" parquet:"name,optional"`
	Description      string            `json:"description,omitempty" parquet:"description,optional"`
	Format           fileFormat        `json:"format" parquet:"format"`
	SchemaString     string            `json:"schemaString" parquet:"schemaString"`
	PartitionColumns []string          `json:"partitionColumns" parquet:"partitionColumns,list"`
	Configuration    map[string]string `json:"configuration" parquet:"configuration"`
	CreatedTime      int64             `json:"createdTime,omitempty" parquet:"createdTime,optional"`
}

type fileFormat struct {
	Provider string            `json:"provider" parquet:"provider"`
	Options  map[string]string `json:"options" parquet:"options"`
}

type txn struct {
	AppID       string `json:"appId" parquet:"appId"`
	Version     int64  `json:"version" parquet:"version"`
	LastUpdated int64  `json:"lastUpdated,omitempty" parquet:"lastUpdated,optional"`
}

type add struct {
	Path             string             `json:"path" parquet:"path"`
	PartitionValues  map[string]*string `json:"partitionValues" parquet:"partitionValues"`
	Size             int64              `json:"size" parquet:"size"`
	ModificationTime int64              `json:"modificationTime" parquet:"modificationTime"`
	DataChange       bool               `json:"dataChange" parquet:"dataChange"`
	Tags             map[string]string  `json:"tags,omitempty" parquet:"tags,optional"`
	Stats            string             `json:"stats,omitempty" parquet:"stats,optional"`
	DeletionVector   json.RawMessage    `json:"deletionVector,omitempty" parquet:"-"`
}

type remove struct {
	Path              string `json:"path" parquet:"path"`
	DeletionTimestamp int64  `json:"deletionTimestamp,omitempty" parquet:"deletionTimestamp,optional"`
	DataChange        bool   `json:"dataChange" parquet:"dataChange"`
}

type commitInfo struct {
	Timestamp           int64             `json:"timestamp"`
	Operation           string            `json:"operation"`
	OperationParameters map[string]string `json:"operationParameters"`
	EngineInfo          string            `json:"engineInfo"`
	// Checksum is the CRC-32C of the commit, in hexadecimal, taken with zeros
	// in its place; "" in commits of other programs.
	Checksum string `json:"drumbeat.crc32c,omitempty"`
}

// UnmarshalJSON reads what is of the expected type, and nothing else: the
// protocol leaves open what a commitInfo holds.
func (c *commitInfo) UnmarshalJSON(text []byte) error {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	for name, to := range map[string]any{
		"timestamp": &c.Timestamp, "operation": &c.Operation, "engineInfo": &c.EngineInfo, tagChecksum: &c.Checksum,
	} {
		_ = json.Unmarshal(in[name], to) // of another type it stays empty
	}
	var parameters map[string]any
	if json.Unmarshal(in["operationParameters"], &parameters) == nil {
		c.OperationParameters = make(map[string]string, len(parameters))
		for name, value := range parameters {
			c.OperationParameters[name] = fmt.Sprint(value)
		}
	}
	return nil
}

// decodeCommit reads a commit. Actions that we do not know are skipped, as the
// protocol asks; what a table needs of its readers is in its protocol action.
func decodeCommit(key string, body []byte) ([]action, error) {
	if err := verifyCommit(key, body); err != nil {
		return nil, err
	}
	var actions []action
	line := 0
	for text := range bytes.Lines(body) {
		line++
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		var a action
		if err := json.Unmarshal(text, &a); err != nil {
			return nil, fmt.Errorf("read commit %s:%d: %w: %w; restore the file from a backup", key, line, err, drumbeat.ErrInvalid)
		}
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("read commit %s:%d: %w", key, line, err)
		}
		actions = append(actions, a)
	}
	if line == 0 {
		return nil, fmt.Errorf("read commit %s: it is empty; restore the file from a backup: %w", key, drumbeat.ErrInvalid)
	}
	return actions, nil
}

// check refuses an action that cannot be obeyed.
func (a *action) check() error {
	switch {
	case a.Protocol != nil:
		return a.Protocol.checkReader()
	case a.MetaData != nil:
		return a.MetaData.check()
	case a.Txn != nil && a.Txn.AppID == "":
		return fmt.Errorf("a txn action has no appId: %w", drumbeat.ErrInvalid)
	case a.Add != nil:
		if hasVector := len(a.Add.DeletionVector) > 0 && string(a.Add.DeletionVector) != "null"; hasVector {
			return fmt.Errorf("file %s has a deletion vector, which is not read here: %w", a.Add.Path, drumbeat.ErrNewer)
		}
		if a.Add.Size < 0 {
			return fmt.Errorf("file %s has size %d: %w", a.Add.Path, a.Add.Size, drumbeat.ErrInvalid)
		}
		_, err := fileName(a.Add.Path)
		return err
	case a.Remove != nil:
		_, err := fileName(a.Remove.Path)
		return err
	}
	return nil
}

// checkReader says what we would have to know to read the table.
func (p *protocol) checkReader() error {
	if p.MinReaderVersion <= readerVersion {
		return nil
	}
	return fmt.Errorf("the table asks for reader version %d%s, and this program reads version %d: %w; "+
		"read it with a newer program, or rewrite the table without that feature",
		p.MinReaderVersion, features(p.ReaderFeatures), readerVersion, drumbeat.ErrNewer)
}

// checkWriter says what we would have to know to write the table.
func (p *protocol) checkWriter() error {
	if p.MinWriterVersion <= writerVersion {
		return nil
	}
	return fmt.Errorf("the table asks for writer version %d%s, and this program writes version %d: %w; "+
		"write it with a newer program, or rewrite the table without that feature",
		p.MinWriterVersion, features(p.WriterFeatures), writerVersion, drumbeat.ErrNewer)
}

func features(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (features " + strings.Join(names, ", ") + ")"
}

func (m *metaData) check() error {
	if m.Format.Provider != "parquet" {
		return fmt.Errorf("the table's files are %q, and only parquet is read: %w", m.Format.Provider, drumbeat.ErrInvalid)
	}
	return nil
}

// fileName returns a data file's path relative to the table, decoded.
func fileName(path string) (string, error) {
	name, err := url.PathUnescape(path)
	if err != nil || path == "" || strings.Contains(path, "://") || strings.HasPrefix(name, "/") {
		return "", fmt.Errorf("file %.200q lies outside the table, and such files are not read here: %w", path, drumbeat.ErrInvalid)
	}
	return name, nil
}

// encodeCommit writes a commit, an action a line, with its checksum in the
// commitInfo.
func encodeCommit(actions []action) ([]byte, error) {
	for i := range actions {
		if actions[i].Info != nil {
			actions[i].Info.Checksum = noChecksum
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	for i := range actions {
		if err := encoder.Encode(&actions[i]); err != nil {
			return nil, fmt.Errorf("write commit: %w", err)
		}
	}
	body := out.Bytes()
	if at := bytes.Index(body, []byte(checksumKey+noChecksum)); at >= 0 {
		copy(body[at+len(checksumKey):], checksum(body))
	}
	return body, nil
}

// Package s3 is an objstore.Store in a bucket of an S3 server: Amazon's, MinIO,
// or another that honours If-None-Match on PutObject.
//
// A create is one PUT with "If-None-Match: *", never a multipart upload, whose
// parts some servers put together without looking at the condition. An answer
// that is lost, or says that the server is unwell, tells nothing: the blob may
// be stored. Each create marks its blob with a random text of its own; after
// such an answer the mark is read back and says who won.
package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"drumbeat"
	"drumbeat/failpoint"
	"drumbeat/objstore"
)

// Config says where the bucket is.
type Config struct {
	Endpoint string // scheme://host[:port]; https unless it says http
	Bucket   string // must exist
	Prefix   string // of every key, without a slash at its ends; may be empty
	Region   string // us-east-1 if empty
	// PathStyle asks for endpoint/bucket/key instead of bucket.endpoint/key, as
	// most servers but Amazon's want.
	PathStyle bool
	// AccessKey and SecretKey identify the caller. Without them the variables
	// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the shared credentials file
	// or the machine's role do.
	AccessKey, SecretKey string
}

const (
	// attempts at one call, with pauses of 50 ms to 3 s between them: some six
	// seconds in all, in which a server may restart.
	attempts = 8
	// answerTime bounds the wait for the head of an answer; a server that does
	// not say a word for so long will not.
	answerTime = 20 * time.Second
	// tokenKey is the metadata under which a blob says whose create made it.
	tokenKey = "Drumbeat-Create"
	// connections to one server: more than the goroutines that use a store.
	connections = 64
	// maxBody bounds a blob: what S3 takes in one PUT is 5 GiB, and what we
	// write is built in memory.
	maxBody = 1 << 30
)

// Store is a bucket, or what has a prefix in one.
type Store struct {
	client *minio.Client
	bucket string
	prefix string // "" or ends in a slash
	name   string // for messages
}

var _ objstore.Store = (*Store)(nil)

// Open connects to a bucket and sees that it is there and may be read.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := newStore(cfg)
	if err != nil {
		return nil, fmt.Errorf("open S3 bucket: %w", err)
	}
	var found bool
	err = retry(ctx, func(ctx context.Context) (err error) {
		found, err = s.client.BucketExists(ctx, s.bucket)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("open %s: %w; see that it is reachable and that the access key may use it", s.name, explain(err))
	case !found:
		return nil, fmt.Errorf("open %s: there is no such bucket; make it first: %w", s.name, drumbeat.ErrNotFound)
	}
	return s, nil
}

func newStore(cfg Config) (*Store, error) {
	endpoint, secure, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	if cfg.Bucket == "" {
		return nil, fmt.Errorf("no bucket is named: %w", drumbeat.ErrInvalid)
	}
	if (cfg.AccessKey == "") != (cfg.SecretKey == "") {
		return nil, fmt.Errorf("want an access key and a secret key, or neither: %w", drumbeat.ErrInvalid)
	}
	prefix := strings.Trim(cfg.Prefix, "/")
	if prefix != "" {
		if err := objstore.CheckKey(prefix); err != nil {
			return nil, err
		}
		prefix += "/"
	}
	creds := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}})
	if cfg.AccessKey != "" {
		creds = credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, "")
	}
	style, region := minio.BucketLookupAuto, cfg.Region
	if cfg.PathStyle {
		style = minio.BucketLookupPath
	}
	if region == "" {
		region = "us-east-1"
	}
	client, err := minio.New(endpoint, &minio.Options{
		Creds: creds, Secure: secure, Region: region, BucketLookup: style,
		MaxRetries: 1, // we retry: a create must know of every attempt
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: answerTime,
			MaxIdleConnsPerHost:   connections,
			IdleConnTimeout:       time.Minute,
			DisableCompression:    true, // blobs come as they are
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", drumbeat.ErrInvalid, err)
	}
	return &Store{client: client, bucket: cfg.Bucket, prefix: prefix, name: fmt.Sprintf("bucket %s at %s", cfg.Bucket, cfg.Endpoint)}, nil
}

func parseEndpoint(text string) (host string, secure bool, err error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return "", false, fmt.Errorf("endpoint: want http:// or https:// with host and port alone: %w", drumbeat.ErrInvalid)
	}
	return u.Host, u.Scheme == "https", nil
}

// Create stores body under a new key.
func (s *Store) Create(ctx context.Context, key string, body []byte) error {
	if err := objstore.Check(ctx, key); err != nil {
		return fmt.Errorf("create blob: %w", err)
	}
	if len(body) > maxBody {
		return fmt.Errorf("create blob %s: %d bytes, at most %d: %w", key, len(body), maxBody, drumbeat.ErrLimit)
	}
	err := s.create(ctx, key, body)
	switch {
	case errors.Is(err, drumbeat.ErrConflict):
		return fmt.Errorf("create blob %s: it exists: %w", key, err)
	case err != nil:
		return fmt.Errorf("create blob %s in %s: %w", key, s.name, err)
	}
	return nil
}

func (s *Store) create(ctx context.Context, key string, body []byte) error {
	token := rand.Text()
	doubt := false // an earlier attempt may have stored the blob
	return retry(ctx, func(ctx context.Context) error {
		failpoint.Here("s3.put")
		err := s.put(ctx, key, body, token)
		failpoint.Here("s3.answered")
		switch {
		case err == nil:
			return nil
		case isCode(err, http.StatusPreconditionFailed) && !doubt:
			return drumbeat.ErrConflict
		case !isCode(err, http.StatusPreconditionFailed) && !passes(err):
			return explain(err)
		}
		doubt = true
		// Whose is what is there now?
		found, statErr := s.client.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
		switch {
		case statErr == nil && found.UserMetadata[tokenKey] == token:
			return nil
		case statErr == nil:
			return drumbeat.ErrConflict
		case isCode(statErr, http.StatusNotFound):
			return again{err}
		}
		return again{errors.Join(err, statErr)}
	})
}

// put is one attempt.
func (s *Store) put(ctx context.Context, key string, body []byte, token string) error {
	opt := minio.PutObjectOptions{
		DisableMultipart: true, ContentType: "application/octet-stream", UserMetadata: map[string]string{tokenKey: token},
	}
	opt.SetMatchETagExcept("*")
	_, err := s.client.PutObject(ctx, s.bucket, s.prefix+key, bytes.NewReader(body), int64(len(body)), opt)
	return err
}

// Delete removes a blob.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := objstore.Check(ctx, key); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	err := retry(ctx, func(ctx context.Context) error {
		err := s.client.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{})
		if isCode(err, http.StatusNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete blob %s in %s: %w", key, s.name, explain(err))
	}
	return nil
}

package main

import (
	"context"
	"fmt"

	"drumbeat/fleet/strict"
	"drumbeat/objstore/fs"
	"drumbeat/objstore/s3"
	"drumbeat/topic"
)

// objectsSection reads the site file's `objects:`: where tables and model
// files are kept. Without it that is the data folder.
func objectsSection(v strict.Value) *s3.Config {
	if !v.Exists() {
		return nil
	}
	m := v.Map()
	defer m.Close()
	in := m.Need("s3").Map()
	defer in.Close()
	cfg := &s3.Config{
		Endpoint:  in.Need("endpoint").Text(""),
		Bucket:    in.Need("bucket").Text(""),
		Prefix:    in.Get("prefix").Text(""),
		Region:    in.Get("region").Text(""),
		PathStyle: in.Get("path_style").Bool(false),
	}
	cfg.AccessKey = readSecret(in, "access_key")
	cfg.SecretKey = readSecret(in, "secret_key")
	return cfg
}

// openObjects opens the store of tables and model files.
func (s *site) openObjects(ctx context.Context) error {
	if s.file.objects != nil {
		store, err := s3.Open(ctx, *s.file.objects)
		if err != nil {
			return fmt.Errorf("open the lake's bucket (%s: objects): %w", siteName, err)
		}
		s.objects, s.epochs = store, topic.NewEpochs(store)
		return nil
	}
	store, err := fs.Open(s.path(objectDir))
	if err != nil {
		return fmt.Errorf("open the lake's folder: %w", err)
	}
	s.objects, s.epochs = store, topic.NewEpochs(store)
	s.closers = append(s.closers, store.Close)
	return nil
}

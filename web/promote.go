package web

import "net/http"

func (b *board) promotePage(w http.ResponseWriter, r *http.Request) error  { return nil }
func (b *board) promote(w http.ResponseWriter, r *http.Request) error      { return nil }
func (b *board) rollbackPage(w http.ResponseWriter, r *http.Request) error { return nil }
func (b *board) rollback(w http.ResponseWriter, r *http.Request) error     { return nil }
func (b *board) retrainPage(w http.ResponseWriter, r *http.Request) error  { return nil }
func (b *board) retrain(w http.ResponseWriter, r *http.Request) error      { return nil }

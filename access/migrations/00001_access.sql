-- +goose Up
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE TABLE links (
    hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    token      TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE acts (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    role    TEXT NOT NULL,
    what    TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    hash    BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER acts_are_never_changed BEFORE UPDATE ON acts
BEGIN SELECT RAISE(ABORT, 'the record of acts is append-only'); END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER acts_are_never_deleted BEFORE DELETE ON acts
BEGIN SELECT RAISE(ABORT, 'the record of acts is append-only'); END;
-- +goose StatementEnd

-- +goose Up
CREATE TABLE version (
    fleet      TEXT    NOT NULL,
    number     INTEGER NOT NULL CHECK (number > 0),
    manifest   TEXT    NOT NULL,
    run        TEXT    NOT NULL,
    content    TEXT    NOT NULL, -- SHA-256 over manifest and files
    who        TEXT    NOT NULL,
    when_fleet INTEGER NOT NULL, -- microseconds since 1970
    when_wall  INTEGER NOT NULL,
    PRIMARY KEY (fleet, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX version_run ON version (fleet, run) WHERE run <> '';

CREATE TABLE file (
    fleet  TEXT    NOT NULL,
    number INTEGER NOT NULL,
    name   TEXT    NOT NULL,
    bytes  INTEGER NOT NULL,
    sha256 TEXT    NOT NULL,
    PRIMARY KEY (fleet, number, name),
    FOREIGN KEY (fleet, number) REFERENCES version (fleet, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet      TEXT    NOT NULL,
    alias      TEXT    NOT NULL,
    from_no    INTEGER NOT NULL, -- 0: none
    to_no      INTEGER NOT NULL, -- 0: taken away
    who        TEXT    NOT NULL,
    why        TEXT    NOT NULL,
    proof      TEXT    NOT NULL,
    when_fleet INTEGER NOT NULL,
    when_wall  INTEGER NOT NULL
) STRICT;
CREATE INDEX ledger_fleet ON ledger (fleet, seq);

CREATE TABLE alias (
    fleet  TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    number INTEGER NOT NULL,
    seq    INTEGER NOT NULL REFERENCES ledger (seq),
    PRIMARY KEY (fleet, name),
    FOREIGN KEY (fleet, number) REFERENCES version (fleet, number)
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER ledger_update BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_delete BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER version_update BEFORE UPDATE ON version
BEGIN SELECT RAISE(ABORT, 'a version never changes'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER version_delete BEFORE DELETE ON version
BEGIN SELECT RAISE(ABORT, 'a version never changes'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER file_update BEFORE UPDATE ON file
BEGIN SELECT RAISE(ABORT, 'a version never changes'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER file_delete BEFORE DELETE ON file
BEGIN SELECT RAISE(ABORT, 'a version never changes'); END;
-- +goose StatementEnd

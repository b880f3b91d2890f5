-- +goose Up
-- Times are microseconds since 1970; NULL is never.
CREATE TABLE fleet (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT    NOT NULL,
    now  INTEGER -- the fleet's clock, as far as it was told
) STRICT;

CREATE TABLE progress (
    epoch       INTEGER NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (epoch, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE watch (
    machine TEXT NOT NULL,
    mode    TEXT NOT NULL,
    state   TEXT NOT NULL, -- label.WatchState as JSON
    PRIMARY KEY (machine, mode)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert (
    id              TEXT    PRIMARY KEY,
    machine         TEXT    NOT NULL,
    mode            TEXT    NOT NULL,
    opened_at       INTEGER NOT NULL, -- as_of of the row that opened it
    opened_position TEXT    NOT NULL,
    last_above      INTEGER NOT NULL,
    peak            REAL    NOT NULL,
    latest          TEXT    NOT NULL, -- drumbeat.Prediction as JSON
    model           INTEGER NOT NULL,
    closed_at       INTEGER,
    outcome         TEXT    NOT NULL DEFAULT '',
    finding         TEXT    NOT NULL DEFAULT '',
    CHECK ((closed_at IS NULL) = (outcome = ''))
) STRICT, WITHOUT ROWID;
-- One open alert per machine and failure mode (A1).
CREATE UNIQUE INDEX alert_open ON alert (machine, mode) WHERE closed_at IS NULL;
CREATE INDEX alert_time ON alert (opened_at, id);
CREATE INDEX alert_machine ON alert (machine, opened_at);

CREATE TABLE finding (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    machine    TEXT    NOT NULL,
    alert      TEXT    NOT NULL, -- '' for a fault that no alert foretold
    outcome    TEXT    NOT NULL,
    mode       TEXT    NOT NULL,
    part       TEXT    NOT NULL,
    note       TEXT    NOT NULL,
    who        TEXT    NOT NULL,
    when_fleet INTEGER NOT NULL,
    when_wall  INTEGER NOT NULL,
    from_time  INTEGER
) STRICT;
CREATE INDEX finding_machine ON finding (machine, seq);

-- +goose StatementBegin
CREATE TRIGGER finding_update BEFORE UPDATE ON finding
BEGIN SELECT RAISE(ABORT, 'a finding never changes'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER finding_delete BEFORE DELETE ON finding
BEGIN SELECT RAISE(ABORT, 'a finding never changes'); END;
-- +goose StatementEnd

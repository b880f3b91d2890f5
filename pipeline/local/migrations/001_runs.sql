-- +goose Up
-- Times are microseconds since 1970; NULL is never.
CREATE TABLE runs (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of asking
    id              TEXT    NOT NULL UNIQUE,
    graph           TEXT    NOT NULL,
    fleet           TEXT    NOT NULL,
    reason_kind     TEXT    NOT NULL,
    reason_subject  TEXT    NOT NULL,
    reason_since    INTEGER,
    reason_detail   TEXT    NOT NULL,
    reason_key      TEXT    NOT NULL,
    automatic       INTEGER NOT NULL CHECK (automatic IN (0, 1)),
    who             TEXT    NOT NULL,
    params          TEXT    NOT NULL, -- a canonical JSON object
    state           TEXT    NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    error           TEXT    NOT NULL,
    requested_fleet INTEGER,
    requested_wall  INTEGER,
    started_fleet   INTEGER,
    started_wall    INTEGER,
    ended_fleet     INTEGER,
    ended_wall      INTEGER
) STRICT;
-- One run of a graph and fleet at a time.
CREATE UNIQUE INDEX runs_running ON runs (graph, fleet) WHERE state = 'running';
CREATE INDEX runs_reason ON runs (graph, fleet, reason_key);

CREATE TABLE steps (
    run           INTEGER NOT NULL REFERENCES runs (seq),
    name          TEXT    NOT NULL,
    place         INTEGER NOT NULL, -- in the graph, from 0
    state         TEXT    NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    attempts      INTEGER NOT NULL,
    started_fleet INTEGER,
    started_wall  INTEGER,
    ended_fleet   INTEGER,
    ended_wall    INTEGER,
    result        TEXT,             -- JSON, of a step that is done
    error         TEXT    NOT NULL,
    PRIMARY KEY (run, name),
    CHECK ((state = 'done') = (result IS NOT NULL))
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER runs_done BEFORE UPDATE ON runs WHEN OLD.state = 'done'
BEGIN SELECT RAISE(ABORT, 'a run that is done never changes'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER steps_done BEFORE UPDATE ON steps WHEN OLD.state = 'done'
BEGIN SELECT RAISE(ABORT, 'a result never changes'); END;
-- +goose StatementEnd

-- +goose Up
CREATE TABLE views (
    id   INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE -- the definition hash (P5)
);
CREATE TABLE records (
    view    INTEGER NOT NULL REFERENCES views (id),
    machine TEXT    NOT NULL,
    epoch   INTEGER NOT NULL, -- the position: compared by epoch, offset, idx (P4)
    part    INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    idx     INTEGER NOT NULL,
    vector  BLOB    NOT NULL, -- docs/format/online.md
    advance BLOB    NOT NULL
);
CREATE UNIQUE INDEX records_machine ON records (view, machine);

-- +goose Down
DROP TABLE records;
DROP TABLE views;

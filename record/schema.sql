-- One record of portroom. docs/record.md describes it. Times are milliseconds since
-- 1970-01-01 UTC; counts are ports unless the name says otherwise.

CREATE TABLE run (            -- a recorder from its start to its end
  id      INTEGER PRIMARY KEY,
  started INTEGER NOT NULL,
  host    TEXT NOT NULL,
  kernel  TEXT NOT NULL,
  version TEXT NOT NULL,
  pid     INTEGER NOT NULL
);

CREATE TABLE sample (         -- a moment at which was measured
  id       INTEGER PRIMARY KEY, -- rises with each sample, also when the clock does not
  run      INTEGER NOT NULL REFERENCES run(id),
  time     INTEGER NOT NULL,
  whole    INTEGER NOT NULL,  -- 1: holds all there was, not only what changed
  took     INTEGER NOT NULL,  -- microseconds of processor time
  interval INTEGER NOT NULL   -- milliseconds since the sample before, as meant
);
CREATE INDEX sample_time ON sample(time);
CREATE INDEX sample_whole ON sample(id) WHERE whole;

CREATE TABLE netns (          -- a network namespace
  id    INTEGER PRIMARY KEY,
  inode INTEGER NOT NULL,
  label TEXT NOT NULL,        -- who lives there; '' for that of the recorder
  UNIQUE (inode, label)
);

CREATE TABLE netns_sample (   -- its state since this sample
  sample    INTEGER NOT NULL REFERENCES sample(id),
  netns     INTEGER NOT NULL REFERENCES netns(id),
  present   INTEGER NOT NULL, -- 0: it is gone
  first     INTEGER NOT NULL, -- port numbers of the range
  last      INTEGER NOT NULL,
  blocked   INTEGER NOT NULL,
  by        TEXT NOT NULL,    -- JSON: kinds, and who blocks
  pools     INTEGER NOT NULL, -- how many there are
  others    INTEGER NOT NULL, -- how many of them are not kept apart
  held      INTEGER NOT NULL, -- what those others held
  status    TEXT NOT NULL,    -- ok, warning, critical
  verdict   TEXT NOT NULL,
  limited   TEXT NOT NULL,    -- why numbers are bounds; '' when they are not
  PRIMARY KEY (sample, netns)
) WITHOUT ROWID;

CREATE TABLE pool (
  id      INTEGER PRIMARY KEY,
  netns   INTEGER NOT NULL REFERENCES netns(id),
  proto   TEXT NOT NULL,
  src     TEXT NOT NULL,
  dst     TEXT NOT NULL,      -- with port; '*' where one pool serves all
  ifindex INTEGER NOT NULL,
  ended   INTEGER NOT NULL DEFAULT 0, -- the sample that last named it; 0 while it is there
  UNIQUE (netns, proto, dst, src, ifindex)
);

CREATE TABLE pool_sample (    -- its state since this sample
  sample       INTEGER NOT NULL REFERENCES sample(id),
  pool         INTEGER NOT NULL REFERENCES pool(id),
  present      INTEGER NOT NULL, -- 0: no socket is left in it
  range        INTEGER NOT NULL,
  capacity     INTEGER NOT NULL,
  held         INTEGER NOT NULL,
  reusable     INTEGER NOT NULL,
  headroom     INTEGER NOT NULL,
  headroom_max INTEGER NOT NULL,
  bind         INTEGER NOT NULL,
  bind_max     INTEGER NOT NULL,
  inexact      TEXT,             -- why headroom is a bound; NULL when it is not
  ceiling      INTEGER NOT NULL, -- tenths of a connect per second; 0 for none
  ceiling_max  INTEGER NOT NULL,
  established  INTEGER NOT NULL, -- sockets, by state
  time_wait    INTEGER NOT NULL,
  close_wait   INTEGER NOT NULL,
  syn_sent     INTEGER NOT NULL,
  fin_wait     INTEGER NOT NULL, -- FIN-WAIT-1 and 2, CLOSING, LAST-ACK
  other        INTEGER NOT NULL,
  PRIMARY KEY (sample, pool)
) WITHOUT ROWID;

CREATE TABLE process (
  id      INTEGER PRIMARY KEY,
  pid     INTEGER NOT NULL,   -- 0 when it could not be found out
  command TEXT NOT NULL,
  cgroup  TEXT NOT NULL,
  UNIQUE (pid, command, cgroup)
);

CREATE TABLE holder_sample (  -- who holds most of a pool since this sample; rank 0 is the first
  sample  INTEGER NOT NULL REFERENCES sample(id),
  pool    INTEGER NOT NULL REFERENCES pool(id),
  rank    INTEGER NOT NULL,
  process INTEGER NOT NULL REFERENCES process(id),
  ports   INTEGER NOT NULL,
  PRIMARY KEY (sample, pool, rank)
) WITHOUT ROWID;

CREATE TABLE setting (        -- what a namespace is set to since this sample
  sample INTEGER NOT NULL REFERENCES sample(id),
  netns  INTEGER NOT NULL REFERENCES netns(id),
  name   TEXT NOT NULL,
  value  TEXT NOT NULL,
  before TEXT,                -- NULL when it was not known or did not change
  PRIMARY KEY (sample, netns, name)
) WITHOUT ROWID;

CREATE TABLE refusal (        -- connects without a port since the sample before
  sample  INTEGER NOT NULL REFERENCES sample(id),
  pool    INTEGER NOT NULL REFERENCES pool(id),
  process INTEGER NOT NULL REFERENCES process(id),
  errno   TEXT NOT NULL,
  reason  TEXT NOT NULL,      -- no-port: none was free; port-taken: the one that had been bound was in use
  count   INTEGER NOT NULL,   -- connects
  PRIMARY KEY (sample, pool, process, reason)
) WITHOUT ROWID;

CREATE TABLE finding_sample ( -- what is wrong since this sample
  sample   INTEGER NOT NULL REFERENCES sample(id),
  netns    INTEGER NOT NULL REFERENCES netns(id),
  code     TEXT NOT NULL,
  present  INTEGER NOT NULL,  -- 0: no longer
  name     TEXT NOT NULL,
  severity TEXT NOT NULL,
  title    TEXT NOT NULL,
  evidence TEXT NOT NULL,     -- JSON array of sentences
  remedies TEXT NOT NULL,     -- JSON array of objects
  PRIMARY KEY (sample, netns, code)
) WITHOUT ROWID;

CREATE TABLE event (          -- what happened to the recording
  id     INTEGER PRIMARY KEY,
  sample INTEGER NOT NULL,    -- the sample that it came with
  time   INTEGER NOT NULL,
  kind   TEXT NOT NULL,
  text   TEXT NOT NULL
);

-- For people.

CREATE VIEW pools AS          -- each state of each pool
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS time,
       n.inode AS netns, n.label, p.proto, p.src, p.dst, q.present, q.capacity, q.held, q.reusable,
       q.headroom, q.headroom_max, q.established, q.time_wait, q.close_wait, q.syn_sent, q.fin_wait, q.other,
       q.sample, q.pool
FROM pool_sample q JOIN sample s ON s.id = q.sample JOIN pool p ON p.id = q.pool JOIN netns n ON n.id = p.netns;

CREATE VIEW holders AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS time,
       n.inode AS netns, n.label, p.proto, p.src, p.dst, c.pid, c.command, c.cgroup, h.ports, h.sample, h.pool
FROM holder_sample h JOIN sample s ON s.id = h.sample JOIN pool p ON p.id = h.pool
     JOIN netns n ON n.id = p.netns JOIN process c ON c.id = h.process;

CREATE VIEW refusals AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS time,
       n.inode AS netns, n.label, p.proto, p.src, p.dst, c.pid, c.command, c.cgroup, r.errno, r.reason, r.count, r.sample, r.pool
FROM refusal r JOIN sample s ON s.id = r.sample JOIN pool p ON p.id = r.pool
     JOIN netns n ON n.id = p.netns JOIN process c ON c.id = r.process;

CREATE VIEW changes AS        -- of settings
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS time,
       n.inode AS netns, n.label, t.name, t.before, t.value, t.sample
FROM setting t JOIN sample s ON s.id = t.sample JOIN netns n ON n.id = t.netns
WHERE t.before IS NOT NULL;

CREATE VIEW findings AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS time,
       n.inode AS netns, n.label, f.code, f.name, f.present, f.severity, f.title, f.evidence, f.remedies, f.sample
FROM finding_sample f JOIN sample s ON s.id = f.sample JOIN netns n ON n.id = f.netns;

CREATE VIEW events AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch') AS time, kind, text FROM event;

CREATE VIEW tightest AS       -- the least headroom of each pool in each minute
SELECT strftime('%Y-%m-%dT%H:%M', s.time / 1000.0, 'unixepoch') AS minute,
       n.inode AS netns, n.label, p.proto, p.src, p.dst, min(q.headroom_max) AS headroom, max(q.held - q.reusable) AS held, q.capacity
FROM pool_sample q JOIN sample s ON s.id = q.sample JOIN pool p ON p.id = q.pool JOIN netns n ON n.id = p.netns
WHERE q.present
GROUP BY minute, q.pool;

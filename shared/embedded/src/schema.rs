//! The tables. Times are microseconds since 1970; documents are JSON.

/// The version of this shape, in the database's `user_version`.
pub(crate) const VERSION: i64 = 6;

/// Makes every table, with one row per queue.
pub(crate) const TABLES: &str = "
CREATE TABLE queues (name TEXT PRIMARY KEY) WITHOUT ROWID;

-- returned: how often it came back unsettled since it was published or sent to be retried.
-- link: the subscription that has it in hand.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    returned INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL,
    link INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX messages_ready ON messages (queue, due, seq) WHERE link IS NULL;
CREATE INDEX messages_in_hand ON messages (link) WHERE link IS NOT NULL;

CREATE TABLE dead (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX dead_id ON dead (id);

CREATE TABLE streams (topic TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE polls (object TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE gaps (id TEXT PRIMARY KEY, opened INTEGER NOT NULL, doc TEXT NOT NULL);
CREATE TABLE settings (revision INTEGER PRIMARY KEY, doc TEXT NOT NULL);
CREATE TABLE snapshots (number INTEGER PRIMARY KEY, doc TEXT NOT NULL);
CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- salesforce: the status by its name. lifted: when the pause began that was lifted last.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    scope TEXT NOT NULL,
    requested INTEGER NOT NULL,
    started INTEGER,
    sealed INTEGER,
    ended INTEGER,
    salesforce TEXT NOT NULL,
    progress TEXT NOT NULL,
    next_index INTEGER NOT NULL,
    announced INTEGER NOT NULL,
    units INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    last_advanced INTEGER,
    last_counted INTEGER,
    paused TEXT,
    paused_for INTEGER NOT NULL,
    resumed INTEGER,
    lifted INTEGER,
    error TEXT
);
CREATE INDEX jobs_requested ON jobs (requested, id);
CREATE TABLE plans (job TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pages (
    job TEXT NOT NULL, first_index INTEGER NOT NULL, doc TEXT NOT NULL,
    PRIMARY KEY (job, first_index)
) WITHOUT ROWID;
CREATE TABLE counted (
    job TEXT NOT NULL, unit INTEGER NOT NULL, PRIMARY KEY (job, unit)
) WITHOUT ROWID;
CREATE TABLE abandoned (
    job TEXT NOT NULL, unit INTEGER NOT NULL, PRIMARY KEY (job, unit)
) WITHOUT ROWID;
-- The copy of a unit that is being sent to mOS.
CREATE TABLE sendings (
    job TEXT NOT NULL, unit INTEGER NOT NULL, step INTEGER NOT NULL, copy TEXT NOT NULL,
    PRIMARY KEY (job, unit)
) WITHOUT ROWID;
-- The live unit of which nobody knows yet whether it was published: one row, or none.
CREATE TABLE in_doubt (
    only INTEGER PRIMARY KEY CHECK (only = 1), job TEXT NOT NULL, unit INTEGER NOT NULL
);
CREATE TABLE tallies (
    job TEXT NOT NULL, object INTEGER NOT NULL, count TEXT NOT NULL, records INTEGER NOT NULL,
    PRIMARY KEY (job, object, count)
) WITHOUT ROWID;

-- object: its place in the dependency order.
CREATE TABLE parked (
    object INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    parent_object INTEGER,
    parent_id TEXT,
    retry_at INTEGER,
    job TEXT,
    dismissed INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (object, id)
) WITHOUT ROWID;
CREATE INDEX parked_parent ON parked (parent_object, parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX parked_retry ON parked (retry_at) WHERE retry_at IS NOT NULL;

CREATE TABLE last_words (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX last_words_until ON last_words (until);
CREATE TABLE trials (
    unit TEXT PRIMARY KEY, until INTEGER NOT NULL, doc TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX trials_until ON trials (until);

CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    level INTEGER NOT NULL,
    topic TEXT NOT NULL,
    job TEXT,
    object INTEGER,
    record TEXT,
    doc TEXT NOT NULL
);
CREATE INDEX log_record ON log (record, seq) WHERE record IS NOT NULL;
CREATE INDEX log_job ON log (job, seq) WHERE job IS NOT NULL;
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE reports (worker TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
-- key: a hash of what the browser holds.
CREATE TABLE sessions (
    key TEXT PRIMARY KEY, opened INTEGER NOT NULL, seen INTEGER NOT NULL, doc TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tokens (
    hash TEXT PRIMARY KEY, created INTEGER NOT NULL, used INTEGER, revoked TEXT, doc TEXT NOT NULL
) WITHOUT ROWID;
-- hour: when it began.
CREATE TABLE calls (hour INTEGER PRIMARY KEY, calls INTEGER NOT NULL);
-- What has been told of which incident: one row, or none.
CREATE TABLE board (
    only INTEGER PRIMARY KEY CHECK (only = 1), revision INTEGER NOT NULL, doc TEXT NOT NULL
);
-- found: when. due: when something is to be done about it. failed: when a way of it last failed.
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    found INTEGER NOT NULL,
    step INTEGER NOT NULL,
    due INTEGER,
    failed INTEGER,
    doc TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX outbox_found ON outbox (found, id);
CREATE INDEX outbox_due ON outbox (due) WHERE due IS NOT NULL;
CREATE INDEX outbox_failed ON outbox (failed) WHERE failed IS NOT NULL;
";

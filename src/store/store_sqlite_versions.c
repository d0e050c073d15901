/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_versions.c - the schema, as one list of changes from the empty file on.
 *
 * What is in the field is never edited here: a change is one more version at the end. */
#include "store/store_sqlite.h"

/* jobs holds what changes, bodies what does not: an update rewrites its whole row.
 *
 *      wait    enum store_wait         news    enum store_news, bits
 *      open    1 until it is final     live    1 until it is final and its message settled
 *
 * The indexes on work that is under way are partial, so their size, and with it the cost of each
 * step, does not grow with the jobs that have ended. */
#define STATES "'queued', 'waiting', 'launching', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled', 'superseded'"
static const char version_1[] =
	"CREATE TABLE jobs ("
	" seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL,"
	" deployer TEXT NOT NULL, queue TEXT, lock_key TEXT NOT NULL,"
	" policy TEXT NOT NULL CHECK (policy IN ('queue', 'latest', 'reject', 'parallel')),"
	" priority INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, commit_hash TEXT, ref TEXT, stage TEXT,"
	" state TEXT NOT NULL CHECK (state IN (" STATES ")), wait INTEGER NOT NULL DEFAULT 0, news INTEGER NOT NULL DEFAULT 0,"
	" open INTEGER NOT NULL, live INTEGER NOT NULL, reason TEXT, detail TEXT, exit_code INTEGER NOT NULL,"
	" accepted_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, message_id TEXT, receipt TEXT,"
	" message_group TEXT, hidden_until_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL,"
	" deliveries INTEGER NOT NULL, settled INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,"
	" step INTEGER NOT NULL DEFAULT 0, owner TEXT, fence INTEGER NOT NULL, lock_grant INTEGER NOT NULL);"
	"CREATE INDEX jobs_waiter ON jobs (lock_key, priority DESC, seq) WHERE wait = 3;"
	"CREATE INDEX jobs_waiting ON jobs (lock_key, deployer) WHERE wait > 0;"
	"CREATE INDEX jobs_delayed ON jobs (not_before_ms, seq) WHERE wait = 1;"
	"CREATE INDEX jobs_group ON jobs (queue, message_group, seq) WHERE open = 1 AND message_group IS NOT NULL;"
	"CREATE INDEX jobs_owned ON jobs (owner, seq) WHERE live = 1;"
	"CREATE INDEX jobs_news ON jobs (owner, seq) WHERE news > 0;"
	"CREATE INDEX jobs_project ON jobs (project, seq);"
	"CREATE INDEX jobs_state ON jobs (state, seq);"
	"CREATE TABLE bodies (job INTEGER PRIMARY KEY, body TEXT);"
	"CREATE TABLE attempts ("
	" job INTEGER NOT NULL, number INTEGER NOT NULL, step INTEGER NOT NULL, token TEXT, handle TEXT,"
	" intended_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL DEFAULT 0,"
	" end_reason TEXT, request TEXT, UNIQUE (job, number, step));"
	"CREATE TABLE owners ("
	" id TEXT PRIMARY KEY, boot_id TEXT NOT NULL, lease_until_ms INTEGER NOT NULL, registered_ms INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	/* A key stays for ever, so that its grants never repeat. */
	"CREATE TABLE locks (key TEXT PRIMARY KEY, holder TEXT, last_grant INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE faults ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, job_id TEXT, project TEXT,"
	" queue TEXT, text TEXT NOT NULL, body TEXT, dedup_key TEXT UNIQUE, published INTEGER NOT NULL DEFAULT 0,"
	" claim_boot_id TEXT NOT NULL DEFAULT '', claimed_until_ms INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX faults_unpublished ON faults (published, id) WHERE published = 0;"
	"CREATE TABLE outbox ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, sink TEXT NOT NULL, payload TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,"
	" state TEXT NOT NULL DEFAULT 'waiting', last_error TEXT);"
	"CREATE INDEX outbox_due ON outbox (next_ms) WHERE state = 'waiting';"
	/* Counting a million rows is a scan; keeping the count is one more row in a page that is written anyway. */
	"CREATE TABLE counts (state TEXT PRIMARY KEY, jobs INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN"
	" INSERT INTO counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET jobs = jobs + 1; END;"
	"CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN"
	" UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state;"
	" INSERT INTO counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET jobs = jobs + 1; END;";

/* rank: only who waits needs one, so a store with a million ended jobs is not rewritten; workers of the version
 * before, which are there until they have drained, admit jobs without one.  failures: each attempt but the
 * current one had failed by itself.  Nobody wrote to the old outbox. */
static const char version_2[] =
	"ALTER TABLE jobs ADD COLUMN rank INTEGER;"
	"ALTER TABLE jobs ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN waits_for TEXT;"
	"ALTER TABLE jobs ADD COLUMN next_try_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN cancelled_by TEXT;"
	"ALTER TABLE jobs ADD COLUMN cancel_reason TEXT;"
	"ALTER TABLE attempts ADD COLUMN timeout_ms INTEGER NOT NULL DEFAULT 0;"
	"DROP INDEX jobs_waiter;"
	"UPDATE jobs SET rank = seq - (priority - 5) * 1000 WHERE wait > 0;"
	"UPDATE jobs SET failures = attempt - (state <> 'queued') WHERE live = 1 AND open = 1 AND attempt > 0;"
	"CREATE INDEX jobs_waiter ON jobs (lock_key, rank, seq) WHERE wait = 3;"
	"CREATE INDEX jobs_ended ON jobs (finished_ms, seq) WHERE live = 0;"
	"CREATE TRIGGER jobs_ranked AFTER INSERT ON jobs WHEN NEW.rank IS NULL BEGIN"
	" UPDATE jobs SET rank = NEW.seq - (NEW.priority - 5) * 1000 WHERE seq = NEW.seq; END;"
	"CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN"
	" UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state; END;"
	"ALTER TABLE locks ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX locks_held ON locks (key) WHERE holder IS NOT NULL;"
	"CREATE INDEX faults_at ON faults (at_ms);"
	"CREATE TABLE crashes ("
	" key TEXT NOT NULL, owner TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (key, owner)) WITHOUT ROWID;"
	"CREATE INDEX crashes_at ON crashes (at_ms);"
	"CREATE TABLE rates ("
	" bucket TEXT PRIMARY KEY, boot_id TEXT NOT NULL, tokens REAL NOT NULL, per_s REAL NOT NULL,"
	" filled_ms INTEGER NOT NULL, halved_ms INTEGER NOT NULL, raised_ms INTEGER NOT NULL, short_of INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	/* open: 1 until it was delivered, the dead included */
	"DROP TABLE outbox;"
	"CREATE TABLE outbox ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, event TEXT NOT NULL, job_id TEXT,"
	" created_ms INTEGER NOT NULL, next_try_ms INTEGER NOT NULL, tries INTEGER NOT NULL, open INTEGER NOT NULL,"
	" dead INTEGER NOT NULL, error TEXT, dedup_key TEXT, payload TEXT NOT NULL);"
	"CREATE INDEX outbox_due ON outbox (next_try_ms, id) WHERE open = 1 AND dead = 0;"
	"CREATE INDEX outbox_open ON outbox (id) WHERE open = 1;"
	"CREATE INDEX outbox_dead ON outbox (dead, id) WHERE dead = 1;"
	"CREATE INDEX outbox_job ON outbox (job_id, id) WHERE job_id IS NOT NULL;"
	"CREATE INDEX outbox_jobless ON outbox (created_ms) WHERE job_id IS NULL;"
	"CREATE INDEX outbox_said ON outbox (dedup_key) WHERE dedup_key IS NOT NULL;"
	/* offset_ms: how far the clock of all stored times is ahead of that boot's clock */
	"CREATE TABLE clock (boot_id TEXT PRIMARY KEY, offset_ms INTEGER NOT NULL) WITHOUT ROWID;";

/* Errors are told through the outbox, those that were not published yet too; what was is kept as delivered, so that
 * nothing is told again.  The table stays for the workers of the version before, which record and publish their own
 * there until they have drained. */
static const char version_3[] =
	"ALTER TABLE outbox ADD COLUMN claimed_by TEXT;"
	"CREATE INDEX outbox_claimed ON outbox (claimed_by) WHERE claimed_by IS NOT NULL;"
	"INSERT INTO outbox (sink, event, job_id, created_ms, next_try_ms, tries, open, dead, dedup_key, payload)"
	" SELECT 'errors', 'error', job_id, at_ms, at_ms * (published = 0), 0, published = 0, 0, dedup_key,"
	" json_patch(json_object('time', strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch'), 'kind', kind,"
	" 'error', text), json_object('job', job_id, 'project', project, 'queue', queue, 'body', body))"
	" FROM faults ORDER BY id;"
	"DELETE FROM faults;";

/* How attempts ended that were before this nobody knows. */
static const char version_4[] =
	"ALTER TABLE attempts ADD COLUMN exit_code INTEGER NOT NULL DEFAULT -1;";

/* A move from one open state to another costs its row and one entry of an index, along which the open ones are counted
 * when somebody asks; only who has ended is counted here.
 *
 * counts is what it was for whoever reads it, and the workers of the version before count by the new triggers.  Their
 * looks at one state look at all jobs, until they are gone. */
static const char version_5[] =
	"DROP TRIGGER jobs_inserted;"
	"DROP TRIGGER jobs_moved;"
	"DROP TRIGGER jobs_deleted;"
	"DROP INDEX jobs_state;"
	"CREATE INDEX jobs_open ON jobs (state, open) WHERE open = 1;"
	"CREATE INDEX jobs_final ON jobs (state, seq) WHERE open = 0;"
	"CREATE TABLE ended (state TEXT PRIMARY KEY, jobs INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO ended SELECT column1, coalesce((SELECT jobs FROM counts WHERE state = column1), 0)"
	" FROM (VALUES ('succeeded'), ('failed'), ('cancelled'), ('superseded'));"
	"DROP TABLE counts;"
	"CREATE VIEW counts AS SELECT state, jobs FROM ended UNION ALL"
	" SELECT state, count(*) AS jobs FROM jobs WHERE open = 1 GROUP BY state;"
	"CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs WHEN NEW.open = 0 BEGIN"
	" UPDATE ended SET jobs = jobs + 1 WHERE state = NEW.state; END;"
	"CREATE TRIGGER jobs_ended_or_not AFTER UPDATE OF open ON jobs WHEN OLD.open <> NEW.open BEGIN"
	" UPDATE ended SET jobs = jobs + OLD.open - NEW.open"
	" WHERE state = CASE NEW.open WHEN 0 THEN NEW.state ELSE OLD.state END; END;"
	"CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs WHEN OLD.open = 0 BEGIN"
	" UPDATE ended SET jobs = jobs - 1 WHERE state = OLD.state; END;";

const struct store_sqlite_migration store_sqlite_migrations[] = {
	{ version_1 },
	{ version_2 },
	{ version_3 },
	{ version_4 },
	{ version_5 },
};
const int store_sqlite_version = sizeof(store_sqlite_migrations) / sizeof(store_sqlite_migrations[0]);

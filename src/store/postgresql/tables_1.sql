-- SPDX-License-Identifier: Apache-2.0
-- tables_1.sql - the first version of the tables.  What is in the field is never edited here: a change is a
-- further file.  All times are milliseconds since 1970 by this server's clock.

-- What changes of a job.  wait: what it waits for first: 0 nothing, 1 its delay, 2 an earlier job of its message
-- group, 3 its turn at the lock key.  news: bits, what its owner has not been told yet: 1 ready, 2 superseded,
-- 4 a newer receipt, 8 somebody asked for its end, 16 its task changed state.  rank: its place among the
-- waiters of its key.  An update of the receipt or of a wait's text touches no index (HOT), so the table is
-- not packed to the brim.
CREATE TABLE jobs (
	id text PRIMARY KEY,
	seq bigint NOT NULL UNIQUE,
	project text NOT NULL,
	deployer text NOT NULL,
	queue text,
	lock_key text NOT NULL,
	policy text NOT NULL CHECK (policy IN ('queue', 'latest', 'reject', 'parallel')),
	priority integer NOT NULL,
	not_before_ms bigint NOT NULL,
	commit_hash text,
	ref text,
	stage text,
	state text NOT NULL CHECK (state IN ('queued', 'waiting', 'launching', 'running', 'cancelling', 'succeeded',
		'failed', 'cancelled', 'superseded')),
	wait smallint NOT NULL,
	news smallint NOT NULL,
	rank bigint NOT NULL,
	reason text,
	detail text,
	exit_code integer NOT NULL,
	accepted_ms bigint NOT NULL,
	finished_ms bigint NOT NULL,
	message_id text,
	receipt text,
	message_group text,
	hidden_until_ms bigint NOT NULL,
	received_ms bigint NOT NULL,
	deliveries integer NOT NULL,
	settled boolean NOT NULL,
	attempt integer NOT NULL,
	step integer NOT NULL,
	failures integer NOT NULL,
	losses integer NOT NULL,
	waits_for text,
	next_try_ms bigint NOT NULL,
	cancelled_by text,
	cancel_reason text,
	owner text,
	fence bigint NOT NULL,
	lock_grant bigint NOT NULL,
	-- Until it is final; and until its message is settled, too.
	open boolean GENERATED ALWAYS AS (state IN ('queued', 'waiting', 'launching', 'running', 'cancelling')) STORED,
	live boolean GENERATED ALWAYS AS (NOT settled OR
		state IN ('queued', 'waiting', 'launching', 'running', 'cancelling')) STORED
) WITH (fillfactor = 80);

-- Those on work that is under way are partial, so that no step costs more for the jobs that have ended.
CREATE INDEX jobs_waiter ON jobs (lock_key, rank, seq) WHERE wait = 3;
CREATE INDEX jobs_waiting ON jobs (lock_key, deployer) WHERE wait > 0;
CREATE INDEX jobs_delayed ON jobs (not_before_ms, seq) WHERE wait = 1;
CREATE INDEX jobs_group ON jobs (queue, message_group, seq) WHERE open AND message_group IS NOT NULL;
CREATE INDEX jobs_owned ON jobs (owner, seq) WHERE live;
CREATE INDEX jobs_news ON jobs (owner, seq) WHERE news > 0;
CREATE INDEX jobs_ended ON jobs (finished_ms, seq) WHERE NOT live;
CREATE INDEX jobs_project ON jobs (project, seq);
CREATE INDEX jobs_state ON jobs (state, seq);

CREATE SEQUENCE job_seq;

-- What does not change of a job: an update rewrites its whole row.
CREATE TABLE bodies (
	job_id text PRIMARY KEY,
	body text
);

CREATE TABLE attempts (
	job_id text NOT NULL,
	number integer NOT NULL,
	step integer NOT NULL,
	token text,
	request text,
	handle text,
	intended_ms bigint NOT NULL,
	started_ms bigint NOT NULL,
	timeout_ms bigint NOT NULL,
	ended_ms bigint NOT NULL DEFAULT 0,
	end_reason text,
	exit_code integer NOT NULL DEFAULT -1,
	PRIMARY KEY (job_id, number, step)
) WITH (fillfactor = 90);

-- Who may own jobs, and until when without a renewal.
CREATE TABLE owners (
	id text PRIMARY KEY,
	lease_until_ms bigint NOT NULL,
	registered_ms bigint NOT NULL
) WITH (fillfactor = 50);

-- A key stays for ever, so that its grants never repeat.
CREATE TABLE locks (
	key text COLLATE "C" PRIMARY KEY,
	holder text,
	last_grant bigint NOT NULL,
	since_ms bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX locks_held ON locks (key) WHERE holder IS NOT NULL;

-- Workers that died with something in hand.
CREATE TABLE crashes (
	key text NOT NULL,
	owner text NOT NULL,
	at_ms bigint NOT NULL,
	PRIMARY KEY (key, owner)
);
CREATE INDEX crashes_at ON crashes (at_ms);

CREATE TABLE rates (
	bucket text PRIMARY KEY,
	tokens double precision NOT NULL,
	per_s double precision NOT NULL,
	filled_ms bigint NOT NULL,
	halved_ms bigint NOT NULL,
	raised_ms bigint NOT NULL,
	short_of boolean NOT NULL
) WITH (fillfactor = 50);

-- What is still to be told, and what was.  Open until it was delivered, the dead included.
CREATE TABLE outbox (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	sink text NOT NULL,
	event text NOT NULL,
	job_id text,
	payload text NOT NULL,
	created_ms bigint NOT NULL,
	next_try_ms bigint NOT NULL,
	tries integer NOT NULL,
	error text,
	dead boolean NOT NULL,
	dedup_key text,
	claimed_by text,
	open boolean GENERATED ALWAYS AS (next_try_ms > 0 OR dead) STORED
);
CREATE INDEX outbox_due ON outbox (next_try_ms, id) WHERE open AND NOT dead;
CREATE INDEX outbox_open ON outbox (id) WHERE open;
CREATE INDEX outbox_dead ON outbox (id) WHERE dead;
CREATE INDEX outbox_job ON outbox (job_id, id) WHERE job_id IS NOT NULL;
CREATE INDEX outbox_jobless ON outbox (created_ms) WHERE job_id IS NULL;
CREATE INDEX outbox_said ON outbox (dedup_key) WHERE dedup_key IS NOT NULL;
CREATE INDEX outbox_claimed ON outbox (claimed_by) WHERE claimed_by IS NOT NULL;

-- How many jobs have ended in which state: the sum of these.  One row a state would be one that all workers
-- wait for, so each change is a row of its own, and they are summed up now and then.
CREATE TABLE ended (
	state text NOT NULL,
	jobs bigint NOT NULL
);

-- The last batches of each client and what was answered: a client whose connection broke asks again.
CREATE TABLE batches (
	client text NOT NULL,
	place smallint NOT NULL,
	number bigint NOT NULL,
	at_ms bigint NOT NULL,
	answers jsonb NOT NULL,
	PRIMARY KEY (client, place)
) WITH (fillfactor = 50);

-- A job that got ready, and whom to tell; NULL: whoever adopts it.
CREATE TYPE job_grant AS (job_id text, owner text);

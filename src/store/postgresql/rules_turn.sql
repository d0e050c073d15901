-- SPDX-License-Identifier: Apache-2.0
-- rules_turn.sql - whose turn it is: delays, message groups and lock keys.
--
-- A waiting job passes three stages in order: its delay (wait = 1), the earlier jobs of its message group (2),
-- its lock key (3).  It rests on one invariant: a free key has nobody at wait = 3.

CREATE OR REPLACE FUNCTION needs_key(job jobs) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$
	SELECT job.policy <> 'parallel' AND job.lock_key <> ''
$$;

-- waiting -> queued; the owner hears of it by the answer's grants or by its next sweep.
CREATE OR REPLACE FUNCTION make_ready(job jobs, granted bigint) RETURNS job_grant LANGUAGE plpgsql
AS $$
DECLARE
	ready job_grant;
BEGIN
	UPDATE jobs SET state = 'queued', wait = 0, news = news | 1, lock_grant = granted, waits_for = NULL, next_try_ms = 0
		WHERE id = job.id RETURNING id, owner INTO ready;
	PERFORM wake(ready.owner);
	RETURN ready;
END $$;

-- A free key gets its next holder.
CREATE OR REPLACE FUNCTION hold(wanted text, job_id text, granted bigint, now bigint) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	INSERT INTO locks (key, holder, last_grant, since_ms) VALUES (wanted, job_id, granted, now)
		ON CONFLICT (key) DO UPDATE SET holder = job_id, last_grant = granted, since_ms = now;
END $$;

CREATE OR REPLACE FUNCTION grant_key(wanted text, now bigint) RETURNS job_grant[] LANGUAGE plpgsql
AS $$
DECLARE
	held locks;
	next jobs;
BEGIN
	SELECT * INTO held FROM locks WHERE key = wanted;
	IF held.holder IS NOT NULL THEN
		RETURN '{}';
	END IF;
	SELECT * INTO next FROM jobs WHERE lock_key = wanted AND wait = 3 ORDER BY rank, seq LIMIT 1;
	IF NOT FOUND THEN
		RETURN '{}';
	END IF;
	PERFORM hold(wanted, next.id, coalesce(held.last_grant, 0) + 1, now);
	RETURN ARRAY[make_ready(next, coalesce(held.last_grant, 0) + 1)];
END $$;

CREATE OR REPLACE FUNCTION group_head(job jobs) RETURNS jobs LANGUAGE plpgsql
AS $$
DECLARE
	head jobs;
BEGIN
	SELECT * INTO head FROM jobs WHERE queue = job.queue AND message_group = job.message_group AND open
		ORDER BY seq LIMIT 1;
	RETURN head;
END $$;

-- Whether an unfinished job of its group was accepted earlier; one that is not inserted yet is behind them all.
CREATE OR REPLACE FUNCTION group_blocks(job jobs) RETURNS boolean LANGUAGE plpgsql
AS $$
DECLARE
	head jobs;
BEGIN
	IF job.message_group IS NULL THEN
		RETURN false;
	END IF;
	head := group_head(job);
	RETURN head.id IS NOT NULL AND head.id <> job.id;
END $$;

-- A row that waits moves on as far as it can.
CREATE OR REPLACE FUNCTION advance(job jobs, now bigint) RETURNS job_grant[] LANGUAGE plpgsql
AS $$
DECLARE
	before smallint := job.wait;
BEGIN
	IF job.wait = 1 AND job.not_before_ms <= now THEN
		job.wait := 2;
	END IF;
	IF job.wait = 2 AND NOT group_blocks(job) THEN
		job.wait := 3;
	END IF;
	IF job.wait = 3 AND NOT needs_key(job) THEN
		RETURN ARRAY[make_ready(job, 0)];
	END IF;
	IF job.wait <> before THEN
		UPDATE jobs SET wait = job.wait WHERE id = job.id;
	END IF;
	IF job.wait <> 3 THEN
		RETURN '{}';
	END IF;
	RETURN grant_key(job.lock_key, now);
END $$;

-- The first stage that holds a new job up.  The key is taken at once when it is free: by the invariant nobody
-- waits for it then.
CREATE OR REPLACE FUNCTION first_stage(INOUT job jobs, now bigint) LANGUAGE plpgsql
AS $$
DECLARE
	held locks;
BEGIN
	job.wait := 0;
	IF job.not_before_ms > now THEN
		job.wait := 1;
	ELSIF group_blocks(job) THEN
		job.wait := 2;
	ELSIF needs_key(job) THEN
		SELECT * INTO held FROM locks WHERE key = job.lock_key;
		IF held.holder IS NOT NULL THEN
			job.wait := 3;
		ELSE
			job.lock_grant := coalesce(held.last_grant, 0) + 1;
			PERFORM hold(job.lock_key, job.id, job.lock_grant, now);
		END IF;
	END IF;
	job.state := CASE job.wait WHEN 0 THEN 'queued' ELSE 'waiting' END;
END $$;

-- Compared by grant: a key that was given on by hand is not the job's to free.
CREATE OR REPLACE FUNCTION pass_key(job jobs, now bigint) RETURNS job_grant[] LANGUAGE plpgsql
AS $$
BEGIN
	IF NOT needs_key(job) OR job.lock_grant = 0 THEN
		RETURN '{}';
	END IF;
	UPDATE locks SET holder = NULL WHERE key = job.lock_key AND holder IS NOT NULL AND last_grant = job.lock_grant;
	IF NOT FOUND THEN
		RETURN '{}';
	END IF;
	RETURN grant_key(job.lock_key, now);
END $$;

CREATE OR REPLACE FUNCTION pass_group(job jobs, now bigint) RETURNS job_grant[] LANGUAGE plpgsql
AS $$
DECLARE
	head jobs;
BEGIN
	IF job.message_group IS NULL THEN
		RETURN '{}';
	END IF;
	head := group_head(job);
	IF head.id IS NULL OR head.wait <> 2 THEN
		RETURN '{}';
	END IF;
	RETURN advance(find(head.id), now);
END $$;

-- After a job has ended.  The group first: its next one may have been accepted before whoever waits at the key that
-- is passed.
CREATE OR REPLACE FUNCTION pass_on(job jobs, now bigint) RETURNS job_grant[] LANGUAGE plpgsql
AS $$
DECLARE
	grants job_grant[] := pass_group(job, now);
BEGIN
	RETURN grants || pass_key(job, now);
END $$;

-- Moves jobs whose delay is over, up to a thousand; more: some are left, as another batch is at their key or group,
-- which does not change whose turn it is at ours.
CREATE OR REPLACE FUNCTION pass_delays(now bigint, OUT grants job_grant[], OUT more boolean) LANGUAGE plpgsql
AS $$
DECLARE
	seen integer := 0;
	due jobs;
BEGIN
	grants := '{}';
	more := false;
	FOR due IN SELECT * FROM jobs WHERE wait = 1 AND not_before_ms <= now ORDER BY not_before_ms, seq LIMIT 1001 LOOP
		seen := seen + 1;
		IF seen > 1000 OR NOT try_slot(key_name(due)) OR NOT coalesce(try_slot(group_name(due)), true) THEN
			more := true;
			CONTINUE;
		END IF;
		due := find(due.id);
		IF due.wait = 1 THEN
			grants := grants || advance(due, now);
		END IF;
	END LOOP;
END $$;

-- SPDX-License-Identifier: Apache-2.0
-- read.sql - what only reads: each call is one statement, and so sees one moment.

-- A job with its current attempt; whole: with its body and the frozen request, too.
CREATE OR REPLACE FUNCTION job_json(job jobs, whole boolean) RETURNS jsonb LANGUAGE plpgsql STABLE
AS $$
DECLARE
	current attempts;
	told jsonb := to_jsonb(job);
BEGIN
	IF job.attempt > 0 THEN
		SELECT * INTO current FROM attempts WHERE job_id = job.id AND number = job.attempt AND step = job.step;
		told := told || jsonb_build_object('token', current.token, 'handle', current.handle,
			'intended_ms', current.intended_ms, 'started_ms', current.started_ms, 'timeout_ms', current.timeout_ms,
			'request', CASE WHEN whole THEN current.request END);
	END IF;
	IF whole THEN
		told := told || jsonb_build_object('body', (SELECT body FROM bodies WHERE job_id = job.id));
	END IF;
	RETURN told;
END $$;

CREATE OR REPLACE FUNCTION read_job(wanted text) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = gantry, pg_temp
AS $$
	SELECT jsonb_build_object('job', (SELECT job_json(j, true) FROM jobs j WHERE id = wanted))
$$;

-- Planned for the values that are given, so that the index on the project or the state is used where one is named.
CREATE OR REPLACE FUNCTION read_list(filter jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = gantry, pg_temp
AS $$
DECLARE
	query text := 'SELECT jsonb_agg(job_json(j, false) ORDER BY j.seq DESC) FROM (SELECT * FROM jobs WHERE true';
	jobs jsonb;
BEGIN
	IF filter->>'project' IS NOT NULL THEN
		query := query || format(' AND project = %L', filter->>'project');
	END IF;
	IF filter->>'deployer' IS NOT NULL THEN
		query := query || format(' AND deployer = %L', filter->>'deployer');
	END IF;
	IF filter->>'state' IS NOT NULL THEN
		query := query || format(' AND state = %L', filter->>'state');
	END IF;
	IF (filter->>'before_seq')::bigint > 0 THEN
		query := query || format(' AND seq < %s', (filter->>'before_seq')::bigint);
	END IF;
	EXECUTE query || format(' ORDER BY seq DESC LIMIT %s) j', (filter->>'max')::bigint) INTO jobs;
	RETURN jsonb_build_object('jobs', coalesce(jobs, '[]'));
END $$;

CREATE OR REPLACE FUNCTION read_count() RETURNS jsonb LANGUAGE sql STABLE
SET search_path = gantry, pg_temp
AS $$
	SELECT jsonb_build_object('states', coalesce(jsonb_object_agg(state, jobs), '{}')) FROM (
		SELECT state, sum(jobs) AS jobs FROM ended GROUP BY state
		UNION ALL SELECT state, count(*) FROM jobs
			WHERE state IN ('queued', 'waiting', 'launching', 'running', 'cancelling') GROUP BY state) c
$$;

-- How much there is of all.
CREATE OR REPLACE FUNCTION read_totals() RETURNS jsonb LANGUAGE sql STABLE
SET search_path = gantry, pg_temp
AS $$
	SELECT read_count() || jsonb_build_object(
		'held_locks', (SELECT count(*) FROM locks WHERE holder IS NOT NULL),
		'lock_waiters', (SELECT count(*) FROM jobs WHERE wait = 3),
		'open_deliveries', (SELECT count(*) FROM outbox WHERE open AND NOT dead),
		'dead_deliveries', (SELECT count(*) FROM outbox WHERE dead),
		'oldest_waiting_ms', coalesce(least(
			(SELECT accepted_ms FROM jobs WHERE state = 'queued' ORDER BY seq LIMIT 1),
			(SELECT accepted_ms FROM jobs WHERE state = 'waiting' ORDER BY seq LIMIT 1)), 0))
$$;

CREATE OR REPLACE FUNCTION read_attempts(wanted text) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = gantry, pg_temp
AS $$
	SELECT jsonb_build_object('attempts', coalesce(jsonb_agg(to_jsonb(a) - 'request' ORDER BY number, step), '[]'))
		FROM attempts a WHERE job_id = wanted
$$;

CREATE OR REPLACE FUNCTION read_locks(after_key text, most bigint) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = gantry, pg_temp
AS $$
	SELECT jsonb_build_object('locks', coalesce(jsonb_agg(to_jsonb(h) ORDER BY key), '[]')) FROM (
		SELECT key, holder, last_grant, since_ms, (SELECT project FROM jobs WHERE id = l.holder) AS project,
			(SELECT count(*) FROM jobs w WHERE w.lock_key = l.key AND w.wait = 3) AS waiting
		FROM locks l WHERE holder IS NOT NULL AND key > after_key COLLATE "C" ORDER BY key LIMIT most) h
$$;

-- Why a job is where it is: what the rules of rules_turn.sql would say.
CREATE OR REPLACE FUNCTION read_why(wanted text) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = gantry, pg_temp
AS $$
DECLARE
	job jobs;
	held locks;
	head jobs;
	why jsonb;
BEGIN
	SELECT * INTO job FROM jobs WHERE id = wanted;
	IF NOT FOUND THEN
		RETURN '{}';
	END IF;
	why := jsonb_build_object('job', job_json(job, true));
	IF job.open AND needs_key(job) THEN
		SELECT * INTO held FROM locks WHERE key = job.lock_key;
		IF held.holder <> job.id THEN
			why := why || jsonb_build_object('holder', held.holder, 'holder_since_ms', held.since_ms,
				'holder_project', (SELECT project FROM jobs WHERE id = held.holder), 'ahead',
				CASE WHEN job.wait > 0 THEN (SELECT count(*) FROM jobs j WHERE j.lock_key = job.lock_key
					AND j.wait = 3 AND (j.rank, j.seq) < (job.rank, job.seq)) ELSE 0 END);
		END IF;
	END IF;
	IF job.message_group IS NOT NULL AND job.wait IN (1, 2) THEN
		head := group_head(job);
		IF head.seq < job.seq THEN
			why := why || jsonb_build_object('group_head', head.id, 'group_ahead', (SELECT count(*) FROM jobs j
				WHERE j.queue = job.queue AND j.message_group = job.message_group AND j.open AND j.seq < job.seq));
		END IF;
	END IF;
	RETURN jsonb_build_object('why', why);
END $$;

CREATE OR REPLACE FUNCTION read_deliveries(wanted text, only_open boolean, after_id bigint, most bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = gantry, pg_temp
AS $$
DECLARE
	deliveries jsonb;
BEGIN
	IF wanted IS NOT NULL THEN
		SELECT jsonb_agg(to_jsonb(o) ORDER BY id) INTO deliveries FROM (SELECT * FROM outbox
			WHERE job_id = wanted AND id > after_id AND (open OR NOT only_open) ORDER BY id LIMIT most) o;
	ELSIF only_open THEN
		SELECT jsonb_agg(to_jsonb(o) ORDER BY id) INTO deliveries FROM (SELECT * FROM outbox
			WHERE open AND id > after_id ORDER BY id LIMIT most) o;
	ELSE
		SELECT jsonb_agg(to_jsonb(o) ORDER BY id) INTO deliveries FROM (SELECT * FROM outbox
			WHERE id > after_id ORDER BY id LIMIT most) o;
	END IF;
	RETURN jsonb_build_object('deliveries', coalesce(deliveries, '[]'));
END $$;

CREATE OR REPLACE FUNCTION read_crashes(wanted text) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = gantry, pg_temp
AS $$
	SELECT jsonb_build_object('went', (SELECT count(*) FROM crashes WHERE key = wanted))
$$;

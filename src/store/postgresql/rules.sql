-- SPDX-License-Identifier: Apache-2.0
-- rules.sql - a job's own moves, its end, its message, and crashes.  Functions are named as in store_rules*.c,
-- which says the same for the stores that live in the process.

-- A row that may be written: its slots are held, and it is as it is now.
CREATE OR REPLACE FUNCTION find(wanted text) RETURNS jobs LANGUAGE plpgsql
AS $$
DECLARE
	job jobs;
BEGIN
	SELECT * INTO job FROM jobs WHERE id = wanted;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	PERFORM need_slots_of(job);
	SELECT * INTO job FROM jobs WHERE id = wanted FOR UPDATE;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	-- Forgotten and admitted anew in between, it might have another key.
	PERFORM need_slots_of(job);
	RETURN job;
END $$;

-- The row of a write: the job must be ours under this fence.
CREATE OR REPLACE FUNCTION find_ours(wanted text, me text, named_fence bigint, OUT job jobs, OUT refused jsonb)
LANGUAGE plpgsql
AS $$
BEGIN
	job := find(wanted);
	IF job.id IS NULL THEN
		refused := refuse('lost', format('there is no job %s', wanted));
	ELSIF job.owner IS DISTINCT FROM me OR job.fence <> named_fence THEN
		refused := refuse('lost', format('job %s now belongs to %s', wanted, coalesce(job.owner, 'nobody')));
	END IF;
END $$;

-- A step may be repeated, as its caller may not know that it was done.
CREATE OR REPLACE FUNCTION may_move(state text, wanted text) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$
	SELECT state = wanted OR wanted = ANY (CASE state
		WHEN 'queued' THEN ARRAY['waiting', 'launching', 'failed', 'cancelled', 'superseded']
		WHEN 'waiting' THEN ARRAY['queued', 'failed', 'cancelled', 'superseded']
		WHEN 'launching' THEN ARRAY['queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled']
		WHEN 'running' THEN ARRAY['queued', 'cancelling', 'succeeded', 'failed', 'cancelled']
		WHEN 'cancelling' THEN ARRAY['succeeded', 'failed', 'cancelled']
		ELSE ARRAY['queued', 'waiting'] END)
$$;

CREATE OR REPLACE FUNCTION is_final(state text) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$
	SELECT state IN ('succeeded', 'failed', 'cancelled', 'superseded')
$$;

CREATE OR REPLACE FUNCTION refuse_move(job jobs, wanted text) RETURNS jsonb LANGUAGE sql STABLE
AS $$
	SELECT refuse('invalid', format('job %s is %s and cannot become %s', job.id, job.state, wanted))
$$;

CREATE OR REPLACE FUNCTION end_attempt(job jobs, why text, code integer, now bigint) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE attempts SET request = NULL, end_reason = why, exit_code = code, ended_ms = now
		WHERE job_id = job.id AND number = job.attempt AND step = job.step;
END $$;

CREATE OR REPLACE FUNCTION intend(job jobs, given jsonb, now bigint) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	next attempts := jsonb_populate_record(NULL::attempts, given);
BEGIN
	IF NOT may_move(job.state, 'launching') THEN
		RETURN refuse_move(job, 'launching');
	END IF;
	IF job.state = 'launching' AND (job.attempt, job.step) <> (next.number, next.step) THEN
		PERFORM end_attempt(job, NULL, -1, now);
	END IF;
	UPDATE jobs SET state = 'launching', news = news & ~1, waits_for = NULL, next_try_ms = 0,
		attempt = next.number, step = next.step, place = CASE WHEN (given->>'bound')::boolean THEN my_place() END
		WHERE id = job.id;
	INSERT INTO attempts (job_id, number, step, token, request, handle, intended_ms, started_ms, timeout_ms)
		VALUES (job.id, next.number, next.step, next.token, next.request, next.handle, next.intended_ms,
			next.started_ms, next.timeout_ms)
		ON CONFLICT (job_id, number, step) DO UPDATE SET token = excluded.token, request = excluded.request,
			handle = excluded.handle, intended_ms = excluded.intended_ms, started_ms = excluded.started_ms,
			timeout_ms = excluded.timeout_ms, ended_ms = 0, end_reason = NULL, exit_code = -1;
	RETURN '{}';
END $$;

CREATE OR REPLACE FUNCTION started(job jobs, given jsonb) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	-- A job that is being cancelled may learn only now what there is to stop.
	IF job.state <> 'cancelling' AND NOT may_move(job.state, 'running') THEN
		RETURN refuse_move(job, 'running');
	END IF;
	UPDATE attempts SET handle = given->>'handle', started_ms = (given->>'started_ms')::bigint
		WHERE job_id = job.id AND number = job.attempt AND attempts.step = job.step;
	IF job.state = 'launching' THEN
		UPDATE jobs SET state = 'running', waits_for = NULL, next_try_ms = 0 WHERE id = job.id;
	END IF;
	RETURN '{}';
END $$;

CREATE OR REPLACE FUNCTION retry(job jobs, given jsonb, now bigint) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	IF job.state = 'waiting' OR NOT job.open THEN
		RETURN refuse('invalid', format('job %s is %s and has no attempt to repeat', job.id, job.state));
	END IF;
	IF NOT may_move(job.state, 'queued') THEN
		RETURN refuse_move(job, 'queued');
	END IF;
	IF job.state <> 'queued' THEN
		PERFORM end_attempt(job, given->>'reason', (given->>'exit_code')::integer, now);
	END IF;
	UPDATE jobs SET state = 'queued', not_before_ms = (given->>'not_before_ms')::bigint,
		failures = (given->>'failures')::integer, losses = (given->>'losses')::integer,
		waits_for = NULL, next_try_ms = 0 WHERE id = job.id;
	RETURN '{}';
END $$;

CREATE OR REPLACE FUNCTION note_wait(job jobs, given jsonb) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	IF NOT job.open THEN
		RETURN refuse('invalid', format('job %s is %s and waits for nothing', job.id, job.state));
	END IF;
	UPDATE jobs SET waits_for = given->>'waits_for', next_try_ms = (given->>'next_try_ms')::bigint WHERE id = job.id;
	RETURN '{}';
END $$;

CREATE OR REPLACE FUNCTION finish(job jobs, given jsonb, now bigint) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	result text := given->>'state';
	why text := given->>'reason';
	code integer := given->>'exit_code';
BEGIN
	IF NOT job.open OR NOT may_move(job.state, result) THEN
		RETURN refuse_move(job, result);
	END IF;
	-- Of a queued job the last one has ended, and how is known.
	IF job.state NOT IN ('queued', 'waiting') THEN
		PERFORM end_attempt(job, coalesce(why, result), code, now);
	END IF;
	UPDATE jobs SET state = result, reason = why, detail = given->>'detail', exit_code = code, finished_ms = now,
		wait = 0, news = 0, waits_for = NULL, next_try_ms = 0 WHERE id = job.id;
	RETURN jsonb_build_object('grants', to_jsonb(pass_on(job, now)));
END $$;

CREATE OR REPLACE FUNCTION write_about(call jsonb, me text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	ours record;
	now bigint := now_ms();
BEGIN
	SELECT * INTO ours FROM find_ours(call->>'id', me, (call->>'fence')::bigint);
	IF ours.refused IS NOT NULL THEN
		RETURN ours.refused;
	END IF;
	CASE call->>'kind'
	WHEN 'intend' THEN RETURN intend(ours.job, call, now);
	WHEN 'started' THEN RETURN started(ours.job, call);
	WHEN 'retry' THEN RETURN retry(ours.job, call, now);
	WHEN 'note_wait' THEN RETURN note_wait(ours.job, call);
	WHEN 'finish' THEN RETURN finish(ours.job, call, now);
	END CASE;
END $$;

CREATE OR REPLACE FUNCTION note_message(job jobs, note jsonb) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	-- What another worker received after us is newer than what we know, until a sweep tells us.
	IF (note->>'received_ms')::bigint >= job.received_ms THEN
		job.receipt := note->>'receipt';
		job.hidden_until_ms := note->>'hidden_until_ms';
		job.received_ms := note->>'received_ms';
		job.deliveries := note->>'deliveries';
	END IF;
	job.settled := job.settled OR (note->>'settled')::boolean;
	IF job.settled THEN
		job.receipt := NULL;
	END IF;
	UPDATE jobs SET receipt = job.receipt, hidden_until_ms = job.hidden_until_ms, received_ms = job.received_ms,
		deliveries = job.deliveries, settled = job.settled WHERE id = job.id;
END $$;

-- Each job stands for itself: what is not ours any more is left out and reported as lost.
CREATE OR REPLACE FUNCTION note_messages(call jsonb, me text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	answer jsonb := '{}';
	note jsonb;
	ours record;
BEGIN
	FOR note IN SELECT value FROM jsonb_array_elements(call->'notes') LOOP
		SELECT * INTO ours FROM find_ours(note->>'id', me, (note->>'fence')::bigint);
		IF ours.refused IS NULL THEN
			PERFORM note_message(ours.job, note);
		ELSE
			answer := ours.refused;
		END IF;
	END LOOP;
	RETURN answer;
END $$;

-- Older ones are forgotten here, as the table is nearly always empty and nobody else comes by.
CREATE OR REPLACE FUNCTION note_crash(crashed text, died text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := now_ms();
BEGIN
	PERFORM forget_old_crashes(now);
	INSERT INTO crashes (key, owner, at_ms) VALUES (crashed, died, now) ON CONFLICT DO NOTHING;
	RETURN '{}';
END $$;

CREATE OR REPLACE FUNCTION forget_old_crashes(now bigint) RETURNS void LANGUAGE sql
AS $$
	DELETE FROM crashes WHERE (key, owner) IN (
		SELECT key, owner FROM crashes WHERE at_ms < now - 7 * 86400000::bigint FOR UPDATE SKIP LOCKED)
$$;

-- How many jobs have ended in which state is kept here.
CREATE OR REPLACE FUNCTION count_ended() RETURNS trigger LANGUAGE plpgsql
SET search_path = gantry, pg_temp
AS $$
BEGIN
	IF TG_OP <> 'INSERT' AND is_final(OLD.state) THEN
		INSERT INTO ended VALUES (OLD.state, -1);
	END IF;
	IF TG_OP <> 'DELETE' AND is_final(NEW.state) THEN
		INSERT INTO ended VALUES (NEW.state, 1);
	END IF;
	RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER jobs_inserted AFTER INSERT ON jobs FOR EACH ROW WHEN (NOT NEW.open)
	EXECUTE FUNCTION count_ended();
CREATE OR REPLACE TRIGGER jobs_moved AFTER UPDATE ON jobs FOR EACH ROW
	WHEN (OLD.state <> NEW.state AND NOT (OLD.open AND NEW.open)) EXECUTE FUNCTION count_ended();
CREATE OR REPLACE TRIGGER jobs_deleted AFTER DELETE ON jobs FOR EACH ROW WHEN (NOT OLD.open)
	EXECUTE FUNCTION count_ended();

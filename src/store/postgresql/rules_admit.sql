-- SPDX-License-Identifier: Apache-2.0
-- rules_admit.sql - a received message becomes a job, or turns out to be one already.

-- Ends all waiting jobs of the newcomer's deployer and key.  The newcomer stands where the one it supersedes
-- stood: else a stream of newer ones, each at the end of the order or with its whole delay ahead, would keep them
-- all from the key.  They are not passed on here: their group goes on once the newcomer stands in it.
CREATE OR REPLACE FUNCTION supersede(INOUT newcomer jobs, now bigint, OUT ended jobs[]) LANGUAGE plpgsql
AS $$
DECLARE
	older jobs;
BEGIN
	ended := '{}';
	FOR older IN SELECT * FROM jobs WHERE lock_key = newcomer.lock_key AND deployer = newcomer.deployer AND wait > 0
		ORDER BY seq LOOP
		PERFORM need_slots_of(older);
		newcomer.rank := least(newcomer.rank, older.rank);
		IF newcomer.not_before_ms > 0 AND older.not_before_ms > 0 THEN
			newcomer.not_before_ms := least(newcomer.not_before_ms, older.not_before_ms);
		END IF;
		UPDATE jobs SET state = 'superseded', wait = 0, news = news | 2, finished_ms = now, waits_for = NULL,
			next_try_ms = 0, settled = false, detail = format('superseded by job %s', newcomer.id)
			WHERE id = older.id AND wait > 0 RETURNING * INTO older;
		PERFORM wake(older.owner);
		ended := array_append(ended, older);
	END LOOP;
END $$;

-- A key that is held ends the newcomer.  Nothing is left to do but to settle the message, and a redelivery would
-- say that again: the record need not be handed on until it is done.
CREATE OR REPLACE FUNCTION reject(INOUT job jobs, now bigint, OUT rejected boolean) LANGUAGE plpgsql
AS $$
DECLARE
	held_by text;
BEGIN
	SELECT holder INTO held_by FROM locks WHERE key = job.lock_key;
	rejected := held_by IS NOT NULL;
	IF rejected THEN
		job.wait := 0;
		job.state := 'failed';
		job.settled := true;
		job.finished_ms := now;
		job.reason := 'locked';
		job.detail := format('the lock "%s" is held by job %s', job.lock_key, held_by);
	END IF;
END $$;

CREATE OR REPLACE FUNCTION insert_job(job jobs, body text) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	INSERT INTO jobs (id, seq, project, deployer, queue, lock_key, policy, priority, not_before_ms, commit_hash, ref,
			stage, state, wait, news, rank, reason, detail, exit_code, accepted_ms, finished_ms, message_id, receipt,
			message_group, hidden_until_ms, received_ms, deliveries, settled, attempt, step, failures, losses,
			waits_for, next_try_ms, cancelled_by, cancel_reason, owner, fence, lock_grant)
		VALUES (job.id, job.seq, job.project, job.deployer, job.queue, job.lock_key, job.policy, job.priority,
			job.not_before_ms, job.commit_hash, job.ref, job.stage, job.state, job.wait, job.news, job.rank,
			job.reason, job.detail, job.exit_code, job.accepted_ms, job.finished_ms, job.message_id, job.receipt,
			job.message_group, job.hidden_until_ms, job.received_ms, job.deliveries, job.settled, job.attempt,
			job.step, job.failures, job.losses, job.waits_for, job.next_try_ms, job.cancelled_by,
			job.cancel_reason, job.owner, job.fence, job.lock_grant);
	INSERT INTO bodies (job_id, body) VALUES (job.id, insert_job.body);
END $$;

-- All but what came with the job: project to body, message, and the attempts.
CREATE OR REPLACE FUNCTION reopen(job jobs) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE jobs SET seq = job.seq, rank = job.rank, not_before_ms = job.not_before_ms, state = job.state,
		wait = job.wait, news = job.news, reason = job.reason, detail = job.detail, exit_code = job.exit_code,
		accepted_ms = job.accepted_ms, finished_ms = job.finished_ms, owner = job.owner, fence = job.fence,
		lock_grant = job.lock_grant, failures = job.failures, losses = job.losses, waits_for = job.waits_for,
		next_try_ms = job.next_try_ms, cancelled_by = job.cancelled_by, cancel_reason = job.cancel_reason
		WHERE id = job.id;
END $$;

-- Gives a row its place at the end of the order, and writes it: a new one, or one that is accepted anew.  A point of
-- priority overtakes a thousand earlier ones at most.
CREATE OR REPLACE FUNCTION accept(INOUT job jobs, body text, anew boolean, now bigint, OUT rejected boolean,
	OUT grants job_grant[]) LANGUAGE plpgsql
AS $$
DECLARE
	superseded record;
	ended jobs[] := '{}';
	rejection record;
	one jobs;
BEGIN
	job.seq := nextval('job_seq');
	job.rank := job.seq - (job.priority - 5) * 1000;
	rejected := false;
	grants := '{}';
	IF job.policy = 'latest' THEN
		SELECT * INTO superseded FROM supersede(job, now);
		job := superseded.newcomer;
		ended := superseded.ended;
	ELSIF job.policy = 'reject' THEN
		SELECT * INTO rejection FROM reject(job, now);
		job := rejection.job;
		rejected := rejection.rejected;
	END IF;
	IF NOT rejected THEN
		job := first_stage(job, now);
	END IF;
	IF anew THEN
		PERFORM reopen(job);
	ELSE
		PERFORM insert_job(job, body);
	END IF;
	FOREACH one IN ARRAY ended LOOP
		grants := grants || pass_on(one, now);
	END LOOP;
END $$;

CREATE OR REPLACE FUNCTION admit_new(given jsonb, me text, now bigint, OUT answer jsonb, OUT grants job_grant[])
LANGUAGE plpgsql
AS $$
DECLARE
	job jobs := jsonb_populate_record(NULL::jobs, given);
	accepted record;
BEGIN
	job.accepted_ms := now;
	job.finished_ms := 0;
	job.fence := 1;
	job.lock_grant := 0;
	job.failures := 0;
	job.losses := 0;
	job.news := 0;
	job.next_try_ms := 0;
	job.owner := CASE WHEN (given->>'released')::boolean THEN NULL ELSE me END;
	IF job.lock_key IS NULL OR job.policy = 'parallel' THEN
		job.lock_key := '';
	END IF;
	IF job.message_id IS NULL THEN
		job.settled := true;
	END IF;
	SELECT * INTO accepted FROM accept(job, given->>'body', false, now);
	IF job.owner IS NULL THEN
		PERFORM wake(NULL);
	END IF;
	answer := to_jsonb(accepted.job) ||
		jsonb_build_object('verdict', CASE WHEN accepted.rejected THEN 'rejected' ELSE 'new' END);
	grants := accepted.grants;
END $$;

-- The message of a job that we know came again: its newest receipt is the one that deletes it.
CREATE OR REPLACE FUNCTION renew_receipt(job jobs, newer jobs, me text) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	IF newer.received_ms < job.received_ms THEN
		RETURN;
	END IF;
	UPDATE jobs SET receipt = newer.receipt, received_ms = newer.received_ms, hidden_until_ms = newer.hidden_until_ms,
		deliveries = newer.deliveries, news = CASE WHEN owner IS NOT DISTINCT FROM me THEN news ELSE news | 4 END
		WHERE id = job.id;
	IF job.owner IS NOT NULL THEN
		PERFORM wake(job.owner);
	END IF;
END $$;

CREATE OR REPLACE FUNCTION admit_again(INOUT job jobs, newer jobs, me text, lease_ms bigint, now bigint,
	OUT verdict text) LANGUAGE plpgsql
AS $$
DECLARE
	same_message boolean := coalesce(NOT job.settled AND job.message_id = newer.message_id AND job.queue = newer.queue,
		false);
BEGIN
	-- Somebody sent the job twice, or its message was settled early: the record holds the job, so this message has
	-- nothing left to say.
	IF NOT job.open OR (newer.message_id IS NOT NULL AND NOT same_message) THEN
		verdict := 'finished';
		IF NOT job.open AND same_message THEN
			PERFORM renew_receipt(job, newer, me);
		END IF;
		RETURN;
	END IF;
	IF job.owner <> me AND owner_is_dead(job.owner, lease_ms) THEN
		PERFORM give_up(job.owner);
		job.owner := NULL;
	END IF;
	verdict := CASE WHEN job.owner = me THEN 'ours' ELSE 'others' END;
	IF newer.message_id IS NOT NULL THEN
		PERFORM renew_receipt(job, newer, me);
	END IF;
END $$;

CREATE OR REPLACE FUNCTION admit_one(given jsonb, me text, lease_ms bigint, now bigint, OUT answer jsonb,
	OUT grants job_grant[]) LANGUAGE plpgsql
AS $$
DECLARE
	job jobs := find(given->>'id');
	again record;
BEGIN
	IF job.id IS NULL THEN
		SELECT a.answer, a.grants INTO answer, grants FROM admit_new(given, me, now) a;
		RETURN;
	END IF;
	SELECT * INTO again FROM admit_again(job, jsonb_populate_record(NULL::jobs, given), me, lease_ms, now);
	answer := to_jsonb(again.job) || jsonb_build_object('verdict', again.verdict);
	grants := '{}';
END $$;

-- A job further up in the batch may have got its turn from one further down.
CREATE OR REPLACE FUNCTION refresh_granted(jobs_told jsonb[], me text) RETURNS jsonb[] LANGUAGE plpgsql
AS $$
DECLARE
	granted bigint;
BEGIN
	FOR i IN 1 .. coalesce(array_length(jobs_told, 1), 0) LOOP
		IF jobs_told[i]->>'state' = 'waiting' AND jobs_told[i]->>'owner' = me THEN
			UPDATE jobs SET news = news & ~1 WHERE id = jobs_told[i]->>'id' AND state = 'queued'
				RETURNING lock_grant INTO granted;
			IF FOUND THEN
				jobs_told[i] := jobs_told[i] || jsonb_build_object('state', 'queued', 'lock_grant', granted);
			END IF;
		END IF;
	END LOOP;
	RETURN jobs_told;
END $$;

CREATE OR REPLACE FUNCTION admit(call jsonb, me text, lease_ms bigint, registered boolean) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := now_ms();
	told jsonb[] := '{}';
	grants job_grant[];
	given jsonb;
	one record;
	refused jsonb;
BEGIN
	-- A job owned by nobody who is registered would never be adopted.
	IF EXISTS (SELECT FROM jsonb_array_elements(call->'jobs') WHERE NOT (value->>'released')::boolean) THEN
		refused := be_registered(me, lease_ms, registered);
		IF refused IS NOT NULL THEN
			RETURN refused;
		END IF;
	END IF;
	-- Whose delay is over stands before whoever comes now.
	SELECT p.grants INTO grants FROM pass_delays(now) p;
	FOR given IN SELECT value FROM jsonb_array_elements(call->'jobs') LOOP
		SELECT * INTO one FROM admit_one(given, me, lease_ms, now);
		told := array_append(told, one.answer);
		grants := grants || one.grants;
	END LOOP;
	IF cardinality(grants) > 0 THEN
		told := refresh_granted(told, me);
	END IF;
	RETURN jsonb_build_object('jobs', to_jsonb(told));
END $$;

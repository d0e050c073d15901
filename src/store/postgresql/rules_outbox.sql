-- SPDX-License-Identifier: Apache-2.0
-- rules_outbox.sql - what is still to be told, and what may be forgotten.  A delivery is open until it has arrived;
-- a dead one is open too, until somebody replays it.

-- A speaker that has lost its job, or whose move others have made impossible, has nothing to tell of it.
CREATE OR REPLACE FUNCTION check_speaker(speaker jsonb, me text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	ours record;
	wanted text := speaker->>'state';
BEGIN
	SELECT * INTO ours FROM find_ours(speaker->>'id', me, (speaker->>'fence')::bigint);
	IF ours.refused IS NULL AND (is_final(wanted) AND NOT may_move((ours.job).state, wanted)
		OR wanted = 'queued' AND (ours.job).state NOT IN ('queued', 'launching', 'running')) THEN
		RETURN refuse('lost', format('job %s is %s and does not become %s', speaker->>'id', (ours.job).state, wanted));
	END IF;
	RETURN ours.refused;
END $$;

CREATE OR REPLACE FUNCTION say(call jsonb, me text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := now_ms();
	given jsonb;
	refused jsonb;
BEGIN
	FOR given IN SELECT value FROM jsonb_array_elements(call->'deliveries') LOOP
		IF octet_length(given->>'payload') > 262144 THEN
			RETURN refuse('invalid', format('what is to be told to %s has more than 262144 bytes', given->>'sink'));
		END IF;
	END LOOP;
	IF call ? 'speaker' THEN
		refused := check_speaker(call->'speaker', me);
		IF refused IS NOT NULL THEN
			RETURN refused;
		END IF;
	END IF;
	IF EXISTS (SELECT FROM outbox WHERE dedup_key = call->>'dedup_key') THEN
		RETURN '{}';
	END IF;
	INSERT INTO outbox (sink, event, job_id, payload, created_ms, next_try_ms, tries, error, dead, dedup_key)
		SELECT d.sink, d.event, d.job_id, d.payload, coalesce(nullif(d.created_ms, 0), now),
			CASE WHEN d.next_try_ms = 0 THEN now ELSE greatest(d.next_try_ms, 0) END, d.tries, d.error, d.dead,
			call->>'dedup_key'
		FROM jsonb_array_elements(call->'deliveries') WITH ORDINALITY g (one, place),
			jsonb_populate_record(NULL::outbox, one) d ORDER BY place;
	RETURN '{}';
END $$;

-- The claim is a next try that is put off: a claimer that is never heard of again has tried in vain.
CREATE OR REPLACE FUNCTION claim_deliveries(most bigint, me text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := now_ms();
	claimed jsonb;
BEGIN
	WITH due AS (
		SELECT * FROM outbox WHERE open AND NOT dead AND next_try_ms <= now ORDER BY next_try_ms, id LIMIT most
		FOR UPDATE SKIP LOCKED), taken AS (
		UPDATE outbox o SET claimed_by = me, next_try_ms = now + 60000 FROM due WHERE o.id = due.id)
	SELECT jsonb_agg(to_jsonb(due) ORDER BY next_try_ms, id) INTO claimed FROM due;
	RETURN jsonb_build_object('deliveries', coalesce(claimed, '[]'), 'next_due_ms',
		(SELECT coalesce(min(next_try_ms), 0) FROM outbox WHERE open AND NOT dead));
END $$;

-- What is not claimed by the caller, or not any more, is left as it is.  Of a dead one next_try_ms is when it was
-- given up.  Workers of the version before do not say whether they keep a claim: each of their notes ends it, and they
-- are believed as long as nobody has claimed it since and it is not over.
CREATE OR REPLACE FUNCTION note_deliveries(noted jsonb, me text) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE outbox o SET next_try_ms = CASE WHEN n.dead THEN now_ms() ELSE n.next_try_ms END, tries = n.tries,
		dead = n.dead, error = n.error, claimed_by = CASE WHEN (one->>'kept')::boolean THEN me END
		FROM jsonb_array_elements(noted) one, jsonb_populate_record(NULL::outbox, one) n
		WHERE o.id = n.id AND (o.claimed_by = me OR
			(NOT one ? 'kept' AND o.claimed_by IS NULL AND o.open AND NOT o.dead));
	RETURN '{}';
END $$;

CREATE OR REPLACE FUNCTION replay(wanted bigint) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE outbox SET dead = false, tries = 0, next_try_ms = now_ms() WHERE dead AND (wanted = 0 OR id = wanted);
	RETURN answer(CASE WHEN FOUND THEN 'done' ELSE 'unknown' END, NULL, '{}');
END $$;

-- -- what may be forgotten -------------------------------------------------------------------------------

-- With body, attempts and deliveries, if none of these is open but such as were given up before a moment.
CREATE OR REPLACE FUNCTION forget(old text, dead_before_ms bigint) RETURNS boolean LANGUAGE plpgsql
AS $$
BEGIN
	IF EXISTS (SELECT FROM outbox WHERE job_id = old AND open AND NOT (dead AND next_try_ms < dead_before_ms)) THEN
		RETURN false;
	END IF;
	DELETE FROM jobs WHERE id = old;
	DELETE FROM bodies WHERE job_id = old;
	DELETE FROM attempts WHERE job_id = old;
	DELETE FROM outbox WHERE job_id = old;
	RETURN true;
END $$;

-- Jobs that may not be forgotten yet, as something of them is to be delivered, must not be in the way of the others: the
-- next call goes on behind the last that was looked at.
CREATE OR REPLACE FUNCTION prune(call jsonb) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := now_ms();
	older bigint := call->>'older_than_ms';
	most bigint := call->>'max';
	last_ms bigint := call->>'after_ms';
	last_seq bigint := call->>'after_seq';
	looked bigint := 0;
	went bigint := 0;
	others bigint;
	old jobs;
BEGIN
	FOR old IN SELECT * FROM jobs WHERE NOT live AND (finished_ms, seq) > (last_ms, last_seq) AND finished_ms < older
		ORDER BY finished_ms, seq LIMIT most FOR UPDATE SKIP LOCKED LOOP
		looked := looked + 1;
		went := went + forget(old.id, older)::integer;
		last_ms := old.finished_ms;
		last_seq := old.seq;
	END LOOP;
	DELETE FROM outbox WHERE id IN (
		SELECT id FROM outbox WHERE job_id IS NULL AND created_ms < older
			AND (NOT open OR created_ms < older - (now - older))
		ORDER BY created_ms LIMIT most - went FOR UPDATE SKIP LOCKED);
	GET DIAGNOSTICS others = ROW_COUNT;
	PERFORM forget_old_crashes(now);
	DELETE FROM batches WHERE (client, place) IN (
		SELECT client, place FROM batches WHERE at_ms < now - 86400000 FOR UPDATE SKIP LOCKED);
	PERFORM sum_up_ended();
	RETURN jsonb_build_object('went', went + others, 'after_ms', CASE WHEN looked < most THEN 0 ELSE last_ms END,
		'after_seq', CASE WHEN looked < most THEN 0 ELSE last_seq END);
END $$;

-- SPDX-License-Identifier: Apache-2.0
-- batch.sql - the calls of one turn of a client's loop, as one statement and so one transaction.
--
-- What keeps concurrent batches apart (each runs at READ COMMITTED: every statement sees what was
-- committed when it began):
--
-- 1. Every name that a rule decides about (a lock key, a message group, a job without a key, a bucket of tokens,
--    a key of an outbox entry) falls into one of 256 slots, each an advisory lock of the transaction.
--    run() takes the slots of all names that are known beforehand in ascending order, before it touches a row.
-- 2. A rule that comes upon a further name (the next job of a group may have another key) tries its slot and does
--    not wait: when another has it, the batch is taken back (GT001) and is run once more "wide", which takes all
--    slots, in the same order.  So waiting for slots makes no circle.
-- 3. A job's row is written under the slots of its key and its group, and read again once they are held; so is the
--    row of a lock.  Two kinds of calls write rows without them: adopt() and sweep() change nothing but owner, fence
--    and news, of rows that nobody else has locked (SKIP LOCKED), and they are the last of their transaction, as
--    prune() is: they never wait, so a batch that waits for one of their rows waits for their commit only.
--    disown(), which goes over the rows of another owner, always runs wide.
-- 4. Who takes jobs on holds a share of its own owner's row, so that nobody removes the owner in between.
--
-- A batch has a number.  It is recorded with its answers in the same transaction, so that a client that lost the
-- answer sends the batch again and is given it; and a batch is only run behind the one that was sent before it.

-- This server's clock is the one for all: no host is asked what time it is.
CREATE OR REPLACE FUNCTION server_ms() RETURNS bigint LANGUAGE sql VOLATILE
AS $$
	SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- By how much a test has moved the clocks of its client; nothing else does.
CREATE OR REPLACE FUNCTION moved_ms(clock text) RETURNS bigint LANGUAGE sql STABLE
AS $$
	SELECT coalesce(nullif(current_setting(clock, true), ''), '0')::bigint
$$;

CREATE OR REPLACE FUNCTION now_ms() RETURNS bigint LANGUAGE plpgsql
AS $$
BEGIN
	RETURN server_ms() + moved_ms('gantry.steady_moved_ms');
END $$;

-- For leases and rates.
CREATE OR REPLACE FUNCTION lease_now_ms() RETURNS bigint LANGUAGE plpgsql
AS $$
BEGIN
	RETURN server_ms() + moved_ms('gantry.boot_moved_ms');
END $$;

-- -- slots ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION slot_of(name text) RETURNS integer LANGUAGE sql IMMUTABLE
AS $$
	SELECT hashtext(name) & 255
$$;

-- 1734438516 is "gant".
CREATE OR REPLACE FUNCTION try_slot(name text) RETURNS boolean LANGUAGE sql VOLATILE
AS $$
	SELECT pg_try_advisory_xact_lock(1734438516, slot_of(name))
$$;

CREATE OR REPLACE FUNCTION need_slot(name text) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	IF NOT try_slot(name) THEN
		RAISE EXCEPTION 'another batch is at %', name USING ERRCODE = 'GT001';
	END IF;
END $$;

-- What a job's row is written under.
CREATE OR REPLACE FUNCTION key_name(job jobs) RETURNS text LANGUAGE sql IMMUTABLE
AS $$
	SELECT CASE WHEN needs_key(job) THEN 'key ' || job.lock_key ELSE 'job ' || job.id END
$$;

CREATE OR REPLACE FUNCTION group_name(job jobs) RETURNS text LANGUAGE sql IMMUTABLE
AS $$
	SELECT 'group ' || job.queue || ' ' || job.message_group
$$;

CREATE OR REPLACE FUNCTION need_slots_of(job jobs) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM need_slot(key_name(job));
	IF job.message_group IS NOT NULL AND job.queue IS NOT NULL THEN
		PERFORM need_slot(group_name(job));
	END IF;
END $$;

CREATE OR REPLACE FUNCTION take_slots(wide boolean, names jsonb, ids jsonb) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	slots integer[];
	slot integer;
BEGIN
	IF wide THEN
		slots := ARRAY(SELECT generate_series(0, 255));
	ELSE
		WITH given AS (SELECT value AS id FROM jsonb_array_elements_text(ids)),
			known AS (SELECT j FROM jobs j JOIN given g ON g.id = j.id),
			wanted AS (
				SELECT value AS name FROM jsonb_array_elements_text(names)
				UNION SELECT key_name(j) FROM known
				UNION SELECT group_name(j) FROM known)
		SELECT array_agg(DISTINCT slot_of(name) ORDER BY slot_of(name)) INTO slots FROM wanted WHERE name IS NOT NULL;
	END IF;
	FOREACH slot IN ARRAY coalesce(slots, '{}') LOOP
		PERFORM pg_advisory_xact_lock(1734438516, slot);
	END LOOP;
END $$;

-- -- wakes ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION channel_of(owner text) RETURNS text LANGUAGE sql IMMUTABLE
AS $$
	SELECT 'gantry_' || coalesce(md5(owner), 'adopt')
$$;

-- The client itself hears by its answers.
CREATE OR REPLACE FUNCTION wake(owner text) RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	IF owner IS DISTINCT FROM current_setting('gantry.me', true) THEN
		PERFORM pg_notify(channel_of(owner), '');
	END IF;
END $$;

-- What a client says first on a connection: it hears of its news from now on, and what time it is.
CREATE OR REPLACE FUNCTION greet(me text) RETURNS jsonb LANGUAGE plpgsql
SET search_path = gantry, pg_temp
AS $$
BEGIN
	IF me IS NOT NULL THEN
		EXECUTE format('LISTEN %I', channel_of(me));
		EXECUTE format('LISTEN %I', channel_of(NULL));
	END IF;
	RETURN jsonb_build_object('version', (SELECT max(version) FROM versions), 'server_ms', server_ms());
END $$;

-- -- calls ---------------------------------------------------------------------------------------------

-- An answer: this call, and it alone, was refused and has changed nothing.
CREATE OR REPLACE FUNCTION refuse(kind text, why text) RETURNS jsonb LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('error', kind, 'text', 'store: ' || why)
$$;

CREATE OR REPLACE FUNCTION carry_out(call jsonb, client jsonb) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	me text := client->>'owner';
	lease_ms bigint := client->>'lease_ms';
	registered boolean := client->>'registered';
BEGIN
	CASE call->>'kind'
	WHEN 'intend', 'started', 'retry', 'note_wait', 'finish' THEN RETURN write_about(call, me);
	WHEN 'admit' THEN RETURN admit(call, me, lease_ms, registered);
	WHEN 'note' THEN RETURN note_messages(call, me);
	WHEN 'say' THEN RETURN say(call, me);
	WHEN 'renew' THEN RETURN renew(me, lease_ms, registered);
	WHEN 'adopt' THEN RETURN adopt(call, me, lease_ms, registered);
	WHEN 'sweep' THEN RETURN sweep(me);
	WHEN 'disown' THEN RETURN disown(call->>'owner');
	WHEN 'cancel' THEN RETURN cancel(call->>'id', 'cancelled', call->>'by');
	WHEN 'unlock' THEN RETURN unlock(call->>'key', call->>'by');
	WHEN 'retry_finished' THEN RETURN retry_finished(call->>'id', call->>'by');
	WHEN 'tell_owner' THEN RETURN tell_owner(call->>'id', me);
	WHEN 'note_crash' THEN RETURN note_crash(call->>'key', call->>'owner');
	WHEN 'take_rate' THEN RETURN take_rate(call);
	WHEN 'claim_deliveries' THEN RETURN claim_deliveries((call->>'max')::bigint, me);
	WHEN 'note_deliveries' THEN RETURN note_deliveries(call->'deliveries', me);
	WHEN 'replay' THEN RETURN replay((call->>'id')::bigint);
	WHEN 'prune' THEN RETURN prune(call);
	WHEN 'import' THEN RETURN import(call);
	END CASE;
END $$;

-- Failures of the server or of the whole batch, not of one call's content.
CREATE OR REPLACE FUNCTION is_of_batch(code text) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$
	SELECT left(code, 2) IN ('GT', '40', '53', '55', '57', '58', 'XX')
$$;

-- One call, and what was said before it, stands or falls by itself.
CREATE OR REPLACE FUNCTION carry_out_unit(unit jsonb, client jsonb) RETURNS jsonb[] LANGUAGE plpgsql
AS $$
DECLARE
	call jsonb;
	answers jsonb[] := '{}';
BEGIN
	FOR call IN SELECT value FROM jsonb_array_elements(unit) LOOP
		answers := array_append(answers, carry_out(call, client));
	END LOOP;
	RETURN answers;
EXCEPTION WHEN OTHERS THEN
	IF is_of_batch(SQLSTATE) THEN
		RAISE;
	END IF;
	RETURN array_fill(jsonb_build_object('failed', SQLSTATE, 'text', SQLERRM), ARRAY[jsonb_array_length(unit)]);
END $$;

CREATE OR REPLACE FUNCTION run(client text, number bigint, after bigint, batch jsonb) RETURNS jsonb LANGUAGE plpgsql
SET search_path = gantry, pg_temp
AS $$
DECLARE
	answers jsonb[] := '{}';
	recorded jsonb;
	last bigint;
	part jsonb;
BEGIN
	-- The same batch may still be under way on a connection that the client has lost.
	PERFORM pg_advisory_xact_lock(1734438517, hashtext(client));
	SELECT b.answers INTO recorded FROM batches b WHERE b.client = run.client AND b.number = run.number;
	IF FOUND THEN
		RETURN recorded;
	END IF;
	SELECT coalesce(max(b.number), 0) INTO last FROM batches b WHERE b.client = run.client;
	IF last <> after THEN
		RAISE EXCEPTION 'batch % is to come behind %, and the last one was %', number, after, last USING ERRCODE = 'GT002';
	END IF;
	PERFORM set_config('gantry.me', coalesce(batch->>'owner', ''), true),
		set_config('gantry.place', coalesce(batch->>'place', ''), true),
		set_config('gantry.steady_moved_ms', batch->>'steady_moved_ms', true),
		set_config('gantry.boot_moved_ms', batch->>'boot_moved_ms', true);
	PERFORM take_slots((batch->>'wide')::boolean, batch->'names', batch->'ids');
	FOR part IN SELECT value FROM jsonb_array_elements(batch->'calls') LOOP
		IF jsonb_typeof(part) = 'array' THEN
			answers := answers || carry_out_unit(part, batch);
		ELSE
			answers := array_append(answers, carry_out(part, batch));
		END IF;
	END LOOP;
	recorded := to_jsonb(answers);
	INSERT INTO batches AS b VALUES (client, number % 8, number, now_ms(), recorded)
		ON CONFLICT ON CONSTRAINT batches_pkey DO UPDATE
		SET number = excluded.number, at_ms = excluded.at_ms, answers = excluded.answers;
	RETURN recorded;
END $$;

-- The client has given a batch up, and its callers with it: it may have been run all the same.  Jobs that it took
-- on or was told of are nobody's again, so that somebody knows of them.
CREATE OR REPLACE FUNCTION give_back(client text, number bigint, me text) RETURNS void LANGUAGE plpgsql
SET search_path = gantry, pg_temp
AS $$
DECLARE
	freed integer;
BEGIN
	PERFORM pg_advisory_xact_lock(1734438517, hashtext(client));
	PERFORM take_slots(true, NULL, NULL);
	WITH given AS (
		SELECT j->>'id' AS id, (j->>'fence')::bigint AS fence FROM batches b,
			jsonb_array_elements(b.answers) a, jsonb_array_elements(a->'jobs') j
		WHERE b.client = give_back.client AND b.number = give_back.number AND jsonb_typeof(a->'jobs') = 'array')
	UPDATE jobs SET owner = NULL FROM given
		WHERE jobs.id = given.id AND jobs.live AND jobs.owner = me AND jobs.fence = given.fence;
	GET DIAGNOSTICS freed = ROW_COUNT;
	IF freed > 0 THEN
		PERFORM wake(NULL);
	END IF;
END $$;

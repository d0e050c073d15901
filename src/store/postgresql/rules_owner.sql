-- SPDX-License-Identifier: Apache-2.0
-- rules_owner.sql - who may act on a job: leases, adoption, giving up, and the sweep.

CREATE OR REPLACE FUNCTION write_lease(me text, lease_ms bigint) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := lease_now_ms();
BEGIN
	INSERT INTO owners (id, lease_until_ms, registered_ms) VALUES (me, now + lease_ms, now)
		ON CONFLICT (id) DO UPDATE SET lease_until_ms = now + lease_ms;
	PERFORM write_place(now + lease_ms);
END $$;

-- Where the client is; NULL: nowhere that an attempt could be bound to.
CREATE OR REPLACE FUNCTION my_place() RETURNS text LANGUAGE sql STABLE
AS $$
	SELECT nullif(current_setting('gantry.place', true), '')
$$;

-- All owners of a host write the same row: who finds it locked need not wait, as another writes as much.  An insert
-- would wait for that one, whatever it is to do about a conflict.
CREATE OR REPLACE FUNCTION write_place(until_ms bigint) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	mine text := my_place();
BEGIN
	IF mine IS NULL THEN
		RETURN;
	END IF;
	PERFORM FROM places WHERE id = mine FOR UPDATE SKIP LOCKED;
	IF FOUND THEN
		UPDATE places SET lease_until_ms = greatest(lease_until_ms, until_ms) WHERE id = mine;
	ELSIF NOT EXISTS (SELECT FROM places WHERE id = mine) THEN
		INSERT INTO places (id, lease_until_ms) VALUES (mine, until_ms) ON CONFLICT DO NOTHING;
	END IF;
END $$;

-- NULL, or that the registration is gone.  The share that is taken keeps others from removing it until we commit.
CREATE OR REPLACE FUNCTION check_registration(me text, registered boolean) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM FROM owners WHERE id = me FOR KEY SHARE;
	IF registered AND NOT FOUND THEN
		RETURN refuse('lost', format('the lease of %s had ended and its jobs were given to others', me));
	END IF;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION be_registered(me text, lease_ms bigint, registered boolean) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
	refused jsonb := check_registration(me, registered);
BEGIN
	IF refused IS NULL AND NOT registered THEN
		PERFORM write_lease(me, lease_ms);
	END IF;
	RETURN refused;
END $$;

CREATE OR REPLACE FUNCTION renew(me text, lease_ms bigint, registered boolean) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	refused jsonb := check_registration(me, registered);
BEGIN
	IF refused IS NOT NULL THEN
		RETURN refused;
	END IF;
	PERFORM write_lease(me, lease_ms);
	PERFORM sum_up_ended();
	RETURN jsonb_build_object('server_ms', server_ms());
END $$;

-- Rows that another has locked are left for the next time.
CREATE OR REPLACE FUNCTION sum_up_ended() RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
	IF (SELECT count(*) FROM (SELECT FROM ended LIMIT 501) few) <= 500 THEN
		RETURN;
	END IF;
	WITH taken AS (SELECT ctid FROM ended LIMIT 20000 FOR UPDATE SKIP LOCKED),
		gone AS (DELETE FROM ended WHERE ctid IN (SELECT ctid FROM taken) RETURNING state, jobs)
	INSERT INTO ended SELECT state, sum(jobs) FROM gone GROUP BY state HAVING sum(jobs) <> 0;
END $$;

-- While the server was away nobody could renew: it is to be up for a lease's time before any is found to have ended.
CREATE OR REPLACE FUNCTION may_judge(lease_ms bigint) RETURNS boolean LANGUAGE plpgsql
AS $$
BEGIN
	RETURN lease_now_ms() - extract(epoch FROM pg_postmaster_start_time()) * 1000 > lease_ms;
END $$;

CREATE OR REPLACE FUNCTION owner_is_dead(wanted text, lease_ms bigint) RETURNS boolean LANGUAGE plpgsql
AS $$
DECLARE
	until bigint;
BEGIN
	SELECT lease_until_ms INTO until FROM owners WHERE id = wanted;
	RETURN until IS NULL OR (until <= lease_now_ms() AND may_judge(lease_ms));
END $$;

-- Takes an owner off all its jobs and claims.  Goes over rows of any key: needs all slots.
CREATE OR REPLACE FUNCTION give_up(gone text) RETURNS bigint LANGUAGE plpgsql
AS $$
DECLARE
	count bigint;
BEGIN
	FOR slot IN 0 .. 255 LOOP
		IF NOT pg_try_advisory_xact_lock(1734438516, slot) THEN
			RAISE EXCEPTION 'other batches are under way' USING ERRCODE = 'GT001';
		END IF;
	END LOOP;
	DELETE FROM owners WHERE id = gone;
	UPDATE jobs SET owner = NULL WHERE owner = gone AND live;
	GET DIAGNOSTICS count = ROW_COUNT;
	UPDATE outbox SET claimed_by = NULL, next_try_ms = now_ms() WHERE claimed_by = gone;
	IF count > 0 THEN
		PERFORM wake(NULL);
	END IF;
	RETURN count;
END $$;

CREATE OR REPLACE FUNCTION reap(me text, lease_ms bigint) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := lease_now_ms();
	dead text;
BEGIN
	IF NOT may_judge(lease_ms) THEN
		RETURN;
	END IF;
	-- As many rows as there are workers.
	FOR dead IN SELECT id FROM owners WHERE id <> me AND lease_until_ms <= now ORDER BY id LOOP
		-- It may have been renewed while the slots were waited for.
		PERFORM FROM owners WHERE id = dead AND lease_until_ms <= now FOR UPDATE;
		IF FOUND THEN
			PERFORM give_up(dead);
		END IF;
	END LOOP;
END $$;

CREATE OR REPLACE FUNCTION disown(gone text) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	RETURN jsonb_build_object('went', give_up(gone));
END $$;

-- What became of an attempt that is bound to another host can be told only there: it is given up when nobody of that
-- host is here any more and its timeout is over, or somebody has asked for its end.
CREATE OR REPLACE FUNCTION may_take(job jobs, lease_ms bigint) RETURNS boolean LANGUAGE plpgsql
AS $$
BEGIN
	IF job.place IS NULL OR job.place = my_place() OR job.state NOT IN ('launching', 'running', 'cancelling') THEN
		RETURN true;
	END IF;
	IF NOT may_judge(lease_ms) OR
		EXISTS (SELECT FROM places p WHERE p.id = job.place AND p.lease_until_ms > lease_now_ms()) THEN
		RETURN false;
	END IF;
	RETURN job.state = 'cancelling' OR EXISTS (SELECT FROM attempts a
		WHERE a.job_id = job.id AND a.number = job.attempt AND a.step = job.step AND a.timeout_ms > 0
			AND coalesce(nullif(a.started_ms, 0), a.intended_ms) + a.timeout_ms <= now_ms());
END $$;

CREATE OR REPLACE FUNCTION adopt(call jsonb, me text, lease_ms bigint, registered boolean) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
	refused jsonb;
	whole jsonb;
BEGIN
	refused := be_registered(me, lease_ms, registered);
	IF refused IS NOT NULL THEN
		RETURN refused;
	END IF;
	PERFORM reap(me, lease_ms);
	WITH free AS (
		SELECT id FROM jobs j WHERE owner IS NULL AND live AND may_take(j, lease_ms) ORDER BY seq
		LIMIT (call->>'max')::bigint FOR UPDATE SKIP LOCKED), taken AS (
		UPDATE jobs j SET owner = me, fence = fence + 1, news = 0 FROM free WHERE j.id = free.id RETURNING j AS job)
	SELECT jsonb_agg(job_json(job, true) ORDER BY (job).seq) INTO whole FROM taken;
	RETURN jsonb_build_object('jobs', coalesce(whole, '[]'));
END $$;

CREATE OR REPLACE FUNCTION sweep(me text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := now_ms();
	more boolean;
	whole jsonb;
	due bigint;
BEGIN
	SELECT p.more INTO more FROM pass_delays(now) p;
	WITH new AS (
		SELECT id FROM jobs WHERE owner = me AND news > 0 ORDER BY seq LIMIT 1000 FOR UPDATE SKIP LOCKED), told AS (
		UPDATE jobs j SET news = 0 FROM new WHERE j.id = new.id RETURNING j AS job)
	SELECT jsonb_agg(job_json(job, true) ORDER BY (job).seq) INTO whole FROM told;
	whole := coalesce(whole, '[]');
	IF more OR jsonb_array_length(whole) = 1000 THEN
		due := now;
	ELSE
		SELECT coalesce(min(not_before_ms), 0) INTO due FROM jobs WHERE wait = 1;
	END IF;
	RETURN jsonb_build_object('jobs', whole, 'next_due_ms', due);
END $$;

-- SPDX-License-Identifier: Apache-2.0
-- rules_owner.sql - who may act on a job: leases, adoption, giving up, and the sweep.

CREATE OR REPLACE FUNCTION write_lease(me text, lease_ms bigint) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := lease_now_ms();
BEGIN
	INSERT INTO owners (id, lease_until_ms, registered_ms) VALUES (me, now + lease_ms, now)
		ON CONFLICT (id) DO UPDATE SET lease_until_ms = now + lease_ms;
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
	WITH some AS (SELECT ctid FROM ended LIMIT 20000 FOR UPDATE SKIP LOCKED),
		gone AS (DELETE FROM ended WHERE ctid IN (SELECT ctid FROM some) RETURNING state, jobs)
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
		SELECT id FROM jobs WHERE owner IS NULL AND live ORDER BY seq LIMIT (call->>'max')::bigint
		FOR UPDATE SKIP LOCKED), taken AS (
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

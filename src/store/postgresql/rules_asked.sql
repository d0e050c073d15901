-- SPDX-License-Identifier: Apache-2.0
-- rules_asked.sql - what people ask for: the end of a job, a new attempt of one, a key; and news from elsewhere for a
-- job's owner.  The asker owns nothing, so no fence is named here: all that is done to a job that may have been
-- launched is to write down what is wanted and leave the rest to its owner.

CREATE OR REPLACE FUNCTION answer(verdict text, job jobs, grants job_grant[]) RETURNS jsonb LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('verdict', verdict, 'id', job.id, 'owner', job.owner, 'state', job.state,
		'grants', to_jsonb(grants))
$$;

-- Nothing of it was launched that has not ended: it ends here; its owner, or who adopts it, still has to tell of it
-- and to settle the message, so it is not settled until then.
CREATE OR REPLACE FUNCTION end_at_once(job jobs, why text, asker text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := now_ms();
BEGIN
	UPDATE jobs SET state = 'cancelled', wait = 0, news = news | 8, reason = why,
		detail = format('%s by %s', why, left(asker, 960)), exit_code = -1, finished_ms = now, waits_for = NULL,
		next_try_ms = 0, cancelled_by = asker, cancel_reason = why, settled = false WHERE id = job.id
		RETURNING * INTO job;
	PERFORM wake(job.owner);
	RETURN answer('done', job, pass_on(job, now));
END $$;

-- Repeated, it is told again: who asked first stays in the record.
CREATE OR REPLACE FUNCTION ask_owner(job jobs, why text, asker text) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	IF job.state <> 'cancelling' THEN
		UPDATE jobs SET state = 'cancelling', waits_for = NULL, next_try_ms = 0, cancelled_by = asker,
			cancel_reason = why WHERE id = job.id;
	END IF;
	UPDATE jobs SET news = news | 8 WHERE id = job.id RETURNING * INTO job;
	PERFORM wake(job.owner);
	RETURN answer('begun', job, '{}');
END $$;

CREATE OR REPLACE FUNCTION cancel_row(job jobs, why text, asker text) RETURNS jsonb LANGUAGE plpgsql
AS $$
BEGIN
	IF NOT job.open THEN
		RETURN answer('refused', job, '{}');
	END IF;
	IF job.state IN ('queued', 'waiting') THEN
		RETURN end_at_once(job, why, asker);
	END IF;
	RETURN ask_owner(job, why, asker);
END $$;

CREATE OR REPLACE FUNCTION cancel(wanted text, why text, asker text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	job jobs := find(wanted);
BEGIN
	IF job.id IS NULL THEN
		RETURN answer('unknown', NULL, '{}');
	END IF;
	RETURN cancel_row(job, why, asker);
END $$;

CREATE OR REPLACE FUNCTION unlock(wanted text, asker text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	held locks;
	job jobs;
BEGIN
	SELECT * INTO held FROM locks WHERE key = wanted;
	IF held.holder IS NULL THEN
		RETURN answer(CASE WHEN held.last_grant > 0 THEN 'done' ELSE 'unknown' END, NULL, '{}');
	END IF;
	job := find(held.holder);
	IF job.id IS NOT NULL AND job.open AND job.lock_grant = held.last_grant THEN
		RETURN cancel_row(job, 'unlocked', asker);
	END IF;
	-- Who held it is missing, or has ended, or holds it no more by its own record.
	UPDATE locks SET holder = NULL WHERE key = wanted;
	RETURN answer('done', job, grant_key(wanted, now_ms()));
END $$;

-- What came with the job and its attempts stay; what became of it is forgotten.
CREATE OR REPLACE FUNCTION forget_result(INOUT job jobs, asker text, now bigint) LANGUAGE plpgsql
AS $$
BEGIN
	job.cancelled_by := NULL;
	job.cancel_reason := NULL;
	job.owner := NULL;
	job.reason := NULL;
	job.detail := format('retried by %s', left(asker, 960));
	job.waits_for := NULL;
	job.next_try_ms := 0;
	job.exit_code := -1;
	job.failures := 0;
	job.losses := 0;
	job.not_before_ms := 0;
	job.lock_grant := 0;
	job.accepted_ms := now;
	job.finished_ms := 0;
	job.news := 0;
END $$;

CREATE OR REPLACE FUNCTION retry_finished(wanted text, asker text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	job jobs := find(wanted);
	now bigint := now_ms();
	held_by text;
	grants job_grant[];
	accepted record;
BEGIN
	IF job.id IS NULL THEN
		RETURN answer('unknown', NULL, '{}');
	END IF;
	-- A message that is not gone yet would bring the end back.  Without one, only the word of the end is left to do.
	IF NOT is_final(job.state) OR (NOT job.settled AND job.message_id IS NOT NULL) THEN
		RETURN answer('refused', job, '{}');
	END IF;
	-- It would end at once: then it rather stays as it is, and the asker is told why.
	IF job.policy = 'reject' THEN
		SELECT holder INTO held_by FROM locks WHERE key = job.lock_key;
		IF held_by IS NOT NULL THEN
			RETURN refuse('refused', format('job %s does not wait for the lock "%s", which is held by job %s', job.id,
				job.lock_key, held_by)) || '{"code": "conflict"}';
		END IF;
	END IF;
	SELECT p.grants INTO grants FROM pass_delays(now) p;
	-- A job that crashed workers is believed to be mended now.
	DELETE FROM crashes WHERE key = wanted;
	SELECT * INTO accepted FROM accept(forget_result(job, asker, now), NULL, true, now);
	PERFORM wake(NULL);
	RETURN answer('done', accepted.job, grants || accepted.grants);
END $$;

-- The caller, if the job is its own, heard of it by itself; who adopts it looks anyhow.
CREATE OR REPLACE FUNCTION tell_owner(wanted text, me text) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	job jobs := find(wanted);
BEGIN
	IF job.id IS NULL THEN
		RETURN answer('unknown', NULL, '{}');
	END IF;
	IF job.state NOT IN ('running', 'cancelling') OR job.owner IS NULL OR job.owner = me THEN
		RETURN answer('done', job, '{}');
	END IF;
	UPDATE jobs SET news = news | 16 WHERE id = wanted AND news & 16 = 0;
	PERFORM wake(job.owner);
	RETURN answer('begun', job, '{}');
END $$;

-- SPDX-License-Identifier: Apache-2.0
-- rules_import.sql - a job that another store has kept to its end.
CREATE OR REPLACE FUNCTION import(given jsonb) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	there jobs := find(given->>'id');
	job jobs := jsonb_populate_record(NULL::jobs, given);
BEGIN
	IF NOT is_final(job.state) OR NOT job.settled THEN
		RETURN refuse('invalid', format('job %s is not at its end, and cannot be moved', job.id));
	END IF;
	IF there.id IS NOT NULL THEN
		RETURN answer('refused', there, '{}');
	END IF;
	job.seq := nextval('job_seq');
	job.rank := job.seq;
	job.wait := 0;
	job.news := 0;
	job.next_try_ms := 0;
	PERFORM insert_job(job, given->>'body');
	INSERT INTO attempts (job_id, number, step, token, handle, intended_ms, started_ms, timeout_ms, ended_ms, end_reason,
			exit_code)
		SELECT job.id, a.number, a.step, a.token, a.handle, a.intended_ms, a.started_ms, a.timeout_ms, a.ended_ms,
			a.end_reason, a.exit_code
		FROM jsonb_array_elements(given->'past') one, jsonb_populate_record(NULL::attempts, one) a;
	-- Grants go on behind those that the other store has given.  A key that is held has its holder's.
	IF needs_key(job) AND job.lock_grant > 0 THEN
		INSERT INTO locks (key, holder, last_grant, since_ms) VALUES (job.lock_key, NULL, job.lock_grant, 0)
			ON CONFLICT (key) DO UPDATE SET last_grant = greatest(locks.last_grant, excluded.last_grant)
			WHERE locks.holder IS NULL;
	END IF;
	RETURN answer('done', job, '{}');
END $$;

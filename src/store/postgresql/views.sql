-- SPDX-License-Identifier: Apache-2.0
-- views.sql - for people with psql, and for reports: SELECT * FROM gantry.gantry_jobs.  What they show stays; columns
-- may be added at the end.

CREATE OR REPLACE FUNCTION at(ms bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
AS $$
	SELECT to_timestamp(nullif(ms, 0) / 1000.0)
$$;

CREATE OR REPLACE VIEW gantry_jobs AS
	SELECT j.id, j.state, j.reason, j.detail, j.project, j.deployer, j.queue, j.priority,
		nullif(j.lock_key, '') AS lock_key,
		CASE j.wait WHEN 1 THEN 'delay' WHEN 2 THEN 'message group' WHEN 3 THEN 'lock' ELSE j.waits_for END AS waits_for,
		(SELECT l.holder FROM locks l WHERE j.wait = 3 AND l.key = j.lock_key) AS lock_holder,
		at(j.accepted_ms) AS accepted, at(a.started_ms) AS started, at(j.finished_ms) AS finished,
		at(j.next_try_ms) AS next_try, j.attempt AS attempts, a.handle AS task,
		nullif(j.exit_code, -1) AS exit_code, j.commit_hash, j.ref, j.owner AS worker, j.cancelled_by, b.body
	FROM jobs j LEFT JOIN attempts a ON a.job_id = j.id AND a.number = j.attempt AND a.step = j.step
		LEFT JOIN bodies b ON b.job_id = j.id;

CREATE OR REPLACE VIEW gantry_results AS
	SELECT j.id, j.project, j.deployer, j.state, j.reason, j.detail, nullif(j.exit_code, -1) AS exit_code,
		j.attempt AS attempts,
		a.handle AS task, at(j.accepted_ms) AS accepted, at(a.started_ms) AS started, at(j.finished_ms) AS finished,
		at(j.finished_ms) - at(a.started_ms) AS took,
		(SELECT count(*) FROM outbox o WHERE o.job_id = j.id AND NOT o.open) AS told,
		(SELECT count(*) FROM outbox o WHERE o.job_id = j.id AND o.open) AS still_to_tell
	FROM jobs j LEFT JOIN attempts a ON a.job_id = j.id AND a.number = j.attempt AND a.step = j.step
	WHERE NOT j.open;

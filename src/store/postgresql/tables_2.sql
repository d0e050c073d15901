-- SPDX-License-Identifier: Apache-2.0
-- tables_2.sql - from the first version of the tables to the second.  What is said and noted names its speaker now, so
-- functions take more than they took; those that nobody calls any more go.
DROP FUNCTION IF EXISTS say(jsonb);
DROP FUNCTION IF EXISTS note_deliveries(jsonb);
DROP FUNCTION IF EXISTS forget(text);

-- Hosts, until when one of their owners was there at least; and the host that a job's attempt is bound to.
CREATE TABLE places (
	id text PRIMARY KEY,
	lease_until_ms bigint NOT NULL
) WITH (fillfactor = 50);
ALTER TABLE jobs ADD COLUMN place text;

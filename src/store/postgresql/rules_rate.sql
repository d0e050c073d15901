-- SPDX-License-Identifier: Apache-2.0
-- rules_rate.sql - one bucket of tokens for all who call the same account.  The rate begins at what is promised
-- or said by the operator, doubles while somebody waits for tokens and nobody is throttled, and is halved when somebody
-- is; each step takes a second at least, as the owners tell of the same throttling one after another.  What one asks for
-- at most bounds what he raises; a higher rate falls slowly while he asks, as another may still need it, who raises it
-- again.
CREATE OR REPLACE FUNCTION take_rate(ask jsonb) RETURNS jsonb LANGUAGE plpgsql
AS $$
DECLARE
	now bigint := lease_now_ms();
	initial double precision := ask->>'initial_per_s';
	most double precision := ask->>'max_per_s';
	-- Workers of an earlier version don't say.
	begins double precision := coalesce((ask->>'begin_per_s')::double precision, 0);
	forgiven_ms constant bigint := 600000;
	burst double precision := greatest((ask->>'burst')::double precision, 1);
	want double precision := ask->>'want';
	given double precision := 0;
	missing double precision;
	wait_s double precision := 0;
	at rates;
BEGIN
	IF initial <= 0 OR most < initial THEN
		RETURN refuse('invalid', format('the rate of %s begins at %s a second and ends at %s', ask->>'bucket', initial, most));
	END IF;
	SELECT * INTO at FROM rates WHERE bucket = ask->>'bucket';
	IF NOT FOUND THEN
		at := (ask->>'bucket', burst, initial, now, now - forgiven_ms, now, false);
	END IF;
	-- The limits may have been configured anew since.
	at.per_s := greatest(at.per_s, initial);
	IF now - at.halved_ms >= forgiven_ms THEN
		at.per_s := greatest(at.per_s, least(begins, most));
	END IF;
	IF now > at.filled_ms THEN
		at.tokens := at.tokens + at.per_s * (now - at.filled_ms) / 1000;
		at.per_s := greatest(least(at.per_s, most), at.per_s * (1 - 0.02 * (now - at.filled_ms) / 1000));
		at.filled_ms := now;
	END IF;
	at.tokens := least(at.tokens, burst);
	IF (ask->>'throttles')::bigint > 0 THEN
		-- What we believed to be there is not.
		at.tokens := least(at.tokens, 0);
		IF now - at.halved_ms >= 1000 THEN
			at.per_s := greatest(at.per_s / 2, initial);
			at.halved_ms := now;
		END IF;
		at.raised_ms := now;
		at.short_of := false;
	ELSIF at.short_of AND now - at.raised_ms >= 1000 THEN
		at.per_s := greatest(at.per_s, least(at.per_s * 2, most));
		at.raised_ms := now;
		at.short_of := false;
	END IF;
	IF at.tokens >= 1 THEN
		given := floor(least(at.tokens, want));
	END IF;
	at.tokens := at.tokens - given;
	IF given < want THEN
		at.short_of := true;
		-- Who asks for one token at a time pays a commit for each.
		missing := least(least(want - given, burst), greatest(at.per_s * 0.25, 1));
		wait_s := greatest(missing - at.tokens, 0) / at.per_s;
	END IF;
	INSERT INTO rates VALUES (at.*) ON CONFLICT (bucket) DO UPDATE SET tokens = excluded.tokens, per_s = excluded.per_s,
		filled_ms = excluded.filled_ms, halved_ms = excluded.halved_ms, raised_ms = excluded.raised_ms,
		short_of = excluded.short_of;
	RETURN jsonb_build_object('tokens', given, 'wait_s', wait_s, 'per_s', at.per_s);
END $$;

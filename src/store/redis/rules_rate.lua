-- SPDX-License-Identifier: Apache-2.0
-- rules_rate.lua - one bucket of tokens for all who call the same account.
--
-- What AWS would let us call per second is not known, and others may call, too: so the rate begins at
-- what is promised or said by the operator, doubles while somebody waits for tokens and nobody is throttled, and
-- is halved when somebody is.  Each step takes a second at least, as the owners tell of the same throttling one
-- after another.  What one asks for at most bounds what he raises; a higher rate falls slowly while he asks, as
-- another may still need it, who raises it again.

local RATE_STEP_MS = 1000
local RATE_FORGIVEN_MS = 600000
-- Who asks for one token at a time pays a round trip for each.
local BULK_S = 0.25
-- Of a rate above what is asked for at most.
local FALL_PER_S = 0.02
-- What was found out is worth keeping over a quiet week.
local BUCKET_KEPT_MS = 30 * 86400000

local BUCKET = { 'tokens', 'per_s', 'filled_ms', 'halved_ms', 'raised_ms', 'short_of' }

local function read_bucket(name, ask)
	local bucket = pairs_to_table(command('HGETALL', name))
	if not bucket.tokens then
		return { tokens = ask.burst, per_s = ask.initial_per_s, filled_ms = rate_now_ms,
			halved_ms = rate_now_ms - RATE_FORGIVEN_MS, raised_ms = rate_now_ms, short_of = 0 }
	end
	for _, field in ipairs(BUCKET) do
		bucket[field] = tonumber(bucket[field])
	end
	return bucket
end

local function write_bucket(name, bucket)
	for _, field in ipairs(BUCKET) do
		command('HSET', name, field, string.format('%.17g', bucket[field]))
	end
	command('PEXPIRE', name, BUCKET_KEPT_MS)
end

local function refill(bucket, ask)
	-- The limits may have been configured anew since.
	bucket.per_s = math.max(bucket.per_s, ask.initial_per_s)
	if rate_now_ms - bucket.halved_ms >= RATE_FORGIVEN_MS then
		bucket.per_s = math.max(bucket.per_s, math.min(ask.begin_per_s, ask.max_per_s))
	end
	if rate_now_ms > bucket.filled_ms then
		local passed_s = (rate_now_ms - bucket.filled_ms) / 1000
		bucket.tokens = bucket.tokens + bucket.per_s * passed_s
		bucket.per_s = math.max(math.min(bucket.per_s, ask.max_per_s), bucket.per_s * (1 - FALL_PER_S * passed_s))
		bucket.filled_ms = rate_now_ms
	end
	bucket.tokens = math.min(bucket.tokens, ask.burst)
end

local function adapt(bucket, ask)
	if ask.throttles > 0 then
		-- What we believed to be there is not.
		bucket.tokens = math.min(bucket.tokens, 0)
		if rate_now_ms - bucket.halved_ms >= RATE_STEP_MS then
			bucket.per_s = math.max(bucket.per_s / 2, ask.initial_per_s)
			bucket.halved_ms = rate_now_ms
		end
		bucket.raised_ms = rate_now_ms
		bucket.short_of = 0
	elseif bucket.short_of == 1 and rate_now_ms - bucket.raised_ms >= RATE_STEP_MS then
		bucket.per_s = math.max(bucket.per_s, math.min(bucket.per_s * 2, ask.max_per_s))
		bucket.raised_ms = rate_now_ms
		bucket.short_of = 0
	end
end

local function give(bucket, ask)
	local tokens, wait_s = 0, 0
	if bucket.tokens >= 1 then
		tokens = math.floor(math.min(bucket.tokens, ask.want))
	end
	bucket.tokens = bucket.tokens - tokens
	if tokens < ask.want then
		bucket.short_of = 1
		local missing = math.min(math.min(ask.want - tokens, ask.burst), math.max(bucket.per_s * BULK_S, 1))
		wait_s = math.max(missing - bucket.tokens, 0) / bucket.per_s
	end
	out.rate = { tokens, string.format('%.17g', wait_s), string.format('%.17g', bucket.per_s) }
end

function rules.take_rate(call)
	local ask = { initial_per_s = tonumber(call.initial_per_s), max_per_s = tonumber(call.max_per_s),
		begin_per_s = tonumber(call.begin_per_s),
		burst = math.max(tonumber(call.burst), 1), want = tonumber(call.want), throttles = tonumber(call.throttles) }
	if ask.initial_per_s <= 0 or ask.max_per_s < ask.initial_per_s then
		refuse('invalid', 'store: the rate of ' .. call.bucket .. ' begins at ' .. call.initial_per_s ..
			' a second and ends at ' .. call.max_per_s)
		return
	end
	local name = key('rate', call.bucket)
	local bucket = read_bucket(name, ask)
	refill(bucket, ask)
	adapt(bucket, ask)
	give(bucket, ask)
	write_bucket(name, bucket)
end

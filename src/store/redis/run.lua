-- SPDX-License-Identifier: Apache-2.0
-- run.lua - carries out the calls of one batch, in order, and answers each.
--
-- ARGV is the batch's head, then its calls: kind, number of records, and each record as the number of its fields
-- and the fields as names and values.  The first record is of the call, the others are what is given with it.
--
-- The answer of a batch that writes is kept for a while under the name of its sender, so that a batch which is
-- sent again, as its answer was lost, is answered and not carried out again.  A sender has one batch under way,
-- so one answer is enough; a batch that comes late, behind a newer one of its sender, is refused.

local ANSWER_KEPT_MS = 120000
-- A step of the server's clock that is longer than any batch was ever on its way.
local LONGEST_STEP_MS = 300000

local head = {
	instance = ARGV[1], number = tonumber(ARGV[2]), expected_ms = tonumber(ARGV[6]), lease_shift_ms = tonumber(ARGV[7]),
	shift_ms = tonumber(ARGV[8]), gap_ms = tonumber(ARGV[9]), schema = ARGV[10],
}
local writes = head.number > 0

me.owner = ARGV[3]
me.lease_ms = tonumber(ARGV[4])
me.registered = ARGV[5] == '1'
me.place = ARGV[11]

-- -- the clock -------------------------------------------------------------------------------------

-- The server's clock is the clock of all; it is steadied here.  When it is set back, time goes on from where it
-- was, and a long step ahead is taken back when the sender's own clock does not know of it.
--
-- Leases are on a clock that stands still while the store hears of nobody: when it was away, nobody could renew,
-- and nobody shall lose his jobs for that.
local function take_clock()
	local time = command('TIME')
	local server_ms = time[1] * 1000 + math.floor(time[2] / 1000)
	local clock = command('HMGET', key('clock'), 'offset_ms', 'last_ms', 'lease_ms')
	local offset_ms = tonumber(clock[1] or 0)
	local steady_ms = server_ms + offset_ms
	local last_ms = tonumber(clock[2] or steady_ms)
	local lease_ms = tonumber(clock[3] or steady_ms)
	if steady_ms < last_ms then
		steady_ms = last_ms
	elseif head.expected_ms and steady_ms - head.expected_ms > LONGEST_STEP_MS then
		steady_ms = math.max(head.expected_ms, last_ms)
	end
	lease_ms = lease_ms + math.min(steady_ms - last_ms, head.gap_ms)
	now_ms = steady_ms + head.shift_ms
	lease_now_ms = lease_ms + head.lease_shift_ms
	rate_now_ms = steady_ms + head.lease_shift_ms
	if writes then
		command('HSET', key('clock'), 'offset_ms', steady_ms - server_ms, 'last_ms', steady_ms, 'lease_ms', lease_ms)
	end
	return steady_ms
end

-- -- the calls -------------------------------------------------------------------------------------

local at = 11

local function next_word()
	at = at + 1
	return ARGV[at]
end

local function next_record()
	local record = {}
	for _ = 1, tonumber(next_word()) do
		local name = next_word()
		record[name] = next_word()
	end
	return record
end

local function next_call()
	local kind, records = next_word(), tonumber(next_word())
	local call = next_record()
	call.kind = kind
	call.given = {}
	for i = 2, records do
		call.given[i - 1] = next_record()
	end
	return call
end

-- Names and values, as a table with names cannot be answered.
local function flatten(answers)
	local flat = {}
	for name, value in pairs(answers) do
		flat[#flat + 1] = name
		flat[#flat + 1] = value
	end
	return flat
end

-- An error here is a row that is not as it must be: it is the call's, and the others go on.
local function carry_out(call)
	out = {}
	local ok, why = pcall(rules[call.kind], call)
	if not ok then
		out = { err = { 'damaged', 'store: ' .. call.kind .. ': ' .. tostring(type(why) == 'table' and why.err or why) } }
	end
	return flatten(out)
end

local function run()
	local answers = { take_clock() }
	while at < #ARGV do
		answers[#answers + 1] = carry_out(next_call())
	end
	return answers
end

local function wake()
	for name in pairs(rows.told) do
		command('PUBLISH', key('wake', name), 'sweep')
	end
	if rows.orphans then
		command('PUBLISH', key('wake'), 'adopt')
	end
end

-- -- the batch -------------------------------------------------------------------------------------

if not writes then
	return run()
end
local kept = command('GET', key('answer', head.instance))
if kept then
	local last = cmsgpack.unpack(kept)
	if last[1] == head.number then
		return last[2]
	elseif last[1] > head.number then
		return redis.error_reply('STALE a newer batch of this sender was carried out before')
	end
end
-- A store that was emptied under us knows none of our registrations, so its owners learn that they have lost all.
if (command('GET', key('schema')) or head.schema) ~= head.schema then
	return redis.error_reply('SCHEMA the store is of another version of gantry now')
end
local answers = run()
command('SET', key('answer', head.instance), cmsgpack.pack({ head.number, answers }), 'PX', ANSWER_KEPT_MS)
wake()
return answers

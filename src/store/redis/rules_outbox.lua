-- SPDX-License-Identifier: Apache-2.0
-- rules_outbox.lua - what is still to be told, and what may be forgotten.
--
-- A delivery is open until it has arrived; a dead one is open too, until somebody replays it.

local DELIVERY_TEXTS = { 'sink', 'event', 'job_id', 'payload', 'error', 'dedup_key', 'claimed_by' }
local DELIVERY_NUMBERS = { 'id', 'created_ms', 'next_try_ms', 'tries', 'dead' }

local function is_open(delivery)
	return delivery.next_try_ms > 0 or delivery.dead == 1
end

local function delivery_place(delivery)
	return string.format('%016.0f', delivery.id)
end

local function read_delivery(id)
	local flat = command('HGETALL', key('delivery', number_text(id)))
	if #flat == 0 then
		return nil
	end
	local delivery = pairs_to_table(flat)
	for _, name in ipairs(DELIVERY_NUMBERS) do
		delivery[name] = tonumber(delivery[name] or 0)
	end
	return delivery
end

local function stand_if(stands, name, score, member)
	if stands then
		command('ZADD', name, score, member)
	else
		command('ZREM', name, member)
	end
end

local function save_delivery(delivery)
	local name, member = key('delivery', number_text(delivery.id)), delivery_place(delivery)
	for _, field in ipairs(DELIVERY_TEXTS) do
		if delivery[field] then
			command('HSET', name, field, delivery[field])
		else
			command('HDEL', name, field)
		end
	end
	for _, field in ipairs(DELIVERY_NUMBERS) do
		command('HSET', name, field, number_text(delivery[field]))
	end
	local open, dead = is_open(delivery), delivery.dead == 1
	command('ZADD', key('deliveries'), delivery.id, member)
	stand_if(open, key('open'), delivery.id, member)
	stand_if(open and not dead, key('due'), delivery.next_try_ms, member)
	stand_if(dead, key('dead'), delivery.id, member)
	if delivery.job_id then
		command('ZADD', key('told', delivery.job_id), delivery.id, member)
	else
		stand_if(not open, key('jobless'), delivery.created_ms, member)
		stand_if(open, key('jobless_open'), delivery.created_ms, member)
	end
end

local function forget_delivery(delivery)
	local member = delivery_place(delivery)
	for _, name in ipairs({ 'deliveries', 'open', 'due', 'dead', 'jobless', 'jobless_open' }) do
		command('ZREM', key(name), member)
	end
	if delivery.job_id then
		command('ZREM', key('told', delivery.job_id), member)
	end
	if delivery.dedup_key and command('DECR', key('said', delivery.dedup_key)) <= 0 then
		command('DEL', key('said', delivery.dedup_key))
	end
	command('DEL', key('delivery', number_text(delivery.id)))
end

-- -- claims ----------------------------------------------------------------------------------------

local function end_claim(delivery)
	if delivery.claimed_by then
		command('ZREM', key('claims', delivery.claimed_by), delivery_place(delivery))
		delivery.claimed_by = nil
	end
end

-- What an owner had claimed is due at once.
function rows.end_claims(claimer)
	for _, member in ipairs(command('ZRANGE', key('claims', claimer), 0, -1)) do
		local delivery = read_delivery(tonumber(member))
		if delivery then
			delivery.claimed_by = nil
			delivery.next_try_ms = now_ms
			save_delivery(delivery)
		end
	end
	command('DEL', key('claims', claimer))
end

-- -- the calls -------------------------------------------------------------------------------------

local function say_one(given, dedup_key)
	local next_try_ms = tonumber(given.next_try_ms)
	local delivery = {
		id = command('INCR', key('delivery_id')), sink = given.sink, event = given.event, job_id = given.job_id,
		payload = given.payload, error = given.error, dedup_key = dedup_key, tries = tonumber(given.tries),
		dead = tonumber(given.dead), created_ms = tonumber(given.created_ms),
		-- 0: now; less: it is only recorded.
		next_try_ms = next_try_ms == 0 and now_ms or math.max(next_try_ms, 0),
	}
	if delivery.created_ms == 0 then
		delivery.created_ms = now_ms
	end
	if dedup_key then
		command('INCR', key('said', dedup_key))
	end
	save_delivery(delivery)
end

-- From where there is another attempt.
local REPEATS = { queued = true, launching = true, running = true }

-- A speaker that has lost its job, or whose move others have made impossible, has nothing to tell of it.
local function may_say(speaker)
	local job = find_ours(speaker)
	if not job then
		return false
	end
	local ends = not FINAL[speaker.state] or job.state == speaker.state or MOVES[job.state][speaker.state]
	local repeats = speaker.state ~= 'queued' or REPEATS[job.state]
	if not ends or not repeats then
		refuse('lost', 'store: job ' .. job.id .. ' is ' .. job.state .. ' and does not become ' .. speaker.state)
		return false
	end
	return true
end

function rules.say(call)
	for _, given in ipairs(call.given) do
		if #given.payload > LIMIT_DELIVERY_BYTES then
			refuse('invalid', 'store: what is to be told to ' .. given.sink .. ' has more than ' .. LIMIT_DELIVERY_BYTES ..
				' bytes')
			return
		end
	end
	if call.id and not may_say(call) then
		return
	end
	if call.dedup_key and command('EXISTS', key('said', call.dedup_key)) == 1 then
		return
	end
	for _, given in ipairs(call.given) do
		say_one(given, call.dedup_key)
	end
end

local function describe_delivery(delivery)
	local flat = {}
	for _, name in ipairs(DELIVERY_TEXTS) do
		if delivery[name] then
			flat[#flat + 1] = name
			flat[#flat + 1] = delivery[name]
		end
	end
	for _, name in ipairs(DELIVERY_NUMBERS) do
		flat[#flat + 1] = name
		flat[#flat + 1] = number_text(delivery[name])
	end
	return flat
end

-- The claim is a next try that is put off: a claimer that dies has tried in vain.
function rules.claim_deliveries(call)
	local due = command('ZRANGEBYSCORE', key('due'), '-inf', now_ms, 'LIMIT', 0, tonumber(call.max))
	for _, member in ipairs(due) do
		local delivery = read_delivery(tonumber(member))
		add_to('deliveries', describe_delivery(delivery))
		end_claim(delivery)
		delivery.claimed_by = me.owner
		delivery.next_try_ms = now_ms + CLAIM_MS
		command('ZADD', key('claims', me.owner), delivery.id, member)
		save_delivery(delivery)
	end
	out.next_due_ms = lowest_score(key('due'))
end

-- What is not claimed by the caller, or not any more, is left as it is.
function rules.note_deliveries(call)
	for _, given in ipairs(call.given) do
		local delivery = read_delivery(tonumber(given.id))
		if delivery and delivery.claimed_by == me.owner then
			if given.kept ~= '1' then
				end_claim(delivery)
			end
			delivery.tries = tonumber(given.tries)
			delivery.dead = tonumber(given.dead)
			-- Of a dead one it is when it was given up.
			delivery.next_try_ms = delivery.dead == 1 and now_ms or tonumber(given.next_try_ms)
			delivery.error = given.error
			save_delivery(delivery)
		end
	end
end

local function revive(delivery)
	if not delivery or delivery.dead ~= 1 then
		return false
	end
	delivery.dead = 0
	delivery.tries = 0
	delivery.next_try_ms = now_ms
	save_delivery(delivery)
	return true
end

function rules.replay(call)
	local id, count = tonumber(call.delivery_id), 0
	local members = id ~= 0 and { string.format('%016.0f', id) } or command('ZRANGE', key('dead'), 0, -1)
	for _, member in ipairs(members) do
		count = count + (revive(read_delivery(tonumber(member))) and 1 or 0)
	end
	answer(count > 0 and 'done' or 'unknown')
end

-- -- what may be forgotten -------------------------------------------------------------------------

local function holds_its_job(delivery, dead_before_ms)
	return is_open(delivery) and not (delivery.dead == 1 and delivery.next_try_ms < dead_before_ms)
end

local function forget_job(job, dead_before_ms)
	local told = key('told', job.id)
	local deliveries = {}
	for _, member in ipairs(command('ZRANGE', told, 0, -1)) do
		local delivery = read_delivery(tonumber(member))
		if holds_its_job(delivery, dead_before_ms) then
			return false
		end
		deliveries[#deliveries + 1] = delivery
	end
	for _, delivery in ipairs(deliveries) do
		forget_delivery(delivery)
	end
	rows.forget(job)
	return true
end

-- Up to max that ended before a moment, from behind the last that was looked at.
local function ended_jobs(call, max)
	local from_ms, from_seq, ended, at = tonumber(call.pruned_ms), tonumber(call.pruned_seq), {}, 0
	local before = '(' .. number_text(tonumber(call.older_than_ms))
	while #ended < max do
		local page = command('ZRANGEBYSCORE', key('ended'), number_text(from_ms), before, 'LIMIT', at, max)
		if #page == 0 then
			break
		end
		at = at + #page
		for _, member in ipairs(page) do
			local job = rows.find(id_of_place(member))
			if (job.finished_ms > from_ms or job.seq > from_seq) and #ended < max then
				ended[#ended + 1] = job
			end
		end
	end
	return ended
end

-- Jobs that may not be forgotten yet, as something of them is to be delivered, must not be in the way of the
-- others: the next call goes on behind the last that was looked at.
local function prune_jobs(call, max)
	local ended = ended_jobs(call, max)
	out.pruned_ms, out.pruned_seq = tonumber(call.pruned_ms), tonumber(call.pruned_seq)
	for _, job in ipairs(ended) do
		out.pruned_ms, out.pruned_seq = job.finished_ms, job.seq
		if forget_job(job, tonumber(call.older_than_ms)) then
			out.went = out.went + 1
		end
	end
	if #ended < max then
		out.pruned_ms, out.pruned_seq = 0, 0
	end
end

local function prune_jobless(name, older_than_ms, max)
	local before = '(' .. number_text(older_than_ms)
	for _, member in ipairs(command('ZRANGEBYSCORE', key(name), '-inf', before, 'LIMIT', 0, max)) do
		local delivery = read_delivery(tonumber(member))
		end_claim(delivery)
		forget_delivery(delivery)
		out.went = out.went + 1
	end
end

function rules.prune(call)
	local max, older_than_ms = tonumber(call.max), tonumber(call.older_than_ms)
	out.went = 0
	prune_jobs(call, max)
	if out.went < max then
		prune_jobless('jobless', older_than_ms, max - out.went)
	end
	-- What cannot be delivered is kept twice as long.
	if out.went < max then
		prune_jobless('jobless_open', older_than_ms - (now_ms - older_than_ms), max - out.went)
	end
	rows.forget_old_crashes(now_ms - CRASHES_KEPT_MS)
end

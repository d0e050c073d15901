-- SPDX-License-Identifier: Apache-2.0
-- rules_turn.lua - whose turn it is: delays, message groups and lock keys.
--
-- A waiting job passes three stages in order: its delay, the earlier jobs of its message group, its
-- lock key.  The stage is stored with the job.  It rests on one invariant: a free key has nobody at WAIT_LOCK.

local turn = {}

local function clear_wait(job)
	job.waits_for = nil
	job.next_try_ms = 0
end

function turn.needs_key(job)
	return job.policy ~= 'parallel' and job.lock_key ~= ''
end

-- waiting -> queued; the owner hears of it by the completion's grants or by its next sweep.
local function make_ready(job, grant)
	job.wait = WAIT_NONE
	job.news = bit.bor(job.news, NEWS_READY)
	job.state = 'queued'
	job.grant = grant
	clear_wait(job)
	rows.save(job)
	add_grant(job)
end

-- A free key gets its next holder.
local function hold(job, last_grant)
	rows.write_lock(job.lock_key, { holder = job.id, grant = last_grant + 1, since_ms = now_ms })
end

-- Gives a free key to the first who waits for it.
function turn.grant_key(lock_key)
	local held = rows.read_lock(lock_key)
	local next = not held.holder and rows.next_waiter(lock_key)
	if next then
		hold(next, held.grant)
		make_ready(next, held.grant + 1)
	end
end

-- Whether an unfinished job of its group was accepted earlier.
local function group_blocks(job)
	local head = rows.group_head(job.queue, job.message_group)
	return head ~= nil and head.id ~= job.id
end

-- A row that waits moves on as far as it can; grants are added to the call.
function turn.advance(job)
	local before = job.wait
	if job.wait == WAIT_DELAY and job.not_before_ms <= now_ms then
		job.wait = WAIT_GROUP
	end
	if job.wait == WAIT_GROUP and not group_blocks(job) then
		job.wait = WAIT_LOCK
	end
	if job.wait == WAIT_LOCK and not turn.needs_key(job) then
		make_ready(job, 0)
		return
	end
	if job.wait ~= before then
		rows.save(job)
	end
	if job.wait == WAIT_LOCK then
		turn.grant_key(job.lock_key)
	end
end

-- The key is taken at once when it is free: by the invariant nobody waits for it then.
local function take_key(job)
	local held = rows.read_lock(job.lock_key)
	if held.holder then
		job.wait = WAIT_LOCK
	else
		job.grant = held.grant + 1
		hold(job, held.grant)
	end
end

-- The first stage that holds a new job up.
function turn.first_stage(job)
	local blocked = group_blocks(job)
	job.wait = WAIT_NONE
	if job.not_before_ms > now_ms then
		job.wait = WAIT_DELAY
	elseif blocked then
		job.wait = WAIT_GROUP
	elseif turn.needs_key(job) then
		take_key(job)
	end
	job.state = job.wait == WAIT_NONE and 'queued' or 'waiting'
end

local function pass_key(job)
	if not turn.needs_key(job) or job.grant == 0 then
		return
	end
	local held = rows.read_lock(job.lock_key)
	-- Compared by grant too: a key that was given on by hand is not ours to free.
	if held.holder and held.grant == job.grant then
		held.holder = nil
		rows.write_lock(job.lock_key, held)
		turn.grant_key(job.lock_key)
	end
end

-- The group first: its next one may have been accepted before whoever waits at the key that is passed.
local function pass_group(job)
	local head = rows.group_head(job.queue, job.message_group)
	if head and head.wait == WAIT_GROUP then
		turn.advance(head)
	end
end

-- After a row has ended: its key goes to the next, and the next of its group may move.
function turn.pass_on(job)
	pass_group(job)
	pass_key(job)
end

-- Moves jobs whose delay is over, up to max; true when some are left.
function turn.pass_delays(max)
	for n = 0, max do
		local job = rows.next_due()
		if not job then
			return false
		end
		if n == max then
			return true
		end
		turn.advance(job)
	end
end

-- SPDX-License-Identifier: Apache-2.0
-- rules_admit.lua - a received message becomes a job, or turns out to be one already.

local admit = {}

-- The newcomer stands where the one it supersedes stood: else a stream of newer ones, each at the end of
-- the order or with its whole delay ahead, would keep them all from the key for as long as it lasts.
local function inherit(job, older)
	if older.rank < job.rank then
		job.rank = older.rank
	end
	if job.not_before_ms > 0 and older.not_before_ms > 0 and older.not_before_ms < job.not_before_ms then
		job.not_before_ms = older.not_before_ms
	end
end

-- Ends all waiting jobs of the newcomer's deployer and key.  They are not passed on here: their
-- group goes on once the newcomer stands in it.
local function supersede(newcomer)
	local ended = {}
	local job = rows.any_waiting(newcomer.lock_key, newcomer.deployer)
	while job do
		inherit(newcomer, job)
		job.news = bit.bor(job.news, NEWS_SUPERSEDED)
		job.detail = 'superseded by job ' .. newcomer.id
		end_for_others(job, 'superseded')
		ended[#ended + 1] = job
		job = rows.any_waiting(newcomer.lock_key, newcomer.deployer)
	end
	return ended
end

-- The policy reject: a key that is held ends the newcomer.
local function reject(job)
	local held = rows.read_lock(job.lock_key)
	if not held.holder then
		return false
	end
	job.wait = WAIT_NONE
	job.state = 'failed'
	-- Nothing is left to do but to settle the message, and a redelivery would say that again: the
	-- record need not be handed on until it is done.
	job.settled = 1
	job.finished_ms = now_ms
	job.reason = 'locked'
	job.detail = 'the lock "' .. job.lock_key .. '" is held by job ' .. held.holder
	return true
end

-- Gives a row its place at the end of the order, and writes it: a new one, or one that is accepted anew.
-- True: it was rejected.
function admit.accept(job)
	local seq = rows.next_seq()
	local ended, rejected = {}, false
	job.rank = seq - (job.priority - PRIORITY_DEFAULT) * RANK_PER_PRIORITY
	if job.policy == 'latest' then
		ended = supersede(job)
	elseif job.policy == 'reject' then
		rejected = reject(job)
	end
	if not rejected then
		turn.first_stage(job)
	end
	job.seq = seq
	rows.save(job)
	for _, older in ipairs(ended) do
		turn.pass_on(older)
	end
	return rejected
end

-- A new row of what came with the message.
local function row_of(given)
	local job = { fence = 1, grant = 0, failures = 0, losses = 0, next_try_ms = 0, finished_ms = 0, attempt = 0, step = 0,
		intended_ms = 0, started_ms = 0, timeout_ms = 0, wait = WAIT_NONE, news = 0, accepted_ms = now_ms }
	for _, name in ipairs({ 'id', 'project', 'deployer', 'queue', 'lock_key', 'policy', 'commit', 'ref', 'stage', 'reason',
		'detail', 'message_id', 'receipt', 'message_group' }) do
		job[name] = given[name]
	end
	for _, name in ipairs({ 'priority', 'not_before_ms', 'exit_code', 'hidden_until_ms', 'received_ms', 'deliveries',
		'settled' }) do
		job[name] = tonumber(given[name])
	end
	return job
end

local function admit_new(given)
	local job = row_of(given)
	if given.released ~= '1' then
		job.owner = me.owner
	end
	if not job.lock_key or job.policy == 'parallel' then
		job.lock_key = ''
	end
	if not job.message_id then
		job.settled = 1
	end
	local rejected = admit.accept(job)
	rows.write_body(job, given.body)
	return job, rejected and 'rejected' or 'new'
end

-- The message of a job that we know came again: its newest receipt is the one that deletes it.
local function renew_receipt(job, newer)
	if tonumber(newer.received_ms) < job.received_ms then
		return
	end
	job.receipt = newer.receipt
	job.received_ms = tonumber(newer.received_ms)
	job.hidden_until_ms = tonumber(newer.hidden_until_ms)
	job.deliveries = tonumber(newer.deliveries)
	if job.owner ~= me.owner then
		job.news = bit.bor(job.news, NEWS_RECEIPT)
	end
	rows.save(job)
end

-- A job whose owner is gone is nobody's; the caller is told so and adopts it.
local function release_if_dead(job)
	if job.owner and job.owner ~= me.owner and owner.is_dead(job.owner) then
		rows.release(job.owner)
	end
end

local function admit_again(newer, job)
	local same_message = job.settled == 0 and job.message_id ~= nil and job.message_id == newer.message_id and
		job.queue ~= nil and job.queue == newer.queue
	if is_final(job) then
		if same_message then
			renew_receipt(job, newer)
		end
		return 'finished'
	end
	if newer.message_id and not same_message then
		-- Somebody sent the job twice, or its message was settled early: the record holds the
		-- job, so this message has nothing left to say.
		return 'finished'
	end
	release_if_dead(job)
	local verdict = job.owner ~= nil and job.owner == me.owner and 'ours' or 'others'
	if newer.message_id then
		renew_receipt(job, newer)
	end
	return verdict
end

-- A job further up in the batch may have got its turn from one further down.
local function refresh_granted(admitted)
	for _, at in ipairs(admitted) do
		if at.state == 'waiting' and at.owner ~= nil and at.owner == me.owner and at.job.state == 'queued' then
			at.job.news = bit.band(at.job.news, bit.bnot(NEWS_READY))
			rows.save(at.job)
			at.answer[2] = describe(at.job)
		end
	end
end

function rules.admit(call)
	local all_released = true
	for _, given in ipairs(call.given) do
		all_released = all_released and given.released == '1'
	end
	-- A job owned by nobody who is registered would never be adopted.
	if not all_released and not owner.be_registered() then
		return
	end
	-- Whose delay is over stands before whoever comes now.
	turn.pass_delays(LIMIT_SWEEP_JOBS)
	local admitted = {}
	for _, given in ipairs(call.given) do
		local job, verdict = rows.find(given.id), nil
		if job then
			verdict = admit_again(given, job)
		else
			job, verdict = admit_new(given)
		end
		local answer = { verdict, describe(job) }
		add_to('admitted', answer)
		admitted[#admitted + 1] = { job = job, state = job.state, owner = job.owner, answer = answer }
	end
	refresh_granted(admitted)
end

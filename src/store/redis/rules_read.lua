-- SPDX-License-Identifier: Apache-2.0
-- rules_read.lua - the calls that only read.

local LIST_PAGE = 200

function rules.find(call)
	local job = rows.find(call.name)
	if job then
		add_to('jobs', describe(job, true))
	end
end

local function passes(call, job)
	return (not call.project or call.project == job.project) and (not call.deployer or call.deployer == job.deployer) and
		(not call.state or call.state == job.state)
end

-- Newest first, from the narrowest index.
function rules.list(call)
	local name, max, at, count = key('jobs'), tonumber(call.max), 0, 0
	if call.project then
		name = key('project', call.project)
	elseif call.state then
		name = key('state', call.state)
	end
	local from = call.before_seq == '0' and '+inf' or '(' .. call.before_seq
	while count < max do
		local ids = command('ZREVRANGEBYSCORE', name, from, '-inf', 'LIMIT', at, LIST_PAGE)
		if #ids == 0 then
			return
		end
		at = at + #ids
		for _, id in ipairs(ids) do
			local job = rows.find(id)
			if count < max and passes(call, job) then
				add_to('jobs', describe(job))
				count = count + 1
			end
		end
	end
end

-- When the oldest that was not launched yet was accepted; 0: there is none.
local function oldest_waiting()
	local oldest = 0
	for _, state in ipairs({ 'queued', 'waiting' }) do
		local id = first_id(key('state', state))
		local job = id and rows.find(id)
		if job and (oldest == 0 or job.accepted_ms < oldest) then
			oldest = job.accepted_ms
		end
	end
	return number_text(oldest)
end

function rules.count(call)
	for _, given in ipairs(call.given) do
		add_to('counts', command('ZCARD', key('state', given.state)))
	end
	if call.totals then
		out.totals = { command('ZCARD', key('held')), command('ZCARD', key('due')), command('ZCARD', key('dead')),
			oldest_waiting() }
	end
end

function rules.attempts(call)
	local packed = pairs_to_table(command('HGETALL', key('attempts', call.name)))
	local names = {}
	for name in pairs(packed) do
		names[#names + 1] = name
	end
	table.sort(names)
	for _, name in ipairs(names) do
		local attempt, flat = cmsgpack.unpack(packed[name]), {}
		for field, value in pairs(attempt) do
			flat[#flat + 1] = field
			flat[#flat + 1] = type(value) == 'number' and number_text(value) or value
		end
		add_to('attempts', flat)
	end
end

function rules.locks(call)
	local from = call.name == '' and '-' or '(' .. call.name
	for _, name in ipairs(command('ZRANGEBYLEX', key('held'), from, '+', 'LIMIT', 0, tonumber(call.max))) do
		local held = rows.read_lock(name)
		local holder = rows.find(held.holder)
		add_to('locks', { name, held.holder, holder and holder.project or false, held.grant, held.since_ms,
			command('ZCARD', key('waiters', name)) })
	end
end

-- -- why a job is where it is ----------------------------------------------------------------------

-- How many of its key at WAIT_LOCK come before it.
local function count_ahead(job)
	local name = key('waiters', job.lock_key)
	if job.wait == WAIT_LOCK then
		return command('ZRANK', name, place(job))
	end
	local count = command('ZCOUNT', name, '-inf', '(' .. number_text(job.rank))
	for _, member in ipairs(command('ZRANGEBYSCORE', name, job.rank, job.rank)) do
		count = count + (member < place(job) and 1 or 0)
	end
	return count
end

local function why_key(job, why)
	local held = rows.read_lock(job.lock_key)
	if not held.holder or held.holder == job.id then
		return
	end
	local holder = rows.find(held.holder)
	why[2], why[3], why[4] = held.holder, holder and holder.project or false, held.since_ms
	if job.wait ~= WAIT_NONE then
		why[5] = count_ahead(job)
	end
end

local function why_group(job, why)
	if job.wait ~= WAIT_DELAY and job.wait ~= WAIT_GROUP then
		return
	end
	local head = rows.group_head(job.queue, job.message_group)
	if head and head.seq < job.seq then
		why[6] = head.id
		why[7] = command('ZCOUNT', key('group', job.queue, job.message_group), '-inf', '(' .. number_text(job.seq))
	end
end

function rules.why(call)
	local job = rows.find(call.name)
	if not job then
		return
	end
	local why = { describe(job, true), false, false, 0, 0, false, 0 }
	if not is_final(job) and turn.needs_key(job) then
		why_key(job, why)
	end
	if job.message_group then
		why_group(job, why)
	end
	out.why = why
end

-- -- deliveries and crashes ------------------------------------------------------------------------

function rules.deliveries(call)
	local max, at, count = tonumber(call.max), 0, 0
	local name = call.job_id and key('told', call.job_id) or key(call.open_only == '1' and 'open' or 'deliveries')
	while count < max do
		local members = command('ZRANGEBYSCORE', name, '(' .. call.after_id, '+inf', 'LIMIT', at, LIST_PAGE)
		if #members == 0 then
			return
		end
		at = at + #members
		for _, member in ipairs(members) do
			local delivery = read_delivery(tonumber(member))
			if count < max and (call.open_only ~= '1' or is_open(delivery)) then
				add_to('deliveries', describe_delivery(delivery))
				count = count + 1
			end
		end
	end
end

function rules.crashes(call)
	out.went = command('HLEN', key('crash', call.name))
end

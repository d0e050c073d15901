-- SPDX-License-Identifier: Apache-2.0
-- rows.lua - the rows behind the rules, as Redis keeps them.
--
-- All keys begin with one hash tag: a batch that is admitted touches many lock keys, groups and owners in one
-- step, and a cluster runs a script only where all of its keys are.  A tag for each lock key would part them.
--
--      job:ID                  a hash, what struct job holds but body and request; what is NULL is absent
--      whole:ID                a hash, body and request, which are read seldom
--      attempts:ID             a hash, number and step to the packed attempt
--      jobs state:S project:P  ids by seq; also waiting:KEY:DEPLOYER, group:QUEUE:GROUP (unfinished),
--                              owned:OWNER and unowned (live), news:OWNER (with news)
--      waiters:KEY             places by rank; delayed: by not_before_ms; ended: by finished_ms
--      lock:KEY, held          holder, grant, since_ms; the held keys in order
--      owners                  ids by the end of their lease
--      places                  hosts by the end of the last lease that one of their owners had
--      delivery:ID             a hash; deliveries, open, due, dead, jobless(_open), told:JOB, claims:OWNER, said:KEY
--      crash:KEY, crashes      who crashed by it and when
--      rate:BUCKET             a hash
--      clock, seq, delivery_id, schema, answer:INSTANCE
--
-- A place is a member that sorts by seq among equal scores.  A row is found once in a run of the script, so
-- that all who change it see the same; save() writes what has changed since, with the indexes it stands in.

local command = redis.call

local WAIT_NONE, WAIT_DELAY, WAIT_GROUP, WAIT_LOCK = 0, 1, 2, 3
local NEWS_READY, NEWS_SUPERSEDED, NEWS_RECEIPT, NEWS_CANCEL, NEWS_TOLD = 1, 2, 4, 8, 16
local CLAIM_MS = 60000
local RANK_PER_PRIORITY = 1000
local PRIORITY_DEFAULT = 5
local CRASHES_KEPT_MS = 7 * 86400 * 1000
local LIMIT_SWEEP_JOBS = 1000
local LIMIT_DELIVERY_BYTES = 262144
local LIMIT_DETAIL_BYTES = 1024
local NO_EXIT_CODE = -1

-- Filled by run.lua: who asks, and what time it is.
local me = {}
local now_ms, lease_now_ms, rate_now_ms

local rows = { found = {}, told = {}, alive = {}, orphans = false }

-- Of the parts all but the last carry their length, so that no two keys are the same text.
local function key(name, ...)
	local parts = { ... }
	local text = KEYS[1] .. ':' .. name
	for i, part in ipairs(parts) do
		text = text .. ':' .. (i < #parts and #part .. ':' or '') .. part
	end
	return text
end

local function number_text(number)
	return string.format('%.0f', number)
end

local function pairs_to_table(flat)
	local t = {}
	for i = 1, #flat, 2 do
		t[flat[i]] = flat[i + 1]
	end
	return t
end

-- -- jobs ------------------------------------------------------------------------------------------

local TEXTS = { 'id', 'project', 'deployer', 'queue', 'lock_key', 'policy', 'commit', 'ref', 'stage', 'state',
	'reason', 'detail', 'message_id', 'receipt', 'message_group', 'token', 'handle', 'waits_for', 'cancelled_by',
	'cancel_reason', 'owner', 'place' }
local NUMBERS = { 'priority', 'not_before_ms', 'exit_code', 'seq', 'accepted_ms', 'finished_ms', 'hidden_until_ms',
	'received_ms', 'deliveries', 'settled', 'attempt', 'step', 'intended_ms', 'started_ms', 'timeout_ms', 'failures',
	'losses', 'next_try_ms', 'fence', 'grant', 'wait', 'news', 'rank' }

local FINAL = { succeeded = true, failed = true, cancelled = true, superseded = true }

local function is_final(job)
	return FINAL[job.state] == true
end

-- Unfinished, or its message is still to be settled: somebody has to own it.
local function is_live(job)
	return not is_final(job) or job.settled == 0
end

local function place(job)
	return string.format('%016.0f:%s', job.seq, job.id)
end

local function id_of_place(member)
	return string.sub(member, 18)
end

-- Every index that a row stands in.
local function places(job)
	local at = {}
	local function stand(score, member, ...)
		at[key(...)] = { score, member }
	end
	stand(job.seq, job.id, 'jobs')
	stand(job.seq, job.id, 'state', job.state)
	stand(job.seq, job.id, 'project', job.project)
	if job.wait ~= WAIT_NONE then
		stand(job.seq, job.id, 'waiting', job.lock_key, job.deployer)
	end
	if job.wait == WAIT_LOCK then
		stand(job.rank, place(job), 'waiters', job.lock_key)
	elseif job.wait == WAIT_DELAY then
		stand(job.not_before_ms, place(job), 'delayed')
	end
	if not is_final(job) and job.message_group and job.queue then
		stand(job.seq, job.id, 'group', job.queue, job.message_group)
	end
	if not is_live(job) then
		stand(job.finished_ms, place(job), 'ended')
	elseif job.owner then
		stand(job.seq, job.id, 'owned', job.owner)
	else
		stand(job.seq, job.id, 'unowned')
	end
	if job.news ~= 0 and job.owner then
		stand(job.seq, job.id, 'news', job.owner)
	end
	return at
end

local function move_places(old, new)
	for name, at in pairs(old) do
		if not new[name] or new[name][2] ~= at[2] then
			command('ZREM', name, at[2])
		end
	end
	for name, at in pairs(new) do
		if not old[name] or old[name][1] ~= at[1] or old[name][2] ~= at[2] then
			command('ZADD', name, at[1], at[2])
		end
	end
end

local function remember(job)
	local was = {}
	for _, name in ipairs(TEXTS) do
		was[name] = job[name]
	end
	for _, name in ipairs(NUMBERS) do
		was[name] = job[name]
	end
	job.was = was
end

function rows.find(id)
	local job = rows.found[id]
	if job ~= nil then
		return job or nil
	end
	local flat = command('HGETALL', key('job', id))
	if #flat == 0 then
		return nil
	end
	job = pairs_to_table(flat)
	for _, name in ipairs(NUMBERS) do
		job[name] = tonumber(job[name] or 0)
	end
	remember(job)
	rows.found[id] = job
	return job
end

-- Who is to be woken: the owner of a row with news, and everybody when a row has become nobody's.
local function note_news(job, was)
	if job.owner and job.owner ~= me.owner and job.news ~= 0 and (not was or was.news ~= job.news) then
		rows.told[job.owner] = true
	end
	if not job.owner and is_live(job) and (not was or was.owner or not is_live(was)) then
		rows.orphans = true
	end
end

function rows.save(job)
	local was = job.was
	local set, gone = {}, {}
	for _, name in ipairs(TEXTS) do
		if job[name] == nil and was and was[name] ~= nil then
			gone[#gone + 1] = name
		elseif job[name] ~= nil and (not was or was[name] ~= job[name]) then
			set[#set + 1] = name
			set[#set + 1] = job[name]
		end
	end
	for _, name in ipairs(NUMBERS) do
		if not was or was[name] ~= job[name] then
			set[#set + 1] = name
			set[#set + 1] = number_text(job[name])
		end
	end
	if #set > 0 then
		command('HSET', key('job', job.id), unpack(set))
	end
	if #gone > 0 then
		command('HDEL', key('job', job.id), unpack(gone))
	end
	move_places(was and places(was) or {}, places(job))
	note_news(job, was)
	remember(job)
	rows.found[job.id] = job
end

function rows.forget(job)
	for name, at in pairs(places(job.was)) do
		command('ZREM', name, at[2])
	end
	command('DEL', key('job', job.id), key('whole', job.id), key('attempts', job.id))
	rows.found[job.id] = nil
end

function rows.next_seq()
	return command('INCR', key('seq'))
end

function rows.write_body(job, body)
	if body then
		command('HSET', key('whole', job.id), 'body', body)
	end
end

-- -- attempts --------------------------------------------------------------------------------------

local function attempt_field(job)
	return string.format('%010.0f/%010.0f', job.attempt, job.step)
end

local function write_attempt(job, ended_ms, reason, exit_code)
	command('HSET', key('attempts', job.id), attempt_field(job), cmsgpack.pack({
		number = job.attempt, step = job.step, handle = job.handle, intended_ms = job.intended_ms,
		started_ms = job.started_ms, ended_ms = ended_ms, reason = reason, exit_code = exit_code,
	}))
end

-- It becomes the current one; the same number and step replaces.
function rows.begin_attempt(job, request)
	write_attempt(job, 0, nil, NO_EXIT_CODE)
	if request then
		command('HSET', key('whole', job.id), 'request', request)
	else
		command('HDEL', key('whole', job.id), 'request')
	end
end

function rows.start_attempt(job)
	local packed = command('HGET', key('attempts', job.id), attempt_field(job))
	local old = packed and cmsgpack.unpack(packed)
	if old then
		write_attempt(job, old.ended_ms, old.reason, old.exit_code)
	end
end

function rows.end_attempt(job, reason, exit_code)
	write_attempt(job, now_ms, reason, exit_code)
	command('HDEL', key('whole', job.id), 'request')
end

-- -- who is next -----------------------------------------------------------------------------------

local function first_id(name)
	return command('ZRANGE', name, 0, 0)[1]
end

-- The first of a key at WAIT_LOCK, by rank, then seq.
function rows.next_waiter(lock_key)
	local member = first_id(key('waiters', lock_key))
	return member and rows.find(id_of_place(member))
end

-- The earliest unfinished job of a group.
function rows.group_head(queue, group)
	local id = queue and group and first_id(key('group', queue, group))
	return id and rows.find(id) or nil
end

-- The earliest job of deployer and key that waits.
function rows.any_waiting(lock_key, deployer)
	local id = first_id(key('waiting', lock_key, deployer))
	return id and rows.find(id)
end

-- The first at WAIT_DELAY whose delay is over.
function rows.next_due()
	local member = command('ZRANGEBYSCORE', key('delayed'), '-inf', now_ms, 'LIMIT', 0, 1)[1]
	return member and rows.find(id_of_place(member))
end

local function lowest_score(name)
	return tonumber(command('ZRANGE', name, 0, 0, 'WITHSCORES')[2] or 0)
end

-- -- locks -----------------------------------------------------------------------------------------

function rows.read_lock(lock_key)
	local held = command('HMGET', key('lock', lock_key), 'holder', 'grant', 'since_ms')
	return { holder = held[1] or nil, grant = tonumber(held[2] or 0), since_ms = tonumber(held[3] or 0) }
end

-- A key stays for ever, so that its grants never repeat.
function rows.write_lock(lock_key, held)
	local name = key('lock', lock_key)
	command('HSET', name, 'grant', held.grant, 'since_ms', held.since_ms)
	if held.holder then
		command('HSET', name, 'holder', held.holder)
		command('ZADD', key('held'), 0, lock_key)
	else
		command('HDEL', name, 'holder')
		command('ZREM', key('held'), lock_key)
	end
end

-- -- owners ----------------------------------------------------------------------------------------

function rows.lease_end(owner)
	return tonumber(command('ZSCORE', key('owners'), owner) or nil)
end

function rows.write_owner(owner, until_ms)
	command('ZADD', key('owners'), until_ms, owner)
	if me.place ~= '' then
		command('ZADD', key('places'), until_ms, me.place)
		rows.alive[me.place] = nil
	end
end

-- An attempt's host names the attempt, too: workers of the version before, which know of no hosts, leave an earlier
-- attempt's in the row.
function rows.bind(job, place)
	return string.format('%s/%.0f/%.0f', place, job.attempt, job.step)
end

-- The host that the present attempt is bound to, from the fields of a row; nil: none.
function rows.bound_to(bound, attempt, step)
	return bound and attempt and step and string.match(bound, '^(.*)/' .. attempt .. '/' .. step .. '$')
end

-- Asked about many jobs of the same few hosts.
function rows.is_place_alive(place)
	if rows.alive[place] == nil then
		rows.alive[place] = (tonumber(command('ZSCORE', key('places'), place) or 0)) > lease_now_ms
	end
	return rows.alive[place]
end

function rows.forget_places()
	command('ZREMRANGEBYSCORE', key('places'), '-inf', lease_now_ms)
end

local RELEASE_STEP = 1000

-- Takes the owner off all its live jobs and off the deliveries it had claimed, and forgets it.  They may be ten
-- thousand, and the server stands still for it: so the indexes are moved as a whole, and no row is read.
function rows.release(owner)
	local owned, unowned, news = key('owned', owner), key('unowned'), key('news', owner)
	local ids = command('ZRANGE', owned, 0, -1)
	for i, id in ipairs(ids) do
		local job = rows.found[id]
		command('HDEL', key('job', id), 'owner')
		if job then
			job.owner, job.was.owner = nil, nil
		end
		if i % RELEASE_STEP == 1 then
			command('ZREM', news, unpack(ids, i, math.min(i + RELEASE_STEP - 1, #ids)))
		end
	end
	if #ids > 0 then
		command('ZUNIONSTORE', unowned, 2, unowned, owned, 'AGGREGATE', 'MAX')
		command('DEL', owned)
		rows.orphans = true
	end
	rows.end_claims(owner)
	command('ZREM', key('owners'), owner)
	return #ids
end

-- -- crashes ---------------------------------------------------------------------------------------

-- A second one of the same key and owner is no other.
function rows.add_crash(name, owner)
	if command('HSETNX', key('crash', name), owner, now_ms) == 1 then
		command('ZADD', key('crashes'), now_ms, cmsgpack.pack({ name, owner }))
	end
end

function rows.forget_crashes_of(name)
	for _, owner in ipairs(command('HKEYS', key('crash', name))) do
		command('ZREM', key('crashes'), cmsgpack.pack({ name, owner }))
	end
	command('DEL', key('crash', name))
end

function rows.forget_old_crashes(older_than_ms)
	for _, packed in ipairs(command('ZRANGEBYSCORE', key('crashes'), '-inf', '(' .. number_text(older_than_ms))) do
		local crash = cmsgpack.unpack(packed)
		command('HDEL', key('crash', crash[1]), crash[2])
		command('ZREM', key('crashes'), packed)
	end
end

-- -- what is told ----------------------------------------------------------------------------------

local out       -- what the call that is carried out answers; see run.lua

local function refuse(kind, text, code)
	out.err = { kind, text, code }
end

local function add_to(name, value)
	out[name] = out[name] or {}
	table.insert(out[name], value)
end

local function add_grant(job)
	add_to('grants', { job.id, job.owner or false })
end

-- A row as a flat list of names and values, with body and request if it is wanted whole.
local function describe(job, whole)
	local flat = {}
	local function add(name, value)
		if value ~= nil then
			flat[#flat + 1] = name
			flat[#flat + 1] = value
		end
	end
	for _, name in ipairs(TEXTS) do
		add(name, job[name])
	end
	for _, name in ipairs(NUMBERS) do
		add(name, number_text(job[name]))
	end
	if whole then
		local body = command('HMGET', key('whole', job.id), 'body', 'request')
		add('body', body[1] or nil)
		add('request', body[2] or nil)
	end
	return flat
end

-- SPDX-License-Identifier: Apache-2.0
-- rules_owner.lua - who may act on a job: leases, adoption, giving up, and the sweep.

local owner = {}

local function write_lease()
	rows.write_owner(me.owner, lease_now_ms + me.lease_ms)
end

-- False when the registration is gone and the caller does not know it yet.
local function check_registration()
	if me.registered and not rows.lease_end(me.owner) then
		refuse('lost', 'store: the lease of ' .. me.owner .. ' had ended and its jobs were given to others')
		return false
	end
	return true
end

function rules.renew()
	if check_registration() then
		write_lease()
	end
end

-- Registers on first use.
function owner.be_registered()
	if not check_registration() then
		return false
	end
	if not me.registered then
		write_lease()
	end
	return true
end

function owner.is_dead(id)
	local until_ms = rows.lease_end(id)
	return not until_ms or until_ms <= lease_now_ms
end

-- Releases the jobs of owners whose lease has ended.
local function reap()
	for _, id in ipairs(command('ZRANGEBYSCORE', key('owners'), '-inf', lease_now_ms)) do
		if id ~= me.owner then
			rows.release(id)
		end
	end
	rows.forget_places()
end

local IN_PLACE = { launching = true, running = true, cancelling = true }

-- What became of an attempt that is bound to another host can be told only there: it is given up when nobody of that
-- host is here any more and its timeout is over, or somebody has asked for its end.
local function may_take(id)
	local bound = command('HMGET', key('job', id), 'place', 'state', 'started_ms', 'intended_ms', 'timeout_ms', 'attempt',
		'step')
	local place, state = rows.bound_to(bound[1], bound[6], bound[7]), bound[2]
	local started_ms, intended_ms, timeout_ms = tonumber(bound[3] or 0), tonumber(bound[4] or 0), tonumber(bound[5] or 0)
	if not place or place == me.place or not IN_PLACE[state] then
		return true
	end
	if rows.is_place_alive(place) then
		return false
	end
	return state == 'cancelling' or
		(timeout_ms > 0 and (started_ms > 0 and started_ms or intended_ms) + timeout_ms <= now_ms)
end

-- The first that nobody owns, but for those that wait for their host.
local function find_free(most)
	local found, from = {}, 0
	while #found < most do
		local ids = command('ZRANGE', key('unowned'), from, from + most - 1)
		for _, id in ipairs(ids) do
			if #found < most and may_take(id) then
				found[#found + 1] = rows.find(id)
			end
		end
		from = from + most
		if #ids < most then
			break
		end
	end
	return found
end

function rules.adopt(call)
	if not owner.be_registered() then
		return
	end
	reap()
	for _, job in ipairs(find_free(tonumber(call.max))) do
		job.owner = me.owner
		job.fence = job.fence + 1
		job.news = 0
		rows.save(job)
		add_to('jobs', describe(job, true))
	end
end

function rules.disown(call)
	out.went = rows.release(call.owner)
end

function rules.sweep()
	local more = turn.pass_delays(LIMIT_SWEEP_JOBS)
	local ids = command('ZRANGE', key('news', me.owner), 0, LIMIT_SWEEP_JOBS - 1)
	for _, id in ipairs(ids) do
		local job = rows.find(id)
		job.news = 0
		rows.save(job)
		add_to('jobs', describe(job, true))
	end
	out.next_due_ms = (more or #ids == LIMIT_SWEEP_JOBS) and now_ms or lowest_score(key('delayed'))
end

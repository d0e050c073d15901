-- SPDX-License-Identifier: Apache-2.0
-- rules_import.lua - a job that another store has kept to its end.

-- Grants go on behind those that the other store has given.  A key that is held has its holder's.
local function raise_grant(job)
	local held = rows.read_lock(job.lock_key)
	if not held.holder and held.grant < job.grant then
		held.grant = job.grant
		rows.write_lock(job.lock_key, held)
	end
end

local function write_past(job, past)
	job.attempt, job.step = tonumber(past.attempt), tonumber(past.step)
	job.handle = past.handle
	job.intended_ms, job.started_ms = tonumber(past.intended_ms), tonumber(past.started_ms)
	write_attempt(job, tonumber(past.ended_ms), past.reason, tonumber(past.exit_code))
end

local function import_new(given, call)
	local job = row_of(given)
	for _, name in ipairs({ 'state', 'cancelled_by', 'cancel_reason', 'token' }) do
		job[name] = given[name]
	end
	for _, name in ipairs({ 'accepted_ms', 'finished_ms', 'failures', 'losses', 'fence', 'grant', 'timeout_ms' }) do
		job[name] = tonumber(given[name])
	end
	job.seq = rows.next_seq()
	job.rank = job.seq
	for i = 2, #call.given do
		write_past(job, call.given[i])
	end
	rows.save(job)
	rows.write_body(job, given.body)
	if job.policy ~= 'parallel' and job.lock_key ~= '' and job.grant > 0 then
		raise_grant(job)
	end
	return job
end

function rules.import(call)
	local given = call.given[1]
	if not is_final(given) or given.settled ~= '1' then
		refuse('invalid', 'store: job ' .. given.id .. ' is not at its end, and cannot be moved')
		return
	end
	local job = rows.find(given.id)
	if job then
		out.answer = { 'refused', job.id, job.owner or false, job.state }
	else
		job = import_new(given, call)
		out.answer = { 'done', job.id, false, job.state }
	end
end

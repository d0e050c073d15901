-- SPDX-License-Identifier: Apache-2.0
-- rules.lua - a job's own moves, its end, its message, and crashes.

local rules = {}

-- As job_state.c has them.
local ENDS = { succeeded = true, failed = true, cancelled = true }
local ANEW = { queued = true, waiting = true }
local MOVES = {
	queued = { waiting = true, launching = true, failed = true, cancelled = true, superseded = true },
	waiting = { queued = true, failed = true, cancelled = true, superseded = true },
	launching = { queued = true, running = true, cancelling = true, succeeded = true, failed = true, cancelled = true },
	running = { queued = true, cancelling = true, succeeded = true, failed = true, cancelled = true },
	cancelling = ENDS, succeeded = ANEW, failed = ANEW, cancelled = ANEW, superseded = ANEW,
}

-- The row of a write: the job must be ours under this fence.
local function find_ours(given)
	local job = rows.find(given.id)
	if not job then
		refuse('lost', 'store: there is no job ' .. given.id)
		return nil
	end
	if job.owner == me.owner and job.fence == tonumber(given.fence) then
		return job
	end
	refuse('lost', 'store: job ' .. given.id .. ' now belongs to ' .. (job.owner or 'nobody'))
	return nil
end

-- A step may be repeated, as its caller may not know that it was done.
local function may_move(job, to)
	if job.state == to or MOVES[job.state][to] then
		return true
	end
	refuse('invalid', 'store: job ' .. job.id .. ' is ' .. job.state .. ' and cannot become ' .. to)
	return false
end

function rules.intend(call)
	local given = call.given[1]
	local job = find_ours(given)
	if not job or not may_move(job, 'launching') then
		return
	end
	local next_step = job.attempt ~= tonumber(given.attempt) or job.step ~= tonumber(given.step)
	if job.state == 'launching' and next_step then
		rows.end_attempt(job, nil, NO_EXIT_CODE)
	end
	job.state = 'launching'
	job.news = bit.band(job.news, bit.bnot(NEWS_READY))
	clear_wait(job)
	job.attempt = tonumber(given.attempt)
	job.step = tonumber(given.step)
	job.token = given.token
	job.handle = given.handle
	job.intended_ms = tonumber(given.intended_ms)
	job.started_ms = tonumber(given.started_ms)
	job.timeout_ms = tonumber(given.timeout_ms)
	job.place = given.bound == '1' and me.place ~= '' and rows.bind(job, me.place) or nil
	rows.save(job)
	rows.begin_attempt(job, given.request)
end

function rules.started(call)
	local given = call.given[1]
	local job = find_ours(given)
	-- A job that is being cancelled may learn only now what there is to stop.
	if not job or (job.state ~= 'cancelling' and not may_move(job, 'running')) then
		return
	end
	job.started_ms = tonumber(given.started_ms)
	job.handle = given.handle
	if job.state == 'launching' then
		job.state = 'running'
		clear_wait(job)
	end
	rows.save(job)
	rows.start_attempt(job)
end

function rules.retry(call)
	local given = call.given[1]
	local job = find_ours(given)
	if not job then
		return
	end
	if job.state == 'waiting' or is_final(job) then
		refuse('invalid', 'store: job ' .. job.id .. ' is ' .. job.state .. ' and has no attempt to repeat')
		return
	end
	if not may_move(job, 'queued') then
		return
	end
	if job.state ~= 'queued' then
		rows.end_attempt(job, given.reason, tonumber(given.exit_code))
	end
	job.state = 'queued'
	job.not_before_ms = tonumber(given.not_before_ms)
	job.failures = tonumber(given.failures)
	job.losses = tonumber(given.losses)
	clear_wait(job)
	rows.save(job)
end

function rules.note_wait(call)
	local given = call.given[1]
	local job = find_ours(given)
	if not job then
		return
	end
	if is_final(job) then
		refuse('invalid', 'store: job ' .. job.id .. ' is ' .. job.state .. ' and waits for nothing')
		return
	end
	job.waits_for = given.waits_for
	job.next_try_ms = tonumber(given.next_try_ms)
	rows.save(job)
end

-- What is written of every end.
local function end_row(job, state)
	job.state = state
	job.wait = WAIT_NONE
	job.finished_ms = now_ms
	clear_wait(job)
	rows.save(job)
end

-- What others have ended: somebody still has to tell of it, so it is not settled until its owner says so.
local function end_for_others(job, state)
	job.settled = 0
	end_row(job, state)
end

function rules.finish(call)
	local job = find_ours(call.given[1])
	if not job then
		return
	end
	if is_final(job) or not may_move(job, call.state) then
		refuse('invalid', 'store: job ' .. job.id .. ' is ' .. job.state .. ' and cannot become ' .. call.state)
		return
	end
	-- Of a queued job the last one has ended, and how is known.
	if job.state ~= 'queued' and job.state ~= 'waiting' then
		rows.end_attempt(job, call.reason or call.state, tonumber(call.exit_code))
	end
	job.exit_code = tonumber(call.exit_code)
	job.reason = call.reason
	job.detail = call.detail
	job.news = 0
	end_row(job, call.state)
	turn.pass_on(job)
end

local function note_message(job, note)
	-- What another worker received after us is newer than what we know, until a sweep tells us.
	if tonumber(note.received_ms) >= job.received_ms then
		job.receipt = note.receipt
		job.hidden_until_ms = tonumber(note.hidden_until_ms)
		job.received_ms = tonumber(note.received_ms)
		job.deliveries = tonumber(note.deliveries)
	end
	if note.settled == '1' then
		job.settled = 1
	end
	if job.settled == 1 then
		job.receipt = nil
	end
	rows.save(job)
end

-- Each job stands for itself: what is not ours any more is left out and reported as lost.
function rules.note(call)
	for _, given in ipairs(call.given) do
		local job = find_ours(given)
		if job then
			note_message(job, given)
		end
	end
end

-- Older ones are forgotten here, as the table is nearly always empty and nobody else comes by.
function rules.note_crash(call)
	rows.forget_old_crashes(now_ms - CRASHES_KEPT_MS)
	rows.add_crash(call.name, call.owner)
end

-- SPDX-License-Identifier: Apache-2.0
-- rules_asked.lua - what people ask for: the end of a job, a new attempt of one, a key; and news from
-- elsewhere for a job's owner.
--
-- The asker owns nothing, so no fence is named here: all it does to a job that may have been launched is
-- to write down what is wanted and leave the rest to the owner.

local function answer(verdict, job)
	out.answer = { verdict, job and job.id or false, job and job.owner or false, job and job.state or false }
end

local function said_by(what, by)
	return what .. ' by ' .. string.sub(by, 1, LIMIT_DETAIL_BYTES - 64)
end

-- Nothing of it was launched that has not ended: it ends here.
local function end_at_once(job, reason, by)
	job.cancelled_by = by
	job.cancel_reason = reason
	-- Its owner, or who adopts it, still has to tell of it and to settle the message.
	job.news = bit.bor(job.news, NEWS_CANCEL)
	job.exit_code = NO_EXIT_CODE
	job.reason = reason
	job.detail = said_by(reason, by)
	end_for_others(job, 'cancelled')
	answer('done', job)
	turn.pass_on(job)
end

-- Repeated, it is told again: who asked first stays in the record.
local function ask_owner(job, reason, by)
	if job.state ~= 'cancelling' then
		job.cancelled_by = by
		job.cancel_reason = reason
		job.state = 'cancelling'
		clear_wait(job)
	end
	job.news = bit.bor(job.news, NEWS_CANCEL)
	rows.save(job)
	if job.owner and job.owner ~= me.owner then
		rows.told[job.owner] = true
	end
	answer('begun', job)
end

local function cancel_row(job, reason, by)
	if is_final(job) then
		answer('refused', job)
	elseif job.state == 'queued' or job.state == 'waiting' then
		end_at_once(job, reason, by)
	else
		ask_owner(job, reason, by)
	end
end

function rules.cancel(call)
	local job = rows.find(call.name)
	if job then
		cancel_row(job, 'cancelled', call.by)
	else
		answer('unknown')
	end
end

function rules.unlock(call)
	local held = rows.read_lock(call.name)
	if not held.holder then
		answer(held.grant > 0 and 'done' or 'unknown')
		return
	end
	local holder = rows.find(held.holder)
	if holder and not is_final(holder) and holder.grant == held.grant then
		cancel_row(holder, 'unlocked', call.by)
		return
	end
	-- Who held it is missing, or has ended, or holds it no more by its own record.
	held.holder = nil
	rows.write_lock(call.name, held)
	answer('done', holder)
	turn.grant_key(call.name)
end

-- What came with the job and its attempts stay; what became of it is forgotten.
local function forget_result(job, by)
	job.cancelled_by = nil
	job.cancel_reason = nil
	job.owner = nil
	job.reason = nil
	job.detail = said_by('retried', by)
	clear_wait(job)
	job.exit_code = NO_EXIT_CODE
	job.failures = 0
	job.losses = 0
	job.not_before_ms = 0
	job.grant = 0
	job.accepted_ms = now_ms
	job.finished_ms = 0
	job.news = 0
end

function rules.retry_finished(call)
	local job = rows.find(call.name)
	if not job then
		answer('unknown')
		return
	end
	-- A message that is not gone yet would bring the end back.  Without one, only the word of the end is left to do.
	if not is_final(job) or (job.settled == 0 and job.message_id) then
		answer('refused', job)
		return
	end
	-- The policy reject would end it at once: then it rather stays as it is, and the asker is told why.
	local holder = job.policy == 'reject' and rows.read_lock(job.lock_key).holder
	if holder then
		refuse('refused', 'store: job ' .. job.id .. ' does not wait for the lock "' .. job.lock_key ..
			'", which is held by job ' .. holder, 'conflict')
		return
	end
	turn.pass_delays(LIMIT_SWEEP_JOBS)
	-- A job that crashed workers is believed to be mended now.
	rows.forget_crashes_of(job.id)
	forget_result(job, call.by)
	admit.accept(job)
	answer('done', job)
end

-- The caller, if the job is its own, heard of it by itself; who adopts it looks anyhow.
function rules.tell_owner(call)
	local job = rows.find(call.name)
	if not job then
		answer('unknown')
		return
	end
	local runs = job.state == 'running' or job.state == 'cancelling'
	if not runs or not job.owner or job.owner == me.owner then
		answer('done', job)
		return
	end
	job.news = bit.bor(job.news, NEWS_TOLD)
	rows.save(job)
	answer('begun', job)
end

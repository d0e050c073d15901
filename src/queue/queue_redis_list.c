/* SPDX-License-Identifier: Apache-2.0 */
/* queue_redis_list.c - a list as a queue: what runs in the server, each script all or nothing to everybody else.
 *
 * KEYS: list, taking, held, workers, sequence, dead.  ARGV[1] is the end that is popped; producers push at the
 * other one.  An entry of held is "OWNER DELIVERIES ITEM" under its id, "SEQUENCE-NONCE": the sequence keeps
 * the order, the nonce makes it unlike any before even when the server has lost its memory.
 *
 * A script that fails goes no further, and what it has done stays done.  So an item is written to its new place
 * before it is removed from its old one, and the first word of each is a write, which a server that is full
 * or read-only refuses before anything has moved. */
#include <stdio.h>

#include "base/mem.h"
#include "queue/queue_redis.h"

#define ENDS \
	"local right = ARGV[1] == 'right'\n" \
	"local pop, unpop = 'LPOP', 'LPUSH'\n" \
	"local push, first = 'RPUSH', 0\n" \
	"if right then pop, unpop, push, first = 'RPOP', 'RPUSH', 'LPUSH', -1 end\n"

#define PARTS \
	"local function parts(entry)\n" \
	"  return string.match(entry, '^(%S+) (%d+) (.*)$')\n" \
	"end\n"

/* ARGV: end, owner, former name or "", how many, nonce, silence in ms, limit of an item, limit of the answer.
 * Answers how many were too long, then id, deliveries and item of each. */
static const char take_script[] = ENDS PARTS
	"local owner, room, nonce = ARGV[2], tonumber(ARGV[4]), ARGV[5]\n"
	"local silence, longest, left = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])\n"
	"local time = redis.call('TIME')\n"
	"local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
	"redis.call('HSET', KEYS[4], owner, string.format('%.0f', now))\n"
	"if ARGV[3] ~= '' then redis.call('HSET', KEYS[4], ARGV[3], '0') end\n"
	"local out, toolong = { 0 }, 0\n"
	"local function give(id, deliveries, item)\n"
	"  redis.call('HSET', KEYS[3], id, owner .. ' ' .. deliveries .. ' ' .. item)\n"
	"  out[#out + 1] = id\n"
	"  out[#out + 1] = tostring(deliveries)\n"
	"  out[#out + 1] = item\n"
	"  room, left = room - 1, left - #item\n"
	"end\n"
	"local silent, any = {}, false\n"
	"local workers = redis.call('HGETALL', KEYS[4])\n"
	"for i = 1, #workers, 2 do\n"
	"  if math.abs(now - tonumber(workers[i + 1])) > silence then\n"
	"    silent[workers[i]] = true\n"
	"    any = true\n"
	"  end\n"
	"end\n"
	"if any and room > 0 then\n"
	"  local orphans, held = {}, redis.call('HGETALL', KEYS[3])\n"
	"  for i = 1, #held, 2 do\n"
	"    local whose, deliveries, item = parts(held[i + 1])\n"
	"    if silent[whose] then orphans[#orphans + 1] = { held[i], whose, deliveries + 1, item } end\n"
	"  end\n"
	"  table.sort(orphans, function(a, b) return a[1] < b[1] end)\n"
	"  for _, orphan in ipairs(orphans) do\n"
	"    if room > 0 and left > 0 then\n"
	"      give(orphan[1], orphan[3], orphan[4])\n"
	"    else\n"
	"      silent[orphan[2]] = nil\n"
	"    end\n"
	"  end\n"
	"  for whose in pairs(silent) do redis.call('HDEL', KEYS[4], whose) end\n"
	"end\n"
	"for _, key in ipairs({ KEYS[2], KEYS[1] }) do\n"
	"  while room > 0 and left > 0 do\n"
	"    local item = redis.call('LINDEX', key, first)\n"
	"    if not item then break end\n"
	"    if #item > longest then\n"
	"      redis.call(push, KEYS[6], item)\n"
	"      toolong, left = toolong + 1, left - #item\n"
	"    else\n"
	"      give(string.format('%016.0f-%s', redis.call('INCR', KEYS[5]), nonce), 1, item)\n"
	"    end\n"
	"    redis.call(pop, key)\n"
	"  end\n"
	"end\n"
	"out[1] = toolong\n"
	"return out\n";

/* What was being taken goes back to where it came from, the newest of it first. */
static const char untake_script[] = ENDS
	"local count = 0\n"
	"while redis.call('LMOVE', KEYS[2], KEYS[1], right and 'LEFT' or 'RIGHT', right and 'RIGHT' or 'LEFT') do\n"
	"  count = count + 1\n"
	"end\n"
	"return count\n";

/* ARGV: end, then verdict and id of each.  Answers 1 for each that was held, 0 for the others.  Those that go
 * back stand in front of all others again, in their old order. */
static const char settle_script[] = ENDS PARTS
	"local out, back = {}, {}\n"
	"for i = 2, #ARGV, 2 do\n"
	"  local entry = redis.call('HGET', KEYS[3], ARGV[i + 1])\n"
	"  out[#out + 1] = entry and 1 or 0\n"
	"  if entry and ARGV[i] == 'return' then\n"
	"    back[#back + 1] = { ARGV[i + 1], entry }\n"
	"  elseif entry then\n"
	"    local _, _, item = parts(entry)\n"
	"    if ARGV[i] == 'dead' then redis.call(push, KEYS[6], item) end\n"
	"    redis.call('HDEL', KEYS[3], ARGV[i + 1])\n"
	"  end\n"
	"end\n"
	"table.sort(back, function(a, b) return a[1] > b[1] end)\n"
	"for _, one in ipairs(back) do\n"
	"  local _, _, item = parts(one[2])\n"
	"  redis.call(unpop, KEYS[1], item)\n"
	"  redis.call('HDEL', KEYS[3], one[1])\n"
	"end\n"
	"return out\n";

/* Also the probe: LMOVE is the newest command in use, and without its source it does nothing. */
static const char measure_script[] =
	"redis.call('LMOVE', KEYS[1] .. ':gantry:nothing', KEYS[2], 'LEFT', 'RIGHT')\n"
	"return { redis.call('LLEN', KEYS[1]) + redis.call('LLEN', KEYS[2]), redis.call('HLEN', KEYS[3]),\n"
	"         redis.call('LLEN', KEYS[6]) }\n";

/* ARGV: end, how many, limit of an item, limit of the answer. */
static const char peek_script[] = ENDS
	"local out, room, left = {}, tonumber(ARGV[2]), tonumber(ARGV[4])\n"
	"for _, key in ipairs({ KEYS[2], KEYS[1] }) do\n"
	"  local at = 0\n"
	"  while #out < room and left > 0 do\n"
	"    local item = redis.call('LINDEX', key, right and -1 - at or at)\n"
	"    if not item then break end\n"
	"    out[#out + 1] = string.sub(item, 1, tonumber(ARGV[3]))\n"
	"    left, at = left - #item, at + 1\n"
	"  end\n"
	"end\n"
	"return out\n";

/* ARGV: end, how many.  They queue up anew, in their old order.  Answers how many moved and how many are left. */
static const char redrive_script[] = ENDS
	"local moved = 0\n"
	"while moved < tonumber(ARGV[2]) do\n"
	"  if not redis.call('LMOVE', KEYS[6], KEYS[1], right and 'RIGHT' or 'LEFT', right and 'LEFT' or 'RIGHT') then\n"
	"    break\n"
	"  end\n"
	"  moved = moved + 1\n"
	"end\n"
	"return { moved, redis.call('LLEN', KEYS[6]) }\n";

static char *first_argument(const struct conf_queue *conf)
{
	return xstrdup(conf->pop == CONF_POP_LEFT ? "left" : "right");
}

static void listen_for_next(struct queue_redis *queue, redis_done_fn *done, void *arg)
{
	bool left = queue->face.conf->pop == CONF_POP_LEFT;
	char wait[16];
	const char *argv[] = { "BLMOVE", queue->keys[REDIS_KEY_LIST], queue->keys[REDIS_KEY_TAKING],
		left ? "LEFT" : "RIGHT", left ? "RIGHT" : "LEFT", wait };

	snprintf(wait, sizeof(wait), "%d", REDIS_BLOCK_S);
	redis_command(queue->ear, sizeof(argv) / sizeof(*argv), argv, NULL, done, arg);
}

static char *key_of(const struct conf_queue *conf, enum redis_key key)
{
	static const char *const tails[REDIS_KEYS] = {
		[REDIS_KEY_LIST] = "",                      [REDIS_KEY_TAKING] = ":gantry:taking",
		[REDIS_KEY_HELD] = ":gantry:held",          [REDIS_KEY_WORKERS] = ":gantry:workers",
		[REDIS_KEY_SEQUENCE] = ":gantry:sequence",  [REDIS_KEY_DEAD] = ":dead",
	};

	return xasprintf("%s%s", conf->list, tails[key]);
}

const struct redis_kind redis_list_kind = {
	.take = take_script, .untake = untake_script, .settle = settle_script, .measure = measure_script,
	.peek = peek_script, .redrive = redrive_script,
	.first_argument = first_argument,
	.key_of = key_of,
	.listen = listen_for_next,
};

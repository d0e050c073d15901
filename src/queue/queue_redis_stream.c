/* SPDX-License-Identifier: Apache-2.0 */
/* queue_redis_stream.c - a Redis stream and a consumer group of it as a queue (redis.io/docs/data-types/streams).
 *
 * An entry has an identity, its id, and the group remembers who holds it.  So nothing is copied: taking is
 * XREADGROUP, giving back is XCLAIM for a consumer called RETURNED that nobody is, and the end is XACK.
 *
 * The group's own measure of a dead consumer, how long an entry was not touched, would take a long deployment away
 * from whoever waits for it, or cost a call for each.  As with lists, processes say that they live, and what
 * a silent one holds is claimed, in the order of the ids.  What the waiting connection was given (consumer
 * OWNER:ear) has not been seen by anybody and is the first to be taken.
 *
 * Nobody who waits for new entries hears of those that are given back.  So all wait on a second stream, too,
 * which is ours alone: an entry of it says nothing but that there is something to take. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_redis.h"

/* ARGV[1] is "GROUP keep FIELD" or "GROUP delete FIELD".  A group that is not there yet begins with the stream's first
 * entry; so does one whose server has lost its memory. */
#define GROUP \
	"local stream, wake, workers, dead = KEYS[1], KEYS[2], KEYS[4], KEYS[6]\n" \
	"local group, after, field = string.match(ARGV[1], '^(%S+) (%S+) (.*)$')\n" \
	"local returned = 'gantry:returned'\n" \
	"local function pending(consumer, count)\n" \
	"  return redis.call('XPENDING', stream, group, '-', '+', count, consumer)\n" \
	"end\n" \
	"local function be_there()\n" \
	"  for _, key in ipairs({ stream, wake }) do\n" \
	"    local made = redis.pcall('XGROUP', 'CREATE', key, group, '0', 'MKSTREAM')\n" \
	"    if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end\n" \
	"  end\n" \
	"end\n"

/* One who waits, or will, is enough: who cannot take all of it wakes the next. */
#define ROUSE \
	"local function rouse()\n" \
	"  if #pending(returned, 1) > 0 then redis.call('XADD', wake, 'MAXLEN', '1', '*', 'some', 'returned') end\n" \
	"end\n"

#define FIELDS \
	"local function fields_of(id)\n" \
	"  local found = redis.call('XRANGE', stream, id, id)[1]\n" \
	"  return found and found[2]\n" \
	"end\n" \
	"local function body_of(fields)\n" \
	"  local all = {}\n" \
	"  for i = 1, #fields, 2 do\n" \
	"    if fields[i] == field then return fields[i + 1] end\n" \
	"    all[fields[i]] = fields[i + 1]\n" \
	"  end\n" \
	"  return cjson.encode(all)\n" \
	"end\n"

/* Lua unpacks no more than some 8000 values; an entry with more of them is buried as its body alone. */
#define ENDING \
	"local function forget(id)\n" \
	"  redis.call('XACK', stream, group, id)\n" \
	"  if after == 'delete' then redis.call('XDEL', stream, id) end\n" \
	"end\n" \
	"local function bury(id)\n" \
	"  local fields = fields_of(id)\n" \
	"  if fields and #fields > 4000 then fields = { field, body_of(fields) } end\n" \
	"  if fields then redis.call('XADD', dead, '*', unpack(fields)) end\n" \
	"  forget(id)\n" \
	"end\n"

/* As the one of lists, but that what is taken over is counted as delivered again by XCLAIM; what was only heard
 * of or given back has been delivered once before it comes here. */
static const char take_script[] = GROUP ROUSE FIELDS ENDING
	"local failure = be_there()\n"
	"if failure then return failure end\n"
	"local owner, room = ARGV[2], tonumber(ARGV[4])\n"
	"local silence, longest, left = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])\n"
	"local time = redis.call('TIME')\n"
	"local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
	"redis.call('HSET', workers, owner, string.format('%.0f', now))\n"
	"if ARGV[3] ~= '' then redis.call('HSET', workers, ARGV[3], '0') end\n"
	/* An ear goes on waiting under a name that was given up, and may be given an entry when nobody knows it any more. */
	"for _, one in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do\n"
	"  local whose = string.match(one[2], '^(.*):ear$')\n"
	"  if whose and one[4] > 0 then redis.call('HSETNX', workers, whose, string.format('%.0f', now)) end\n"
	"end\n"
	"local out, toolong, waiting, silent = { 0 }, 0, {}, {}\n"
	"local function give(id, deliveries, fields)\n"
	"  local body = fields and body_of(fields)\n"
	"  if not body then\n"
	"    forget(id)\n"
	"  elseif #body > longest then\n"
	"    bury(id)\n"
	"    toolong, left = toolong + 1, left - #body\n"
	"  else\n"
	"    out[#out + 1] = id\n"
	"    out[#out + 1] = tostring(deliveries)\n"
	"    out[#out + 1] = body\n"
	"    room, left = room - 1, left - #body\n"
	"  end\n"
	"end\n"
	"local function gather(consumer, justid)\n"
	"  for _, one in ipairs(pending(consumer, room)) do\n"
	"    local ms, seq = string.match(one[1], '^(%d+)-(%d+)$')\n"
	"    waiting[#waiting + 1] = { tonumber(ms), tonumber(seq), one[1], one[4], justid }\n"
	"  end\n"
	"end\n"
	"local beats = redis.call('HGETALL', workers)\n"
	"for i = 1, #beats, 2 do\n"
	"  if math.abs(now - tonumber(beats[i + 1])) > silence then silent[#silent + 1] = beats[i] end\n"
	"end\n"
	"if room > 0 then\n"
	"  gather(owner .. ':ear', true)\n"
	"  gather(returned, false)\n"
	"  for _, whose in ipairs(silent) do\n"
	"    gather(whose, false)\n"
	"    gather(whose .. ':ear', true)\n"
	"  end\n"
	"end\n"
	"table.sort(waiting, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)\n"
	"for _, one in ipairs(waiting) do\n"
	"  if room <= 0 or left <= 0 then break end\n"
	"  local fields = fields_of(one[3])\n"
	"  if fields and one[5] then\n"
	"    redis.call('XCLAIM', stream, group, owner, '0', one[3], 'JUSTID')\n"
	"  elseif fields then\n"
	"    redis.call('XCLAIM', stream, group, owner, '0', one[3])\n"
	"  end\n"
	"  give(one[3], one[5] and one[4] or one[4] + 1, fields)\n"
	"end\n"
	"for _, whose in ipairs(silent) do\n"
	"  if #pending(whose, 1) == 0 and #pending(whose .. ':ear', 1) == 0 then\n"
	"    redis.call('XGROUP', 'DELCONSUMER', stream, group, whose)\n"
	"    redis.call('XGROUP', 'DELCONSUMER', stream, group, whose .. ':ear')\n"
	"    redis.call('XGROUP', 'DELCONSUMER', wake, group, whose .. ':ear')\n"
	"    redis.call('HDEL', workers, whose)\n"
	"  end\n"
	"end\n"
	"for _, one in ipairs(redis.call('XPENDING', wake, group, '-', '+', '100', owner .. ':ear')) do\n"
	"  redis.call('XACK', wake, group, one[1])\n"
	"end\n"
	"if room <= 0 or left <= 0 then rouse() end\n"
	/* One at a time, as what has been read is ours, however long it is. */
	"while room > 0 and left > 0 do\n"
	"  local read = redis.call('XREADGROUP', 'GROUP', group, owner, 'COUNT', '1', 'STREAMS', stream, '>')\n"
	"  if not read then break end\n"
	"  local entry = read[1][2][1]\n"
	"  give(entry[1], 1, entry[2])\n"
	"end\n"
	"out[1] = toolong\n"
	"return out\n";

/* ARGV[2]: owner. */
static const char untake_script[] = GROUP ROUSE
	"local count = 0\n"
	"for _, one in ipairs(pending(ARGV[2] .. ':ear', 100)) do\n"
	"  redis.call('XCLAIM', stream, group, returned, '0', one[1], 'JUSTID')\n"
	"  count = count + 1\n"
	"end\n"
	"rouse()\n"
	"return count\n";

static const char settle_script[] = GROUP ROUSE FIELDS ENDING
	"local out, back = {}, false\n"
	"for i = 2, #ARGV, 2 do\n"
	"  local verdict, id = ARGV[i], ARGV[i + 1]\n"
	"  local there = redis.pcall('XPENDING', stream, group, id, id, 1)\n"
	"  local held = not there.err and #there == 1 and there[1][2] ~= returned\n"
	"  out[#out + 1] = held and 1 or 0\n"
	"  if held and verdict == 'return' then\n"
	"    redis.call('XCLAIM', stream, group, returned, '0', id, 'JUSTID')\n"
	"    back = true\n"
	"  elseif held and verdict == 'dead' then\n"
	"    bury(id)\n"
	"  elseif held then\n"
	"    forget(id)\n"
	"  end\n"
	"end\n"
	"if back then rouse() end\n"
	"return out\n";

#define POSITION \
	"local function position()\n" \
	"  for _, one in ipairs(redis.call('XINFO', 'GROUPS', stream)) do\n" \
	"    local info = {}\n" \
	"    for i = 1, #one, 2 do info[one[i]] = one[i + 1] end\n" \
	"    if info.name == group then return info end\n" \
	"  end\n" \
	"end\n"

/* How many entries are left is not said by Redis 6, nor by later ones once the last that was given out is deleted.
 * Where all that are settled are deleted it is what is not held; else up to a thousand are counted, and more are told
 * as a thousand, as a backlog that is not known brings no worker and no alarm. */
static const char measure_script[] = GROUP POSITION
	"local failure = be_there()\n"
	"if failure then return failure end\n"
	"local info = position()\n"
	"local next = '(' .. info['last-delivered-id']\n"
	"local left = info.lag\n"
	"if not left and after == 'delete' then\n"
	"  left = math.max(redis.call('XLEN', stream) - info.pending, 0)\n"
	"elseif not left then\n"
	"  left = #redis.call('XRANGE', stream, next, '+', 'COUNT', '1000')\n"
	"end\n"
	"local back, first = #pending(returned, 1000), pending(returned, 1)[1]\n"
	"first = first or redis.call('XRANGE', stream, next, '+', 'COUNT', '1')[1]\n"
	"local time, age = redis.call('TIME'), -1\n"
	"if first then\n"
	"  age = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(string.match(first[1], '^%d+'))\n"
	"end\n"
	"return { left + back, info.pending - back, redis.call('XLEN', dead), math.max(age, -1) }\n";

/* ARGV: how many, limit of an item, limit of the answer. */
static const char peek_script[] = GROUP FIELDS POSITION
	"local failure = be_there()\n"
	"if failure then return failure end\n"
	"local out, room, left = {}, tonumber(ARGV[2]), tonumber(ARGV[4])\n"
	"local function show(id, fields)\n"
	"  if fields and room > 0 and left > 0 then\n"
	"    out[#out + 1] = id\n"
	"    out[#out + 1] = string.sub(body_of(fields), 1, tonumber(ARGV[3]))\n"
	"    room, left = room - 1, left - #out[#out]\n"
	"  end\n"
	"end\n"
	"if room > 0 then\n"
	"  for _, one in ipairs(pending(returned, room)) do show(one[1], fields_of(one[1])) end\n"
	"end\n"
	"if room > 0 then\n"
	"  local next = '(' .. position()['last-delivered-id']\n"
	"  for _, one in ipairs(redis.call('XRANGE', stream, next, '+', 'COUNT', room)) do show(one[1], one[2]) end\n"
	"end\n"
	"return out\n";

static const char redrive_script[] = GROUP
	"local moved = redis.call('XRANGE', dead, '-', '+', 'COUNT', ARGV[2])\n"
	"for _, one in ipairs(moved) do\n"
	"  redis.call('XADD', stream, '*', unpack(one[2]))\n"
	"  redis.call('XDEL', dead, one[1])\n"
	"end\n"
	"return { #moved, redis.call('XLEN', dead) }\n";

static const char send_script[] = GROUP
	"for i = 2, #ARGV do redis.call('XADD', stream, '*', field, ARGV[i]) end\n"
	"return #ARGV - 1\n";

static char *first_argument(const struct conf_queue *conf)
{
	return xasprintf("%s %s %s", conf->group, conf->delete_settled ? "delete" : "keep", conf->field);
}

/* What it brings is taken by the script; only that it came is of interest. */
static void listen_for_next(struct queue_redis *queue, redis_done_fn *done, void *arg)
{
	char *ear = xasprintf("%s:ear", queue->taker.owner), wait[16];
	const char *argv[] = { "XREADGROUP", "GROUP", queue->face.conf->group, ear, "COUNT", "1", "BLOCK", wait, "STREAMS",
		queue->keys[REDIS_KEY_LIST], queue->keys[REDIS_KEY_TAKING], ">", ">" };

	snprintf(wait, sizeof(wait), "%d", REDIS_BLOCK_S * 1000);
	redis_command(queue->ear, sizeof(argv) / sizeof(*argv), argv, NULL, done, arg);
	free(ear);
}

/* Other groups of the stream have workers of their own. */
static char *key_of(const struct conf_queue *conf, enum redis_key key)
{
	switch (key) {
	case REDIS_KEY_LIST: return xstrdup(conf->list);
	case REDIS_KEY_DEAD: return xasprintf("%s:dead", conf->list);
	case REDIS_KEY_WORKERS: return xasprintf("%s:gantry:%s:workers", conf->list, conf->group);
	case REDIS_KEY_TAKING: return xasprintf("%s:gantry:%s:wake", conf->list, conf->group);
	default: return xasprintf("%s:gantry:%s:unused", conf->list, conf->group);
	}
}

const struct redis_kind redis_stream_kind = {
	.take = take_script, .untake = untake_script, .settle = settle_script, .measure = measure_script,
	.peek = peek_script, .redrive = redrive_script, .send = send_script,
	.tells_ids = true,
	.first_argument = first_argument,
	.key_of = key_of,
	.listen = listen_for_next,
};

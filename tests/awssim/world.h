/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - what every part of the simulated AWS stands on. */
#ifndef AWSSIM_WORLD_H
#define AWSSIM_WORLD_H

#include "dice.h"
#include "digest.h"
#include "ledger.h"
#include "sim_clock.h"

#include <ev.h>

#define WORLD_REGION "us-east-1"
#define WORLD_ACCOUNT "000000000000"

enum { UUID_ROOM = 37 };

struct world {
	struct ev_loop *loop;
	struct sim_clock *clock;
	struct dice dice;
	struct digest *digest;
	struct ledger *ledger;
	char origin[64];                /* http://127.0.0.1:PORT, of queue URLs */
	bool strict;                    /* names that were never created are unknown */
};

static inline int64_t world_now_ms(const struct world *world)
{
	return sim_clock_now_ms(world->clock);
}

/* Random, version 4. */
static inline void world_uuid(struct world *world, char out[UUID_ROOM])
{
	uint64_t high = dice_roll(&world->dice), low = dice_roll(&world->dice);

	for (int i = 0; i < UUID_ROOM - 1; i++) {
		uint64_t *half = i < 18 ? &high : &low;

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			out[i] = '-';
			continue;
		}
		out[i] = i == 14 ? '4' : i == 19 ? 'a' : "0123456789abcdef"[*half & 15];
		*half >>= 4;
	}
	out[UUID_ROOM - 1] = '\0';
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* dice.h - reproducible chance (splitmix64): the same --seed gives the same ids and faults. */
#ifndef AWSSIM_DICE_H
#define AWSSIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t dice_mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

static inline uint64_t dice_roll(struct dice *dice)
{
	dice->state += 0x9e3779b97f4a7c15u;
	return dice_mix(dice->state);
}

static inline bool dice_chance(struct dice *dice, double probability)
{
	return (double)(dice_roll(dice) >> 11) * 0x1.0p-53 < probability;
}

#endif

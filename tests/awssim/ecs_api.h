/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_api.h - the actions of ECS. */
#ifndef AWSSIM_ECS_API_H
#define AWSSIM_ECS_API_H

#include "call.h"
#include "ecs.h"

action_fn ecs_run_task;

struct ecs_rate;
/* Counts a call; false with ThrottlingException: it is one too many. */
bool ecs_allows(struct call *, struct ecs_rate *);

#endif

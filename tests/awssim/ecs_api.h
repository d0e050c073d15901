/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_api.h - the actions of ECS. */
#ifndef AWSSIM_ECS_API_H
#define AWSSIM_ECS_API_H

#include "call.h"
#include "ecs.h"

action_fn ecs_run_task;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* job_masks.h - which texts a job's log must not show: the configuration's secrets, and the values of those of
 * the job's variables whose names say that they are some. */
#ifndef CONF_JOB_MASKS_H
#define CONF_JOB_MASKS_H

#include "base/masks.h"
#include "conf/conf.h"
#include "job/job.h"

/* The caller's. */
struct masks *job_masks(const struct conf *conf, const struct job *job);

#endif

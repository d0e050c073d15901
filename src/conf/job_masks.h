/* SPDX-License-Identifier: Apache-2.0 */
/* job_masks.h - which texts a job's log must not show: the configuration's secrets, and the values of those of
 * the job's variables whose names say that they are some. */
#ifndef CONF_JOB_MASKS_H
#define CONF_JOB_MASKS_H

#include "base/log.h"
#include "base/masks.h"
#include "conf/conf.h"
#include "job/job.h"

/* The caller's.  masks_hides_all(): there is more than fits, and log (NULL: nobody) is told so. */
struct masks *job_masks(const struct conf *conf, const struct job *job, const struct log *log);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* json_pool.h - where jansson's values lie: a simulator does little else than making and dropping
 * them. */
#ifndef AWSSIM_JSON_POOL_H
#define AWSSIM_JSON_POOL_H

/* Before the first value is made. */
void json_pool_begin(void);
/* What jansson hands out to be freed, such as json_dumps(), has to go here. */
void json_pool_free(void *);

#endif

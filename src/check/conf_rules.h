/* SPDX-License-Identifier: Apache-2.0 */
/* conf_rules.h - what one key asks of another, and what the schema cannot say of one. */
#ifndef CHECK_CONF_RULES_H
#define CHECK_CONF_RULES_H

#include "check/complaint.h"
#include "check/yaml_reader.h"
#include "conf/conf.h"

/* root is what conf was filled from, for places; keys that were complained about are left alone. */
void conf_rules_check(const struct conf *conf, const struct yaml_node *root, struct complaints *complaints);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_read.c - the calls that only read, for adapters with synchronous rows. */
#include "store/store_rules.h"

static bool read_job(struct store_rows *rows, struct store_call *call, struct error *err)
{
	struct store_row *row = NULL;

	if (!rows->ops->find(rows, call->name, &row, err))
		return false;
	if (row == NULL)
		return true;
	if (!rows->ops->read_whole(rows, row, err)) {
		store_row_destroy(row);
		return false;
	}
	store_call_add_job(call, store_row_take_job(row));
	return true;
}

bool store_rules_read(struct store_rows *rows, struct store_call *call, struct error *err)
{
	const struct store_rows_ops *ops = rows->ops;
	unsigned crashes = 0;

	switch (call->kind) {
	case CALL_FIND: return read_job(rows, call, err);
	case CALL_LIST: return ops->list(rows, call, err);
	case CALL_COUNT:
		return ops->count(rows, call->totals->jobs, err) &&
			(!call->wants_totals || ops->totals(rows, call->totals, err));
	case CALL_ATTEMPTS: return ops->list_attempts(rows, call, err);
	case CALL_LOCKS: return ops->held_locks(rows, call, err);
	case CALL_WHY: return rules_why(rows, call->name, &call->why, err);
	case CALL_DELIVERIES: return ops->list_deliveries(rows, call, err);
	case CALL_CRASHES:
		if (!ops->count_crashes(rows, call->name, &crashes, err))
			return false;
		call->went = crashes;
		return true;
	default:
		panic("store: call %d does not only read", (int)call->kind);
	}
}

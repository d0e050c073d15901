/* SPDX-License-Identifier: Apache-2.0 */
/* notify_celery_db.c - writes results into the table of Celery's database backend, on PostgreSQL
 * (celery/backends/database).
 *
 * One row per task, in the order in which they come; what has ended is not begun again by what comes late.  The
 * table is made as Celery makes it, when no client has done so yet.  One statement is under way at a time, and a
 * connection that is not used is closed after a while.  Rows stay until somebody deletes them, as Celery's own
 * celery.backend_cleanup does: who else's are in the table is not ours to know. */
#include "notify/notify_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/postgresql_dial.h"
#include "notify/celery_meta.h"
#include "notify/celery_pickle.h"

enum { LIMIT_RESULT_BYTES = 1 << 20, IDLE_S = 60, VALUES = 6 };

static const char upsert[] =
	"INSERT INTO celery_taskmeta AS kept (id, task_id, status, result, date_done, traceback) "
	"VALUES (nextval('task_id_sequence'), $1, $2, $3, $4::timestamptz AT TIME ZONE 'UTC', $5) "
	"ON CONFLICT (task_id) DO UPDATE SET status = EXCLUDED.status, result = EXCLUDED.result, "
	"date_done = EXCLUDED.date_done, traceback = EXCLUDED.traceback "
	"WHERE $6::boolean OR kept.status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')";

/* As SQLAlchemy makes them of celery/backends/database/models.py. */
static const char make_table[] =
	"CREATE SEQUENCE IF NOT EXISTS task_id_sequence; "
	"CREATE TABLE IF NOT EXISTS celery_taskmeta (id INTEGER NOT NULL, task_id VARCHAR(155), status VARCHAR(50), "
	"result BYTEA, date_done TIMESTAMP WITHOUT TIME ZONE, traceback TEXT, PRIMARY KEY (id), UNIQUE (task_id))";

/* One row on its way. */
struct row {
	struct list link;               /* in notify_celery_db.rows */
	char *task_id;                  /* NULL: there is nothing to be written of it */
	char *status, *done, *traceback;
	bool final;
	struct buf result;              /* pickled */
	notify_done_fn *told;
	void *arg;
};

enum step { STEP_IDLE, STEP_WRITING, STEP_MAKING };

struct notify_celery_db {
	struct notify base;
	struct log log;
	struct postgresql_url url;
	struct postgresql_dial *dial;
	PGconn *conn;                   /* NULL: none */
	struct list rows;               /* the first is being written */
	enum step step;
	bool made;                      /* the table was made for the first row: it is not made twice */
	struct error error;             /* of the statement under way */
	ev_io io;
	ev_timer turn;                  /* begins what there is to do, outside of who asks for it */
	ev_timer limit;                 /* of a statement, or of being idle */
};

/* -- rows ----------------------------------------------------------------------------------------- */

static struct row *row_create(notify_done_fn *told, void *arg)
{
	struct row *row = xnew(struct row);

	row->told = told;
	row->arg = arg;
	buf_init(&row->result, LIMIT_RESULT_BYTES);
	return row;
}

static void row_fill(struct row *row, const struct celery_meta *meta)
{
	row->task_id = xstrdup(meta->task_id);
	row->status = xstrdup(meta->status);
	row->done = xstrdup(meta->done);
	row->traceback = xstrdup(meta->traceback);
	row->final = meta->final;
	if (!celery_pickle(meta->result, &row->result)) {
		buf_clear(&row->result);
		celery_pickle(json_null(), &row->result);
	}
}

static void row_free(struct row *row)
{
	list_remove(&row->link);
	free(row->task_id);
	free(row->status);
	free(row->done);
	free(row->traceback);
	buf_finish(&row->result);
	free(row);
}

static void row_tell(struct row *row, const struct error *err)
{
	notify_done_fn *told = row->told;
	void *arg = row->arg;

	row_free(row);
	told(arg, err, 0);
}

/* -- the connection ------------------------------------------------------------------------------- */

static void limit_within(struct notify_celery_db *sink, double after_s)
{
	ev_timer_stop(sink->base.env.loop, &sink->limit);
	ev_timer_set(&sink->limit, after_s, 0.);
	ev_timer_start(sink->base.env.loop, &sink->limit);
}

static void drop(struct notify_celery_db *sink)
{
	ev_io_stop(sink->base.env.loop, &sink->io);
	ev_timer_stop(sink->base.env.loop, &sink->limit);
	PQfinish(sink->conn);
	sink->conn = NULL;
	sink->step = STEP_IDLE;
	sink->made = false;
	sink->error = (struct error){ 0 };
}

/* Who waits is told so, and asks again when it is time: the connection is made anew then. */
static void lost(struct notify_celery_db *sink, const char *why)
{
	char line[LIMIT_ERROR_TEXT_BYTES];
	struct error err;
	struct list rows;

	postgresql_message(why, line, sizeof(line));
	error_set(&err, ERROR_TEMPORARY, "%.200s: %s", sink->url.name, line);
	drop(sink);
	list_init(&rows);
	list_splice(&rows, &sink->rows);
	while (!list_empty(&rows))
		row_tell(list_first(&rows, struct row, link), &err);
}

static void watch(struct notify_celery_db *sink, int events)
{
	ev_io_stop(sink->base.env.loop, &sink->io);
	ev_io_set(&sink->io, PQsocket(sink->conn), events);
	ev_io_start(sink->base.env.loop, &sink->io);
}

static void flush(struct notify_celery_db *sink)
{
	int left = PQflush(sink->conn);

	if (left < 0)
		lost(sink, PQerrorMessage(sink->conn));
	else
		watch(sink, left > 0 ? EV_READ | EV_WRITE : EV_READ);
}

/* -- statements ----------------------------------------------------------------------------------- */

static bool send_row(struct notify_celery_db *sink, const struct row *row)
{
	const char *values[VALUES] = {
		row->task_id, row->status, row->result.bytes, row->done, row->traceback, row->final ? "t" : "f",
	};
	/* Text but for the result. */
	int lengths[VALUES] = { [2] = (int)row->result.size }, formats[VALUES] = { [2] = 1 };

	return PQsendQueryParams(sink->conn, upsert, VALUES, NULL, values, lengths, formats, 0) == 1;
}

static void begin(struct notify_celery_db *sink, enum step step)
{
	bool sent = step == STEP_MAKING ? PQsendQuery(sink->conn, make_table) == 1 :
		send_row(sink, list_first(&sink->rows, struct row, link));

	sink->step = step;
	sink->error = (struct error){ 0 };
	limit_within(sink, (double)sink->base.conf->timeout_ms / 1000);
	if (sent)
		flush(sink);
	else
		lost(sink, PQerrorMessage(sink->conn));
}

static void go_on(struct notify_celery_db *sink);

static void on_dialled(void *arg, PGconn *take_conn, const char *why)
{
	struct notify_celery_db *sink = arg;

	sink->dial = NULL;
	sink->conn = take_conn;
	if (take_conn == NULL) {
		lost(sink, why);
		return;
	}
	watch(sink, EV_READ);
	limit_within(sink, IDLE_S);
	go_on(sink);
}

static void go_on(struct notify_celery_db *sink)
{
	struct row *first = list_first(&sink->rows, struct row, link);

	if (first == NULL || sink->step != STEP_IDLE || sink->dial != NULL)
		return;
	if (first->task_id == NULL) {
		ev_timer_start(sink->base.env.loop, &sink->turn);
		row_tell(first, NULL);
	} else if (sink->conn != NULL) {
		begin(sink, STEP_WRITING);
	} else {
		sink->dial = postgresql_dial_start(sink->base.env.loop, &sink->url, on_dialled, sink);
	}
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	go_on(container_of(timer, struct notify_celery_db, turn));
}

static bool is_of(const char *code, const char *class)
{
	return strncmp(code, class, strlen(class)) == 0;
}

/* Who we are, what we may, what is there: somebody has to look.  What the table does not take it never takes, but for a
 * number that is taken: the next one may be free.  The rest may pass. */
static enum error_kind kind_of(const char *code)
{
	static const char number_taken[] = "23505";

	if (is_of(code, "28") || is_of(code, "3D") || is_of(code, "3F") || is_of(code, "42"))
		return ERROR_REFUSED;
	if (is_of(code, "22") || (is_of(code, "23") && strcmp(code, number_taken) != 0))
		return ERROR_INVALID;
	return ERROR_TEMPORARY;
}

static void note_error(struct notify_celery_db *sink, const PGresult *result)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	char line[LIMIT_ERROR_TEXT_BYTES];

	postgresql_message(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), line, sizeof(line));
	error_set(&sink->error, code != NULL ? kind_of(code) : ERROR_TEMPORARY, "%.200s: %s", sink->url.name,
		line[0] != '\0' ? line : "it gave no answer");
	error_set_code(&sink->error, code != NULL ? code : "");
}

/* The statement is over. */
static void take_outcome(struct notify_celery_db *sink)
{
	static const char undefined_table[] = "42P01";
	struct error err = sink->error;
	bool made = sink->step == STEP_MAKING;

	sink->step = STEP_IDLE;
	if (made && err.kind == ERROR_NONE) {
		begin(sink, STEP_WRITING);
		return;
	}
	if (!made && !sink->made && strcmp(err.code, undefined_table) == 0) {
		sink->made = true;
		begin(sink, STEP_MAKING);
		return;
	}
	/* Two that make it at a time may meet, and one of them fails for that. */
	if (made && err.kind == ERROR_REFUSED && strncmp(err.code, "42P", 3) == 0)
		err.kind = ERROR_TEMPORARY;
	sink->made = false;
	limit_within(sink, IDLE_S);
	ev_timer_start(sink->base.env.loop, &sink->turn);
	row_tell(list_first(&sink->rows, struct row, link), err.kind != ERROR_NONE ? &err : NULL);
}

static void take_results(struct notify_celery_db *sink)
{
	while (sink->conn != NULL && sink->step != STEP_IDLE && !PQisBusy(sink->conn)) {
		PGresult *result = PQgetResult(sink->conn);
		ExecStatusType status = PQresultStatus(result);

		if (result != NULL && status != PGRES_COMMAND_OK && sink->error.kind == ERROR_NONE)
			note_error(sink, result);
		PQclear(result);
		if (result != NULL)
			continue;
		if (PQstatus(sink->conn) == CONNECTION_BAD)
			lost(sink, PQerrorMessage(sink->conn));
		else
			take_outcome(sink);
		return;
	}
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct notify_celery_db *sink = container_of(io, struct notify_celery_db, io);

	(void)loop;
	if ((revents & EV_READ) && PQconsumeInput(sink->conn) != 1) {
		/* Nobody was told anything on it yet: a new one will do. */
		if (sink->step == STEP_IDLE)
			drop(sink);
		else
			lost(sink, PQerrorMessage(sink->conn));
		return;
	}
	if (revents & EV_WRITE)
		flush(sink);
	if (sink->conn != NULL)
		take_results(sink);
}

static void on_limit(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct notify_celery_db *sink = container_of(timer, struct notify_celery_db, limit);

	(void)loop, (void)revents;
	if (sink->step == STEP_IDLE)
		drop(sink);
	else
		lost(sink, "no answer in time");
}

/* -- the face ------------------------------------------------------------------------------------- */

/* "db+postgresql+psycopg2://..." is SQLAlchemy's, which takes its drivers' names; libpq's is the rest of it. */
static char *libpq_url(const char *url)
{
	const char *rest = strstr(url, "://");

	return xasprintf("postgresql%s", rest != NULL ? rest : "");
}

static void destroy(struct notify *notify)
{
	struct notify_celery_db *sink = (struct notify_celery_db *)notify;
	struct row *row, *next;

	drop(sink);
	ev_timer_stop(notify->env.loop, &sink->turn);
	postgresql_dial_cancel(sink->dial);
	list_each_safe(row, next, &sink->rows, link)
		row_free(row);
	postgresql_url_finish(&sink->url);
	free(sink);
}

static struct notify *create(const struct conf_sink *conf, const struct notify_env *env, struct error *err)
{
	struct notify_celery_db *sink = xnew(struct notify_celery_db);
	char *url = libpq_url(conf->url);

	log_init(&sink->log, env->log, "%s", conf_sink_name(conf));
	list_init(&sink->rows);
	ev_init(&sink->io, on_io);
	ev_init(&sink->limit, on_limit);
	ev_timer_init(&sink->turn, on_turn, 0., 0.);
	if (!postgresql_url_parse(&sink->url, &sink->log, url, err)) {
		free(sink);
		sink = NULL;
	}
	xfree_secret(url);
	return sink != NULL ? &sink->base : NULL;
}

static void send_notice(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	struct notify_celery_db *sink = (struct notify_celery_db *)notify;
	struct row *row = row_create(done, arg);
	struct celery_meta meta;

	if (celery_meta_make(&meta, notice)) {
		row_fill(row, &meta);
		celery_meta_finish(&meta);
	}
	list_append(&sink->rows, &row->link);
	ev_timer_start(notify->env.loop, &sink->turn);
}

const struct notify_impl notify_celery_db = {
	.name = "celery",
	.create = create,
	.destroy = destroy,
	.send = send_notice,
};

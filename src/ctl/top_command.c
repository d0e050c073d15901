/* SPDX-License-Identifier: Apache-2.0 */
/* top_command.c - top: the terminal, its keys, and what they ask for.
 *
 * One loop waits for keys, the terminal's size, the daemon and the store alike, so a key is obeyed while the store
 * still thinks.  curses is only told what to draw and which bytes were typed; its own handler of the size would draw
 * from inside a signal. */
#include "config.h"

#include <curses.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/list.h"
#include "ctl/top_view.h"

/* Last: it makes macros of such words as lines and columns. */
#include <term.h>

static const double hint_s = 5;

struct top {
	struct asking asking;
	struct top_data data;
	struct top_view view;
	struct top_log *log;
	struct control_call *hint;
	SCREEN *screen;
	ev_io keys;
	ev_signal on_size, on_int, on_term;
	unsigned silent;                /* readable without a key: the terminal has gone */
};

static void draw(struct top *top)
{
	top_view_draw(&top->view, &top->data, top->log);
}

static void on_data(void *arg)
{
	struct top *top = arg;

	top_view_sort(&top->view, &top->data);
	draw(top);
}

static void on_log_changed(void *arg)
{
	draw(arg);
}

/* -- what is asked for -------------------------------------------------------------------------- */

static void on_hinted(void *arg, enum control_status status, const struct error *why)
{
	struct top *top = arg;

	(void)why;
	top->hint = NULL;
	if (status == CONTROL_UNREACHABLE)
		snprintf(top->view.message, sizeof(top->view.message), " gantryd is not running here; its workers see it when they run");
}

static void on_answer(void *arg, const struct store_answer *answer, const struct error *err)
{
	struct top *top = arg;
	char *message = top->view.message;
	size_t size = sizeof(top->view.message);

	if (err != NULL)
		snprintf(message, size, " %s", err->text);
	else if (answer->verdict == STORE_ASKED_UNKNOWN)
		snprintf(message, size, " it is not in the store any more");
	else if (answer->verdict == STORE_ASKED_REFUSED)
		snprintf(message, size, " %s is %s", answer->job_id, job_state_name(answer->state));
	else
		snprintf(message, size, " %s: %s", answer->job_id, job_state_name(answer->state));
	if (err == NULL && (answer->verdict == STORE_ASKED_DONE || answer->verdict == STORE_ASKED_BEGUN)) {
		control_call_cancel(top->hint);
		top->hint = control_call_start(top->asking.loop, top->data.socket_path, "hint", hint_s, NULL, on_hinted, top);
	}
	top_data_hurry(&top->data);
	draw(top);
}

static void open_log(struct top *top)
{
	const struct job *job = top_view_job(&top->view, &top->data);
	struct log_source_env env = {
		.loop = top->asking.loop, .log = &top->asking.log, .conf = top->asking.ctl->conf,
	};

	if (job == NULL)
		return;
	top->log = top_log_create(&env, top->asking.store, job->id, on_log_changed, top);
	top->view.mode = TOP_LOG;
}

static void leave_log(struct top *top)
{
	top_log_destroy(top->log);
	top->log = NULL;
	top->view.mode = TOP_LIST;
}

/* -- keys ------------------------------------------------------------------------------------- */

static void ask(struct top *top, const char *question)
{
	if (top_view_job(&top->view, &top->data) == NULL)
		return;
	top->view.question = question;
	top->view.mode = TOP_ASK;
}

static void answer_key(struct top *top, int key)
{
	top->view.mode = TOP_LIST;
	if (key != 'y' && key != 'Y')
		return;
	if (top->view.question[0] == 'c')
		store_cancel(top->asking.store, top->view.selected, top->asking.by, on_answer, top);
	else
		store_retry_finished(top->asking.store, top->view.selected, top->asking.by, on_answer, top);
}

/* By how many rows a key moves; 0: it is none of those. */
static long rows_of(int key, size_t page)
{
	switch (key) {
	case KEY_UP: case 'k': return -1;
	case KEY_DOWN: case 'j': return 1;
	case KEY_PPAGE: return -(long)(page > 1 ? page - 1 : 1);
	case KEY_NPAGE: return (long)(page > 1 ? page - 1 : 1);
	case KEY_HOME: case 'g': return -1000000;
	case KEY_END: case 'G': return 1000000;
	default: return 0;
	}
}

static void sort_by(struct top *top, enum top_sort sort, bool reverse)
{
	top->view.sort = sort;
	top->view.reverse = reverse;
	top_view_sort(&top->view, &top->data);
}

static void list_key(struct top *top, int key)
{
	struct top_view *view = &top->view;

	top_view_move(view, &top->data, rows_of(key, view->rows));
	switch (key) {
	case 'q': ev_break(top->asking.loop, EVBREAK_ALL); break;
	case '?': case 'h': view->mode = TOP_HELP; break;
	case 'c': ask(top, "cancel"); break;
	case 'r': ask(top, "run again"); break;
	case 'l': case '\n': case '\r': case KEY_ENTER: open_log(top); break;
	case 's': sort_by(top, (view->sort + 1) % TOP_SORTS, false); break;
	case 'S': sort_by(top, view->sort, !view->reverse); break;
	default: break;
	}
}

static void take_key(struct top *top, int key)
{
	top->view.message[0] = '\0';
	switch (top->view.mode) {
	case TOP_LIST:
		list_key(top, key);
		break;
	case TOP_ASK:
		answer_key(top, key);
		break;
	case TOP_HELP:
		top->view.mode = TOP_LIST;
		break;
	case TOP_LOG:
		top_log_scroll(top->log, -rows_of(key, (size_t)LINES), LINES > 2 ? (size_t)LINES - 2 : 1);
		if (key == 'q' || key == 'l' || key == 27)
			leave_log(top);
		break;
	}
}

static void on_keys(struct ev_loop *loop, ev_io *keys, int revents)
{
	struct top *top = container_of(keys, struct top, keys);
	bool any = false;
	int key;

	(void)revents;
	while ((key = getch()) != ERR) {
		any = true;
		if (key != KEY_RESIZE)
			take_key(top, key);
	}
	top->silent = any ? 0 : top->silent + 1;
	if (top->silent > 100)
		ev_break(loop, EVBREAK_ALL);
	draw(top);
}

/* -- the terminal ----------------------------------------------------------------------------- */

static void on_size(struct ev_loop *loop, ev_signal *signal, int revents)
{
	struct top *top = container_of(signal, struct top, on_size);
	struct winsize size;

	(void)loop, (void)revents;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
		return;
	resizeterm(size.ws_row, size.ws_col);
	clearok(stdscr, TRUE);
	draw(top);
}

static void on_end(struct ev_loop *loop, ev_signal *signal, int revents)
{
	(void)signal, (void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* False when it can't place its cursor, which is all that we ask of it. */
static bool terminal_will_do(void)
{
	const char *name = getenv("TERM");
	const char *cup = NULL;
	int error;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fprintf(stderr, "gantryctl: top draws on a terminal, and this is none; see status, queues and jobs\n");
		return false;
	}
	if (name != NULL && setupterm(name, STDOUT_FILENO, &error) == OK) {
		cup = tigetstr("cup");
		if (cup != NULL && cup != (char *)-1) {
			del_curterm(cur_term);
			return true;
		}
		del_curterm(cur_term);
	}
	fprintf(stderr, "gantryctl: top needs a terminal whose cursor can be placed, and TERM is %s%s%s; "
		"see status, queues and jobs\n", name != NULL ? "\"" : "", name != NULL ? name : "not set", name != NULL ? "\"" : "");
	return false;
}

static void watch(struct top *top)
{
	struct ev_loop *loop = top->asking.loop;

	/* Before curses looks: it leaves a signal alone that has a handler. */
	ev_signal_init(&top->on_size, on_size, SIGWINCH);
	ev_signal_init(&top->on_int, on_end, SIGINT);
	ev_signal_init(&top->on_term, on_end, SIGTERM);
	ev_signal_start(loop, &top->on_size);
	ev_signal_start(loop, &top->on_int);
	ev_signal_start(loop, &top->on_term);
	ev_io_init(&top->keys, on_keys, STDIN_FILENO, EV_READ);
	ev_io_start(loop, &top->keys);
}

static void unwatch(struct top *top)
{
	ev_signal_stop(top->asking.loop, &top->on_size);
	ev_signal_stop(top->asking.loop, &top->on_int);
	ev_signal_stop(top->asking.loop, &top->on_term);
	ev_io_stop(top->asking.loop, &top->keys);
}

static bool open_screen(struct top *top)
{
	set_escdelay(25);
	top->screen = newterm(NULL, stdout, stdin);
	if (top->screen == NULL)
		return false;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	return true;
}

static void run(struct top *top)
{
	watch(top);
	if (open_screen(top)) {
		top_view_init(&top->view);
		top_data_init(&top->data, &top->asking, on_data, top);
		draw(top);
		ev_run(top->asking.loop, 0);
		endwin();
		delscreen(top->screen);
		top_data_stop(&top->data);
		control_call_cancel(top->hint);
		top_log_destroy(top->log);
		top->asking.status = CONTROL_DONE;
	}
	unwatch(top);
}

int run_top(struct ctl *ctl, int argc, char **argv)
{
	struct top top = { .log = NULL };

	(void)argv;
	if (argc != 1)
		return command_usage("top");
	setlocale(LC_CTYPE, "");
	if (!terminal_will_do() || ctl_conf(ctl) == NULL)
		return CONTROL_FAILED;
	if (asking_open(&top.asking, ctl))
		run(&top);
	else
		top.asking.status = CONTROL_FAILED;
	/* Its questions are answered by this, to the data. */
	store_close(top.asking.store);
	top.asking.store = NULL;
	if (top.screen != NULL)
		top_data_finish(&top.data);
	top_view_finish(&top.view);
	asking_close(&top.asking);
	return top.asking.status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* fake_worker.c - a gantry-worker without any work, or a gantry-api without HTTP, for tests of the master.
 *
 * It speaks the report protocol and does what FAKE_WORKER in its environment says: words separated by
 * blanks, for all workers or, after "N:", for the one in that slot; after "api:" for the API.
 *
 *      never           says hello and never gets ready
 *      slow=SECONDS    gets ready after that long
 *      gate=FILE       gets ready once that file is there
 *      older           knows nothing of a nursery, as the program of an older version
 *      mute            as a nursery, never gets ready
 *      unsaid          as a nursery, makes workers and does not say which
 *      refuse=TEXT     refuses (blanks are written as _)
 *      exit=N          leaves at once with that status
 *      crash=SECONDS   kills itself that long after GO
 *      die=N           leaves with that status right after GO
 *      hang            sends no heartbeat after GO, and hears nothing
 *      hold            holds a job: after DRAIN it waits for RELEASE
 *      stubborn        holds a job and obeys neither DRAIN nor RELEASE nor EXIT
 *      receiving=S     drains at once but for an open receive, which takes S seconds
 *      stranger        says hello with the hash of another configuration
 *      babble          speaks what only the master may
 *      deaf            leaves its channel unread
 *      wake=OWNER      after GO, wakes that owner
 *      hint            after GO, says that the store has changed
 *      offer=N         after GO, says N times that there is a job that nobody owns
 *      queues=N        reports numbers of so many queues
 *      busy=KEY        after GO, has that in hand
 *      fault=SECONDS   that long after GO, dies by SIGSEGV
 *      linger=SECONDS  answers a connection only after that long
 *
 * Each step is a line in the file that FAKE_LOG names: "pid generation slot what". */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "conf/conf_canonical.h"
#include "fake_api.h"
#include "ipc/heritage.h"
#include "ipc/in_hand.h"
#include "ipc/nursery.h"
#include "ipc/report.h"

static const double GATE_LOOK_S = 0.02;

struct fake {
	struct heritage heritage;
	struct fake_api api;
	struct in_hand *in_hand;
	uint32_t sequence;
	int log_fd;                     /* of FAKE_LOG */
	double crash_at, fault_at;      /* monotonic; 0: not */
	double leave_at;
	double ready_at;
	char gate[256];                 /* gets ready when this is there; "": it need not be */
	double beat_at;
	bool active, hung, draining;
};

__attribute__((format(printf, 2, 3)))
static void note(const struct fake *fake, const char *fmt, ...)
{
	char what[700], line[800];
	va_list args;
	int length;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	length = snprintf(line, sizeof(line), "%d %u %u %s\n", (int)getpid(), fake->heritage.generation,
		fake->heritage.slot, what);
	if (fake->log_fd >= 0 && write(fake->log_fd, line, (size_t)length) < 0)
		_exit(99);
}

/* What is behind the prefix of a word for us; NULL when it is for another. */
static const char *for_us(const struct fake *fake, const char *word)
{
	bool api = fake->heritage.role == ROLE_API;

	if (strncmp(word, "api:", 4) == 0)
		return api ? word + 4 : NULL;
	if (api)
		return NULL;
	if (word[0] >= '0' && word[0] <= '9' && word[1] == ':')
		return (unsigned)(word[0] - '0') == fake->heritage.slot ? word + 2 : NULL;
	return word;
}

/* The word for this child, copied into value without its "word="; false when it is not there. */
static bool told(const struct fake *fake, const char *word, char value[256])
{
	const char *text = getenv("FAKE_WORKER");
	char copy[1024], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", text != NULL ? text : "");
	for (char *each = strtok_r(copy, " ", &save); each != NULL; each = strtok_r(NULL, " ", &save)) {
		const char *at = for_us(fake, each);
		size_t length = strlen(word);

		if (at == NULL || strncmp(at, word, length) != 0 || (at[length] != '\0' && at[length] != '='))
			continue;
		if (value != NULL)
			snprintf(value, 256, "%s", at[length] == '=' ? at + length + 1 : "");
		return true;
	}
	return false;
}

static void say(struct fake *fake, enum report_kind kind, const char *name, const char *text)
{
	struct report report;

	report_init(&report, kind, fake->heritage.generation);
	report.sequence = ++fake->sequence;
	report.config_hash = fake->heritage.config_hash;
	if (kind == REPORT_HELLO && told(fake, "stranger", NULL))
		report.config_hash++;
	if (kind == REPORT_ALIVE)
		report.worker.held = told(fake, "hold", NULL) || told(fake, "stubborn", NULL);
	if (kind == REPORT_QUEUE)
		report.queue.last_receive_age_ms = -1;
	snprintf(report.name, sizeof(report.name), "%s", name);
	snprintf(report.text, sizeof(report.text), "%s", text);
	report_send(fake->heritage.channel_fd, &report, -1);
}

static void leave(struct fake *fake, int status)
{
	note(fake, "leaves %d", status);
	_exit(status);
}

static void go(struct fake *fake)
{
	char value[256];

	fake->active = true;
	if (told(fake, "die", value))
		leave(fake, atoi(value));
	if (told(fake, "crash", value))
		fake->crash_at = clock_monotonic_s() + atof(value);
	if (told(fake, "busy", value))
		in_hand_take(fake->in_hand, value);
	if (told(fake, "fault", value))
		fake->fault_at = clock_monotonic_s() + atof(value);
	if (told(fake, "hint", NULL))
		say(fake, REPORT_HINT, "", "");
	for (int i = told(fake, "offer", value) ? atoi(value) : 0; i > 0; i--)
		say(fake, REPORT_HINT, REPORT_HINT_JOBS, "");
	if (told(fake, "hang", NULL))
		fake->hung = true;
	if (told(fake, "wake", value))
		say(fake, REPORT_WAKE, value, "");
	for (int i = 0; i < 3 && told(fake, "babble", NULL); i++)
		say(fake, REPORT_GO, "", "");
}

static void drain(struct fake *fake)
{
	char value[256];

	fake->draining = true;
	fake_api_drain(&fake->api);
	if (told(fake, "hold", NULL) || told(fake, "stubborn", NULL) || fake->api.connection_count > 0)
		return;
	say(fake, REPORT_EMPTY, "", "");
	if (told(fake, "receiving", value))
		fake->leave_at = clock_monotonic_s() + atof(value);
	else
		leave(fake, 0);
}

static void release(struct fake *fake)
{
	/* It has no job to hand over, and what its receive brings is not there yet. */
	if (told(fake, "stubborn", NULL) || fake->leave_at > 0)
		return;
	say(fake, REPORT_RELEASED, "", "");
	leave(fake, 0);
}

static void hear(struct fake *fake, const struct report *report, int passed_fd)
{
	note(fake, "%s %s %s%s", report_kind_name((enum report_kind)report->kind), report->name, report->text,
		passed_fd >= 0 ? " with a descriptor" : "");
	switch ((enum report_kind)report->kind) {
	case REPORT_GO:
		go(fake);
		break;
	case REPORT_DRAIN:
		drain(fake);
		break;
	case REPORT_RELEASE:
		release(fake);
		break;
	case REPORT_EXIT:
		if (!told(fake, "stubborn", NULL))
			leave(fake, 0);
		break;
	case REPORT_PING:
		say(fake, REPORT_ALIVE, "", "");
		break;
	default:
		break;
	}
}

static void read_channel(struct fake *fake)
{
	struct report report;
	int passed_fd;

	for (;;) {
		switch (report_receive(fake->heritage.channel_fd, &report, &passed_fd)) {
		case REPORT_READ_ONE:
			hear(fake, &report, passed_fd);
			descriptor_close(&passed_fd);
			break;
		case REPORT_READ_EOF:
			note(fake, "orphaned");
			leave(fake, 0);
			break;
		default:
			return;
		}
	}
}

static void say_queues(struct fake *fake)
{
	char value[256], name[64];

	if (fake->heritage.role != ROLE_WORKER)
		return;
	if (!told(fake, "queues", value)) {
		say(fake, REPORT_QUEUE, "deploys", "");
		return;
	}
	for (int i = 0; i < atoi(value); i++) {
		snprintf(name, sizeof(name), "queue-%d", i);
		say(fake, REPORT_QUEUE, name, "");
	}
}

static void beat(struct fake *fake, double now)
{
	if (now < fake->beat_at || fake->heritage.heartbeat_ms == 0)
		return;
	say(fake, REPORT_ALIVE, "", "");
	say_queues(fake);
	fake->beat_at = now + (double)fake->heritage.heartbeat_ms / 1000;
}

static void sooner(double *until, double at)
{
	if (at > 0 && at < *until)
		*until = at;
}

static int next_ms(const struct fake *fake, double now)
{
	double until = now + 60;

	if (fake->heritage.heartbeat_ms != 0)
		sooner(&until, fake->beat_at);
	sooner(&until, fake->crash_at);
	sooner(&until, fake->fault_at);
	sooner(&until, fake->leave_at);
	sooner(&until, fake->ready_at);
	if (fake->gate[0] != '\0')
		sooner(&until, now + GATE_LOOK_S);
	sooner(&until, fake_api_next(&fake->api));
	return until <= now ? 0 : (int)((until - now) * 1000) + 1;
}

/* What is due. */
static void act(struct fake *fake, double now)
{
	if (fake->crash_at > 0 && now >= fake->crash_at) {
		note(fake, "crashes");
		raise(SIGKILL);
	}
	if (fake->fault_at > 0 && now >= fake->fault_at) {
		note(fake, "faults");
		/* A sanitizer would make an exit of it. */
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	}
	if (fake->leave_at > 0 && now >= fake->leave_at)
		leave(fake, 0);
	if (fake->ready_at > 0 && now >= fake->ready_at) {
		say(fake, REPORT_READY, "", "");
		fake->ready_at = 0;
	}
	if (fake->gate[0] != '\0' && access(fake->gate, F_OK) == 0) {
		fake->gate[0] = '\0';
		say(fake, REPORT_READY, "", "");
	}
	fake_api_answer(&fake->api, now);
	if (fake->heritage.role == ROLE_API && fake->draining && fake->api.connection_count == 0 &&
	    !told(fake, "stubborn", NULL) && !told(fake, "hold", NULL))
		leave(fake, 0);
	beat(fake, now);
}

static void run(struct fake *fake)
{
	bool deaf = told(fake, "deaf", NULL);
	char value[256] = "0";

	told(fake, "linger", value);
	for (;;) {
		struct pollfd polls[FAKE_POLLS] = { { .fd = fake->heritage.channel_fd, .events = POLLIN } };
		double now = clock_monotonic_s();
		size_t count;

		if (fake->hung) {
			pause();
			continue;
		}
		act(fake, now);
		count = fake->active ? fake_api_polls(&fake->api, polls + 1) : 0;
		poll(deaf ? polls + 1 : polls, deaf ? count : count + 1, next_ms(fake, now));
		/* One line for each would be many in a storm. */
		if (fake_api_accept(&fake->api, polls + 1, count, clock_monotonic_s(), atof(value)) > 0 && atof(value) >= 1)
			note(fake, "accepts");
		if (!deaf && polls[0].revents != 0)
			read_channel(fake);
	}
}

/* What a real worker would find in its configuration must be what the master says it gave. */
static bool configuration_is_whole(const struct fake *fake)
{
	size_t size;
	char *text = descriptor_read_all(fake->heritage.config_fd, LIMIT_CONF_BYTES, &size, NULL);
	bool whole = text != NULL && conf_canonical_hash(text, size) == fake->heritage.config_hash;

	free(text);
	return whole;
}

static void note_descriptors(const struct fake *fake)
{
	char open_ones[256] = "";

	for (int fd = 0; fd < 256; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 && fd != fake->log_fd)
			snprintf(open_ones + strlen(open_ones), sizeof(open_ones) - strlen(open_ones), " %d", fd);
	}
	note(fake, "descriptors%s", open_ones);
}

static void start(struct fake *fake)
{
	char value[256];

	note(fake, "started first=%u slots=%u role=%s owner=%s", fake->heritage.first, fake->heritage.slots,
		role_name((enum role)fake->heritage.role), fake->heritage.owner);
	note_descriptors(fake);
	if (getenv("NOTIFY_SOCKET") != NULL)
		note(fake, "sees NOTIFY_SOCKET");
	if (told(fake, "exit", value))
		leave(fake, atoi(value));
	say(fake, REPORT_HELLO, "", "");
	if (!configuration_is_whole(fake)) {
		say(fake, REPORT_REFUSED, "", "the configuration is not whole");
		leave(fake, 2);
	}
	if (told(fake, "refuse", value)) {
		for (char *c = value; *c != '\0'; c++) {
			if (*c == '_')
				*c = ' ';
		}
		say(fake, REPORT_REFUSED, "", value);
		leave(fake, 2);
	}
	if (told(fake, "slow", value))
		fake->ready_at = clock_monotonic_s() + atof(value);
	else if (!told(fake, "gate", fake->gate) && !told(fake, "never", NULL))
		say(fake, REPORT_READY, "", "");
}

/* Whoever maps it is then alone with it. */
static void replace_place(void)
{
	int place_fd = memfd_create("hidden", MFD_CLOEXEC);

	if (ftruncate(place_fd, sizeof(struct nursery_place)) != 0 || dup2(place_fd, NURSERY_PLACE_FD) < 0)
		_exit(99);
	close(place_fd);
}

int main(int argc, char **argv)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU };
	struct fake fake = { .log_fd = -1 };
	const char *log = getenv("FAKE_LOG");
	struct error err;

	if (nursery_is_asked_for(argc, argv) && !told(&fake, "older", NULL)) {
		while (told(&fake, "mute", NULL))
			pause();
		if (told(&fake, "unsaid", NULL))
			replace_place();
		nursery_run(argv);
	}
	prctl(PR_SET_NAME, "fake-worker");
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	if (!heritage_read(&fake.heritage, &err)) {
		fprintf(stderr, "fake worker: %s\n", err.text);
		return 1;
	}
	fake_api_init(&fake.api, &fake.heritage);
	if (fake.heritage.in_hand_fd >= 0)
		fake.in_hand = in_hand_map(fake.heritage.in_hand_fd, &err);
	if (log != NULL)
		fake.log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	start(&fake);
	run(&fake);
}

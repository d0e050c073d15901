/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_call.c - a frozen request, told to a shim (process_call.h).
 *
 * What is not frozen comes in here: who the user is in numbers, and the variables that are passed
 * through. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_at.h"
#include "base/mem.h"
#include "base/texts.h"
#include "exec/exec_process.h"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* "key=value" and its NUL; false for what could not be told apart on the other side. */
static bool add(struct buf *call, const char *key, const char *value)
{
	return value == NULL || (buf_add_text(call, key) && buf_add(call, value, strlen(value) + 1));
}

static bool add_member(struct buf *call, const char *key, const json_t *request, const char *member)
{
	return add(call, key, json_at_string(request, member));
}

/* The NUL behind what buf_printf() wrote. */
static void end(struct buf *call)
{
	buf_add(call, "", 1);
}

static void add_number(struct buf *call, const char *key, const json_t *request, const char *member)
{
	int64_t value;

	if (!json_at_integer(request, member, &value))
		return;
	buf_printf(call, "%s%lld", key, (long long)value);
	end(call);
}

/* A text with a NUL in it would be another text for the command. */
static bool add_texts(struct buf *call, const char *key, const json_t *request, const char *member, struct error *err)
{
	const json_t *texts = json_object_get(request, member);
	const json_t *text;
	size_t i;

	json_array_foreach(texts, i, text) {
		const char *value = json_string_value(text);

		if (value == NULL || strlen(value) != json_string_length(text)) {
			error_set(err, ERROR_INVALID, "%s: a text without NUL is expected", member);
			return false;
		}
		add(call, key, value);
	}
	return true;
}

static void add_limits(struct buf *call, const json_t *request)
{
	const json_t *limits = json_object_get(request, "limits");
	const json_t *limit;
	size_t i;

	json_array_foreach(limits, i, limit) {
		buf_printf(call, SHIM_KEY_LIMIT "%lld:%lld", (long long)json_integer_value(json_array_get(limit, 0)),
			(long long)json_integer_value(json_array_get(limit, 1)));
		end(call);
	}
}

static void add_identity(struct buf *call, const struct process_user *user)
{
	if (!user->other)
		return;
	buf_printf(call, SHIM_KEY_IDENTITY "%u:%u:", (unsigned)user->uid, (unsigned)user->gid);
	for (int i = 0; i < user->group_count; i++)
		buf_printf(call, "%s%u", i > 0 ? "," : "", (unsigned)user->groups[i]);
	end(call);
}

/* -- environment ------------------------------------------------------------------------------ */

static const char *ours(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value != NULL ? value : otherwise;
}

static void base_environment(struct pairs *environment, const json_t *request, const struct process_user *user)
{
	const json_t *names = json_object_get(request, "pass_environment");
	const json_t *name;
	size_t i;

	pairs_set(environment, "PATH", default_path);
	pairs_set(environment, "HOME", user->home);
	pairs_set(environment, "USER", user->name);
	pairs_set(environment, "LOGNAME", user->name);
	pairs_set(environment, "SHELL", user->shell);
	pairs_set(environment, "LANG", ours("LANG", "C.UTF-8"));
	json_array_foreach(names, i, name) {
		const char *value = json_is_string(name) ? getenv(json_string_value(name)) : NULL;

		if (value != NULL)
			pairs_set(environment, json_string_value(name), value);
	}
}

static void add_environment(struct buf *call, const json_t *request, const char *directory,
	const struct process_user *user)
{
	struct pairs environment = { 0 };
	const char *name;
	json_t *value;
	char *result = user->other ? xstrdup("/dev/fd/3") : xasprintf("%s/" PROCESS_RESULT, directory);

	base_environment(&environment, request, user);
	json_object_foreach(json_object_get(request, "environment"), name, value) {
		if (json_is_string(value))
			pairs_set(&environment, name, json_string_value(value));
	}
	pairs_set(&environment, "GANTRY_RESULT", result);
	for (size_t i = 0; i < environment.count; i++) {
		buf_printf(call, SHIM_KEY_ENVIRONMENT "%s=%s", environment.at[i].name, environment.at[i].value);
		end(call);
	}
	pairs_finish(&environment);
	free(result);
}

/* In single quotes nothing is special to any of those that read such files; what holds one itself goes
 * between double ones, with what is special there escaped. */
static void add_dotenv_line(struct buf *call, const char *name, const char *value)
{
	buf_printf(call, SHIM_KEY_DOTENV_LINE "%s=", name);
	if (strchr(value, '\'') == NULL) {
		buf_printf(call, "'%s'", value);
		end(call);
		return;
	}
	buf_add_char(call, '"');
	for (; *value != '\0'; value++) {
		if (strchr("\"\\$`", *value) != NULL)
			buf_add_char(call, '\\');
		buf_add_char(call, *value);
	}
	buf_add(call, "\"", 2);
}

static void add_dotenv(struct buf *call, const json_t *request)
{
	const char *name;
	json_t *value;

	if (json_at_string(request, "dotenv") == NULL)
		return;
	add_member(call, SHIM_KEY_DOTENV, request, "dotenv");
	json_object_foreach(json_object_get(request, "environment"), name, value) {
		if (json_is_string(value) && strncmp(name, "GANTRY_", 7) != 0)
			add_dotenv_line(call, name, json_string_value(value));
	}
}

/* -- cgroup ----------------------------------------------------------------------------------- */

/* Where the cgroup v2 hierarchy is mounted; "" when it is not. */
static void find_mount(char *mount, size_t size)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	mount[0] = '\0';
	while (mounts != NULL && mount[0] == '\0' && fgets(line, sizeof(line), mounts) != NULL) {
		char root[1024], point[1024];

		if (strstr(line, " - cgroup2 ") != NULL && sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) == 2 &&
		    strcmp(root, "/") == 0)
			snprintf(mount, size, "%s", point);
	}
	if (mounts != NULL)
		fclose(mounts);
}

/* Our own group in it, the caller's to free; NULL when there is none. */
static char *own_cgroup(void)
{
	FILE *groups = fopen("/proc/self/cgroup", "re");
	char line[2048], mount[1024];
	char *path = NULL;

	find_mount(mount, sizeof(mount));
	while (groups != NULL && mount[0] != '\0' && path == NULL && fgets(line, sizeof(line), groups) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) == 0)
			path = xasprintf("%s%s", mount, strcmp(line + 3, "/") == 0 ? "" : line + 3);
	}
	if (groups != NULL)
		fclose(groups);
	return path;
}

static void add_cgroup(struct buf *call, const json_t *request, const char *directory)
{
	const char *conf = json_at_string(request, "cgroup");
	const char *token = strrchr(directory, '/') + 1;
	char *parent = NULL;

	if (conf == NULL || strcmp(conf, "none") == 0)
		return;
	parent = strcmp(conf, "auto") == 0 ? own_cgroup() : xstrdup(conf);
	if (parent != NULL && access(parent, W_OK | X_OK) == 0) {
		buf_printf(call, SHIM_KEY_CGROUP "%s/gantry-%.32s", parent, token);
		end(call);
	}
	free(parent);
}

bool process_call_build(const json_t *request, const char *directory, const struct process_user *user, bool slot,
	struct buf *call, struct error *err)
{
	add(call, SHIM_KEY_DIRECTORY, directory);
	add_member(call, SHIM_KEY_JOB, request, "job");
	if (!add_texts(call, SHIM_KEY_ARGUMENT, request, "command", err) ||
	    !add_texts(call, SHIM_KEY_LINE, request, "lines", err) ||
	    !add_texts(call, SHIM_KEY_ALLOWED, request, "allowed", err))
		return false;
	add_member(call, SHIM_KEY_CHDIR, request, "directory");
	add_member(call, SHIM_KEY_UMASK, request, "umask");
	add_number(call, SHIM_KEY_NICE, request, "nice");
	add_number(call, SHIM_KEY_KILL_AFTER, request, "kill_after_ms");
	add_number(call, SHIM_KEY_LOG_LIMIT, request, "log_limit");
	add_limits(call, request);
	add_identity(call, user);
	add_environment(call, request, directory, user);
	add_dotenv(call, request);
	add_cgroup(call, request, directory);
	if (slot)
		add(call, SHIM_KEY_SLOT, "1");
	if (!call->overflowed)
		return true;
	error_set(err, ERROR_INVALID, "command and environment make more than %d bytes", LIMIT_SHIM_REQUEST_BYTES);
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* postgresql_server.c - see postgresql_server.h. */
#include "postgresql_server.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* Debian keeps the server's programs out of the path; the newest of them. */
static char *program(const char *name)
{
	glob_t found;
	char *pattern = xasprintf("/usr/lib/postgresql/*/bin/%s", name);
	char *path = glob(pattern, 0, NULL, &found) == 0 ? xstrdup(found.gl_pathv[found.gl_pathc - 1]) : xstrdup(name);

	globfree(&found);
	free(pattern);
	return path;
}

static const struct passwd *other_user(void)
{
	const struct passwd *user = getpwnam("postgres");

	if (user == NULL)
		user = getpwnam("nobody");
	if (user == NULL)
		fatal("there is no user to run PostgreSQL as");
	return user;
}

/* In the child. */
static void become_other_user(void)
{
	const struct passwd *user;

	if (geteuid() != 0)
		return;
	user = other_user();
	if (setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)
		_exit(126);
}

static pid_t run(const char *const *argv, const char *log)
{
	pid_t pid = fork();

	if (pid < 0)
		fatal("cannot fork");
	if (pid > 0)
		return pid;
	become_other_user();
	/* Not before: it is forgotten when the user changes.  At once, and its own children with it. */
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), STDOUT_FILENO);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	if (chdir("/") == 0)
		execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static void run_to_end(const char *const *argv, const char *log)
{
	pid_t pid = run(argv, log);
	int status;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		fatal("%s failed with status %d, see %s", argv[0], status, log);
}

void postgresql_server_init(struct postgresql_server *server)
{
	char *data, *log, *initdb = program("initdb");

	*server = (struct postgresql_server){ 0 };
	snprintf(server->folder, sizeof(server->folder), "/tmp/gantry-pg-XXXXXX");
	if (mkdtemp(server->folder) == NULL)
		fatal("no scratch folder");
	if (geteuid() == 0 && chown(server->folder, other_user()->pw_uid, other_user()->pw_gid) != 0)
		fatal("cannot give the scratch folder away");
	data = xasprintf("%s/data", server->folder);
	log = xasprintf("%s/log", server->folder);
	run_to_end((const char *const[]){ initdb, "-D", data, "-A", "trust", "-U", "gantry", "-E", "UTF8", "--no-locale",
		"--no-sync", "--no-instructions", NULL }, log);
	free(data);
	free(log);
	free(initdb);
}

static void pause_ms(long ms)
{
	const struct timespec time = { .tv_nsec = ms * 1000000 };

	nanosleep(&time, NULL);
}

void postgresql_server_start(struct postgresql_server *server)
{
	char *data = xasprintf("%s/data", server->folder), *log = xasprintf("%s/log", server->folder);
	char *postgres = program("postgres");
	char *where = xasprintf("host=%s user=gantry dbname=postgres", server->folder);

	server->pid = run((const char *const[]){ postgres, "-D", data, "-k", server->folder, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "max_connections=50",
		"-c", "max_wal_senders=0", "-c", "log_min_messages=log", NULL }, log);
	while (PQping(where) != PQPING_OK) {
		if (waitpid(server->pid, NULL, WNOHANG) == server->pid)
			fatal("PostgreSQL did not start, see %s", log);
		pause_ms(20);
	}
	free(data);
	free(log);
	free(postgres);
	free(where);
}

void postgresql_server_stop(struct postgresql_server *server)
{
	kill(server->pid, SIGQUIT);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

void postgresql_server_finish(struct postgresql_server *server)
{
	if (server->pid != 0)
		postgresql_server_stop(server);
	run_to_end((const char *const[]){ "rm", "-rf", server->folder, NULL }, "/dev/null");
	/* Its parent may be another user's. */
	rmdir(server->folder);
}

PGconn *postgresql_server_connect(const struct postgresql_server *server, const char *database)
{
	char *where = xasprintf("host=%s user=gantry dbname=%s", server->folder, database);
	PGconn *conn = PQconnectdb(where);

	if (PQstatus(conn) != CONNECTION_OK)
		fatal("%s", PQerrorMessage(conn));
	free(where);
	postgresql_run(conn, "SET client_min_messages = error");
	return conn;
}

static PGresult *carry_out(PGconn *conn, const char *fmt, va_list args)
{
	char *sql = xvasprintf(fmt, args);
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		fatal("%s: %s", sql, PQerrorMessage(conn));
	free(sql);
	return result;
}

void postgresql_run(PGconn *conn, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	PQclear(carry_out(conn, fmt, args));
	va_end(args);
}

long postgresql_number(PGconn *conn, const char *fmt, ...)
{
	PGresult *result;
	va_list args;
	long number;

	va_start(args, fmt);
	result = carry_out(conn, fmt, args);
	va_end(args);
	number = PQntuples(result) == 0 || PQgetisnull(result, 0, 0) ? -1 : strtol(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return number;
}

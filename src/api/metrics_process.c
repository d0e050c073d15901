/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_process.c - what each process uses, from proc(5), read only while somebody asks.
 *
 * What may not be read is left out: descriptors of a master that gave up root are root's to see. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/metrics_impl.h"

struct process {
	const char *role;
	int pid;
	const json_t *record;           /* the master's; NULL: the master itself */
	double resident_bytes, cpu_s, started_s, fds;   /* -1: unknown */
};

static FILE *open_proc(int pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

static double boot_time_s(void)
{
	FILE *file = fopen("/proc/stat", "re");
	char line[256];
	double at_s = -1;

	while (file != NULL && at_s < 0 && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "btime %lf", &at_s) != 1)
			at_s = -1;
	}
	if (file != NULL)
		fclose(file);
	return at_s;
}

/* The fields behind the program's name, which may hold anything, count from 3. */
static void read_stat(struct process *process, double booted_s)
{
	FILE *file = open_proc(process->pid, "stat");
	double tick_s = 1 / (double)sysconf(_SC_CLK_TCK);
	unsigned long user, system;
	unsigned long long started;
	long pages;
	char line[1024];
	const char *fields = NULL;

	if (file == NULL)
		return;
	if (fgets(line, sizeof(line), file) != NULL)
		fields = strrchr(line, ')');
	fclose(file);
	if (fields == NULL || sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d"
		" %*d %llu %*u %ld", &user, &system, &started, &pages) != 4)
		return;
	process->cpu_s = (double)(user + system) * tick_s;
	process->resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
	if (booted_s >= 0)
		process->started_s = booted_s + (double)started * tick_s;
}

static void count_fds(struct process *process)
{
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", process->pid);
	dir = opendir(path);
	if (dir == NULL)
		return;
	/* Less the two dots. */
	process->fds = -2;
	while (readdir(dir) != NULL)
		process->fds++;
	closedir(dir);
}

static struct process look_at(const char *role, int pid, const json_t *record, double booted_s)
{
	struct process process = {
		.role = role, .pid = pid, .record = record,
		.resident_bytes = -1, .cpu_s = -1, .started_s = -1, .fds = -1,
	};

	read_stat(&process, booted_s);
	count_fds(&process);
	return process;
}

static size_t find_all(const json_t *doc, struct process *processes)
{
	double booted_s = boot_time_s();
	const json_t *record;
	size_t i, count = 0;
	int pid;

	processes[count++] = look_at("master", (int)json_integer_value(json_object_get(doc, "pid")), NULL, booted_s);
	json_array_foreach(json_object_get(doc, "workers"), i, record) {
		const char *role = json_string_value(json_object_get(record, "role"));

		pid = (int)json_integer_value(json_object_get(record, "pid"));
		if (role != NULL && pid > 0 && count < LIMIT_METRICS_PROCESSES)
			processes[count++] = look_at(role, pid, record, booted_s);
	}
	return count;
}

typedef double measure_fn(const struct process *process);

static double resident(const struct process *process) { return process->resident_bytes; }
static double cpu(const struct process *process) { return process->cpu_s; }
static double started(const struct process *process) { return process->started_s; }
static double fds(const struct process *process) { return process->fds; }

/* What the process itself told the master; -1: not of this role. */
static double told(const struct process *process, const char *key, bool workers_only)
{
	if (process->record == NULL || (workers_only && strcmp(process->role, "worker") != 0))
		return -1;
	return (double)json_integer_value(json_object_get(process->record, key));
}

static double in_flight(const struct process *process) { return told(process, "in_flight", true); }
static double running(const struct process *process) { return told(process, "running", true); }
static double longest_commit(const struct process *process) { return told(process, "longest_commit_us", false) * 1e-6; }

void metrics_add_processes(struct metrics_page *page, const json_t *doc)
{
	static const struct { const char *name, *type, *help; measure_fn *measure; } families[] = {
		{ "gantry_process_resident_memory_bytes", "gauge", "Resident memory.", resident },
		{ "gantry_process_cpu_seconds_total", "counter", "Processor time used.", cpu },
		{ "gantry_process_start_time_seconds", "gauge", "When it began, since the epoch.", started },
		{ "gantry_process_open_fds", "gauge", "Open descriptors.", fds },
		{ "gantry_worker_in_flight_jobs", "gauge", "Jobs that a worker holds.", in_flight },
		{ "gantry_worker_running_deployments", "gauge", "Deployments of it that were launched and have not ended.", running },
		{ "gantry_store_longest_stall_seconds", "gauge", "The longest time the process stood still for the store.",
		  longest_commit },
	};
	static struct process none;
	struct process processes[LIMIT_METRICS_PROCESSES] = { none };
	size_t count = find_all(doc, processes);

	for (size_t k = 0; k < sizeof(families) / sizeof(*families); k++) {
		metrics_family(page, families[k].name, families[k].type, families[k].help);
		for (size_t i = 0; i < count; i++) {
			char pid[16];
			const struct metric_label labels[LIMIT_METRIC_LABELS] = { { "role", processes[i].role }, { "pid", pid } };

			snprintf(pid, sizeof(pid), "%d", processes[i].pid);
			if (families[k].measure(&processes[i]) >= 0)
				metrics_sample(page, families[k].name, labels, families[k].measure(&processes[i]));
		}
	}
}

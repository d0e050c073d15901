/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_state.c - how things are now: workers, generations and queues, as the master knows them. */
#include <string.h>

#include "api/metrics_impl.h"
#include "api/routes.h"

static double number_of(const json_t *object, const char *key)
{
	return (double)json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static void add_queues(struct metrics_page *page, const json_t *sums)
{
	static const struct { const char *key, *name, *help; double unit; } gauges[] = {
		{ "held", "gantry_queue_held_messages", "Messages that workers hold.", 1 },
		{ "receiving", "gantry_queue_open_receives", "Receives under way.", 1 },
		{ "last_receive_age_ms", "gantry_queue_last_receive_age_seconds", "Since a receive last came back.", 0.001 },
	};
	const json_t *sum;
	size_t i;

	for (size_t k = 0; k < sizeof(gauges) / sizeof(*gauges); k++) {
		metrics_family(page, gauges[k].name, "gauge", gauges[k].help);
		json_array_foreach(sums, i, sum) {
			const struct metric_label labels[LIMIT_METRIC_LABELS] = { { "queue", text_of(sum, "name") } };

			if (json_is_integer(json_object_get(sum, gauges[k].key)))
				metrics_sample(page, gauges[k].name, labels, number_of(sum, gauges[k].key) * gauges[k].unit);
		}
	}
}

static size_t count_workers(const json_t *workers, const char *state)
{
	const json_t *worker;
	size_t i, count = 0;

	json_array_foreach(workers, i, worker)
		count += strcmp(text_of(worker, "role"), "worker") == 0 && strcmp(text_of(worker, "state"), state) == 0;
	return count;
}

/* Those that are gone wait for their next start. */
static void add_workers(struct metrics_page *page, const json_t *workers)
{
	static const char *const states[] = { "starting", "ready", "active", "draining", "gone" };

	metrics_family(page, "gantry_workers", "gauge", "Workers by state, those of old generations included.");
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		const struct metric_label labels[LIMIT_METRIC_LABELS] = { { "state", states[i] } };

		metrics_sample(page, "gantry_workers", labels, (double)count_workers(workers, states[i]));
	}
}

static double wanted_workers(const json_t *doc)
{
	const json_t *generation;
	size_t i;

	json_array_foreach(json_object_get(doc, "generations"), i, generation) {
		if (number_of(generation, "number") == number_of(doc, "generation"))
			return number_of(generation, "workers");
	}
	return 0;
}

void metrics_add_state(struct metrics_page *page, const struct conf *conf, const json_t *doc)
{
	const struct metric_label version[LIMIT_METRIC_LABELS] = { { "version", text_of(doc, "version") } };
	json_t *sums = queue_sums(conf, doc, NULL);

	metrics_family(page, "gantry_build_info", "gauge", "1, for the version of gantryd that runs.");
	metrics_sample(page, "gantry_build_info", version, 1);
	metrics_single(page, "gantry_generation", "gauge", "The generation that runs.", number_of(doc, "generation"));
	metrics_single(page, "gantry_generations", "gauge", "Generations with a process left, the running one included.",
		(double)json_array_size(json_object_get(doc, "generations")));
	metrics_single(page, "gantry_upgrades_total", "counter", "Upgrades of the running program.", number_of(doc, "upgrades"));
	metrics_single(page, "gantry_workers_wanted", "gauge", "Workers that the running generation should have.",
		wanted_workers(doc));
	add_workers(page, json_object_get(doc, "workers"));
	add_queues(page, sums);
	json_decref(sums);
}

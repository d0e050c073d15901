/* SPDX-License-Identifier: Apache-2.0 */
/* sqs.c - the queues by name, and a look at the waiters once a loop turn. */
#include "sqs.h"

#include "sqs_group.h"
#include "xalloc.h"

static void on_prepare(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	struct sqs *sqs = container_of(prepare, struct sqs, serve);

	(void)loop, (void)revents;
	while (!list_empty(&sqs->dirty)) {
		struct sqs_queue *queue = container_of(sqs->dirty.next, struct sqs_queue, dirty);

		list_remove(&queue->dirty);
		sqs_serve_waiters(queue);
	}
}

struct sqs *sqs_create(struct world *world)
{
	struct sqs *sqs = xcalloc(1, sizeof(*sqs));

	sqs->world = world;
	list_init(&sqs->queues);
	list_init(&sqs->dirty);
	list_init(&sqs->moves);
	ev_prepare_init(&sqs->serve, on_prepare);
	ev_prepare_start(world->loop, &sqs->serve);
	return sqs;
}

void sqs_clear(struct sqs *sqs)
{
	struct list *node, *next;

	sqs_move_forget(sqs, NULL);
	list_each(node, next, &sqs->queues) {
		struct sqs_queue *queue = container_of(node, struct sqs_queue, peers);

		sqs_queue_purge(queue);
		sqs_dedup_clear(queue);
		queue->purged_ms = 0;
	}
	sqs->duplicate = sqs->resurrect = 0;
	sqs->empty_receives = 0;
}

void sqs_destroy(struct sqs *sqs)
{
	if (sqs == NULL)
		return;
	sqs_move_forget(sqs, NULL);
	while (!list_empty(&sqs->queues))
		sqs_queue_destroy(container_of(sqs->queues.next, struct sqs_queue, peers));
	table_finish(&sqs->queues_by_name);
	ev_prepare_stop(sqs->world->loop, &sqs->serve);
	free(sqs);
}

struct sqs_queue *sqs_find(struct sqs *sqs, const char *name)
{
	struct table_node *node = table_find(&sqs->queues_by_name, name);

	return node == NULL ? NULL : container_of(node, struct sqs_queue, by_name);
}

/* Only the path counts, as a client may have come by another name of this host. */
struct sqs_queue *sqs_find_url(struct sqs *sqs, const char *url)
{
	const char *name = strrchr(url, '/'), *account = name;

	if (name == NULL)
		return sqs_find(sqs, url);
	while (account > url && account[-1] != '/')
		account--;
	if ((size_t)(name - account) != sizeof(WORLD_ACCOUNT) - 1 ||
	    strspn(account, "0123456789") != sizeof(WORLD_ACCOUNT) - 1)
		return NULL;
	return sqs_find(sqs, name + 1);
}

struct sqs_queue *sqs_find_arn(struct sqs *sqs, const char *arn)
{
	const char *name = strrchr(arn, ':');

	if (strncmp(arn, "arn:", 4) != 0 || name == NULL)
		return NULL;
	return sqs_find(sqs, name + 1);
}

void sqs_mark_dirty(struct sqs_queue *queue)
{
	if (list_empty(&queue->dirty) && !list_empty(&queue->waiters))
		list_add_tail(&queue->sqs->dirty, &queue->dirty);
}

uint64_t sqs_next_sequence(struct sqs *sqs)
{
	return sqs->sequence += 256;
}

/* Twenty digits, more than 64 bits hold, as with AWS: clients must not count on a number. */
void sqs_sequence_number(uint64_t sequence, char number[SQS_SEQUENCE_ROOM])
{
	memcpy(number, "188", 3);
	for (unsigned i = 0; i < 17; i++, sequence /= 10)
		number[19 - i] = (char)('0' + sequence % 10);
	number[20] = '\0';
}

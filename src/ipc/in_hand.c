/* SPDX-License-Identifier: Apache-2.0 */
/* in_hand.c - see in_hand.h.  The worker only stores into the page: no call into the kernel per message. */
#include "ipc/in_hand.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int in_hand_create(struct error *err)
{
	int fd = memfd_create("in-hand", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* Sealed: a worker gone mad that made it shorter would take the master with it. */
	if (fd >= 0 && ftruncate(fd, sizeof(struct in_hand)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	error_set_errno(err, ERROR_TEMPORARY, "shared memory for a worker");
	if (fd >= 0)
		close(fd);
	return -1;
}

struct in_hand *in_hand_map(int fd, struct error *err)
{
	void *page = mmap(NULL, sizeof(struct in_hand), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page != MAP_FAILED)
		return page;
	error_set_errno(err, ERROR_TEMPORARY, "shared memory of a worker");
	return NULL;
}

void in_hand_unmap(struct in_hand *in_hand)
{
	if (in_hand != NULL)
		munmap(in_hand, sizeof(*in_hand));
}

void in_hand_take(struct in_hand *in_hand, const char *key)
{
	size_t size;

	if (in_hand == NULL)
		return;
	size = strnlen(key, sizeof(in_hand->key) - 1);
	memcpy(in_hand->key, key, size);
	in_hand->key[size] = '\0';
	/* The compiler must not move the key behind the flag: whoever dies next has it in hand. */
	atomic_signal_fence(memory_order_release);
	in_hand->taken = 1;
}

void in_hand_drop(struct in_hand *in_hand)
{
	if (in_hand != NULL)
		in_hand->taken = 0;
}

bool in_hand_read(const struct in_hand *in_hand, char key[IN_HAND_KEY_BYTES])
{
	if (in_hand == NULL || in_hand->taken == 0)
		return false;
	memcpy(key, in_hand->key, IN_HAND_KEY_BYTES);
	key[IN_HAND_KEY_BYTES - 1] = '\0';
	return key[0] != '\0';
}

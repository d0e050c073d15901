/* SPDX-License-Identifier: Apache-2.0 */
/* killed_at_start.c - a program that dies by a signal, as one with a broken library does. */
#include <signal.h>

int main(void)
{
	raise(SIGKILL);
	return 0;
}

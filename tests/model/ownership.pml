/* SPDX-License-Identifier: Apache-2.0 */
/* ownership.pml - who may act on a job, for spin: leases, fences, locks, adoption, tokens, redelivery.
 *
 * W workers, J jobs of one lock key, a queue with one message for each job, and ECS.  Everything that
 * may go wrong has a budget (CRASHES, STOPS, LOST, AGAIN, FAILS, FORGETS, FULL), so that every run ends: what
 * has to happen at last is asked of the state in which nothing can happen any more (over).
 *
 *      here                    there
 *      st, owner, fence, live  struct store_row, decided by src/store/store_rules*.c
 *      holder, grant           the row of locks: rules_first_stage(), pass_key()
 *      registered              the row of owners: rules_renew(), rules_reap()
 *      MINE                    find_ours(): a write names owner and fence
 *      hold                    enum holding_phase of src/worker/holding.h
 *      got                     struct batch of src/worker/intake.c: received, not admitted yet
 *      receipt, known          SQS's newest receipt handle; job->message.receipt in the store
 *      task, starts            ECS; a token is job_token(job, attempt): the pair (j, attempt)
 *      old                     the token's life is over: exec_token_life_ms()
 *
 * A step of a worker is what it does between two waits of its loop; a store call is one transaction.
 * Not in here: delays, message groups, priorities, cancelling; fallback steps, which are attempts here. */
#ifndef W
#define W 2
#endif
#ifndef J
#define J 1
#endif
#ifndef CRASHES
#define CRASHES 1       /* workers that die, at any step */
#endif
#ifndef STOPS
#define STOPS 1         /* workers that stand still, maybe past the end of their lease, and come back */
#endif
#ifndef LOST
#define LOST 1          /* RunTask without an answer, with or without effect */
#endif
#ifndef AGAIN
#define AGAIN 1         /* messages that SQS shows again though they are hidden */
#endif
#ifndef FAILS
#define FAILS 0         /* tasks that fail; there are two attempts */
#endif
#ifndef FORGETS
#define FORGETS 0       /* the token's life ends before the launch is known of */
#endif
#ifndef FULL
#define FULL 0          /* RunTask answers that there is no room; the next step has a token of its own */
#endif

#define AT(w, j) ((w) * J + (j))
#define ATTEMPTS 2
#define NOBODY 255

mtype = { absent, waiting, queued, launching, running, final };                 /* enum job_state */
mtype = { none, held_back, ready, asking, naming, watching, settling, noting }; /* enum holding_phase */
mtype = { never_run, refused, runs, succeeded, failed };

/* the store */
mtype st[J] = absent;
byte owner[J] = NOBODY, fence[J], attempt[J], known[J];
bool live[J];                   /* unfinished, or its message is not settled */
byte seq[J], seqs;
byte holder = NOBODY, grant, grant_of[J];
bool registered[W] = true;

/* SQS: a message is visible, hidden or deleted */
bool visible[J] = true, deleted[J];
byte receipt[J];

/* ECS */
mtype task[J * ATTEMPTS] = never_run;
byte starts[J * ATTEMPTS], running_tasks, last_fence;
bool old[J * ATTEMPTS];

/* workers */
mtype hold[W * J] = none;
byte got[W * J], my_fence[W * J], my_attempt[W * J];
bool stopped[W], dead[W];

/* what may still go wrong, and what must not */
byte crashes = CRASHES, stops = STOPS, lost = LOST, again = AGAIN, fails = FAILS, forgets = FORGETS, no_room = FULL;
bool stale_write, unfenced, over;

#define MINE(w, j) (owner[j] == w && fence[j] == my_fence[AT(w, j)])
#ifdef BUG_NO_FENCE             /* whoever held it once may write */
#define MAY_WRITE(w, j) true
#else
#define MAY_WRITE(w, j) MINE(w, j)
#endif
#define ACTS(w) (!dead[w] && !stopped[w])
#define TOKEN(w, j) ((j) * ATTEMPTS + my_attempt[AT(w, j)] - 1)
#define TASK(w, j) task[TOKEN(w, j)]

/* -- the store's transactions ------------------------------------------------------------------- */

inline take_key(j)
{
	holder = j;
	grant++;
	grant_of[j] = grant;
	st[j] = queued
}

/* next_waiter(): the waiting job that was accepted first. */
inline pass_key(j)
{
	if
	:: holder == j && grant_of[j] == grant ->
		holder = NOBODY;
		next = NOBODY;
		for (i : 0 .. J - 1) {
			if
			:: st[i] == waiting && (next == NOBODY || seq[i] < seq[next]) -> next = i
			:: else
			fi
		}
		if
#ifndef BUG_NOBODY_WOKEN        /* a key that becomes free is given to nobody */
		:: next != NOBODY -> take_key(next)
#endif
		:: else
		fi
	:: else
	fi
}

/* rules_reap(), rules_disown(): the jobs of an owner become nobody's. */
inline release(w)
{
	registered[w] = false;
	for (i : 0 .. J - 1) {
		if
		:: owner[i] == w ->
			owner[i] = NOBODY;
#ifdef BUG_RELEASE_FREES_LOCK   /* the lock goes with the owner, though the task goes on */
			if
			:: st[i] != final && holder == i -> holder = NOBODY
			:: else
			fi
#endif
		:: else
		fi
	}
}

/* -- ECS ---------------------------------------------------------------------------------------- */

/* RunTask under the token of the attempt that w knows of: known, it is the task of the first time. */
inline run_task(w, j)
{
	if
#ifdef BUG_FRESH_TOKEN          /* every ask makes a token of its own */
	:: true ->
#else
	:: TASK(w, j) == never_run || old[TOKEN(w, j)] ->
#endif
		starts[TOKEN(w, j)]++;
		unfenced = unfenced || grant_of[j] < last_fence;
		last_fence = grant_of[j];
		running_tasks++;
		TASK(w, j) = runs
#ifndef BUG_FRESH_TOKEN
	:: else
#endif
	fi
}

/* -- a worker ----------------------------------------------------------------------------------- */

/* on_admitted() of intake.c, rules_admit() of the store. */
inline admit(w, j)
{
	if
	:: st[j] == absent ->
		seqs++;
		seq[j] = seqs;
		owner[j] = w;
		fence[j] = 1;
		my_fence[AT(w, j)] = 1;
		live[j] = true;
		known[j] = got[AT(w, j)];
		if
		:: holder == NOBODY -> take_key(j); hold[AT(w, j)] = ready
		:: else -> st[j] = waiting; hold[AT(w, j)] = held_back
		fi
	:: st[j] == final ->
		if
		:: got[AT(w, j)] == receipt[j] -> deleted[j] = true
		:: else
		fi;
		known[j] = got[AT(w, j)]
	:: else -> known[j] = got[AT(w, j)]     /* a redelivery: the newest handle is kept, no start */
	fi;
	got[AT(w, j)] = 0
}

/* go_on() of adopt.c */
inline adopt(w, j)
{
	owner[j] = w;
	fence[j]++;
	my_fence[AT(w, j)] = fence[j];
	my_attempt[AT(w, j)] = attempt[j];
	if
	:: st[j] == waiting -> hold[AT(w, j)] = held_back
	:: st[j] == queued -> hold[AT(w, j)] = ready
#ifdef BUG_ADOPTER_STARTS_ANEW  /* an intent without a task is taken for one that was never asked for */
	:: st[j] == launching && my_attempt[AT(w, j)] < ATTEMPTS -> st[j] = queued; hold[AT(w, j)] = ready
	:: st[j] == launching && attempt[j] == ATTEMPTS -> hold[AT(w, j)] = asking
#else
	:: st[j] == launching -> hold[AT(w, j)] = asking
#endif
	:: st[j] == running -> hold[AT(w, j)] = watching
	:: st[j] == final -> hold[AT(w, j)] = settling
	fi
}

inline forget_all(w)
{
	for (i : 0 .. J - 1) {
		hold[AT(w, i)] = none;
		got[AT(w, i)] = 0;
		my_fence[AT(w, i)] = 0;
		my_attempt[AT(w, i)] = 0
	}
}

/* store_finish(): result and lock in one transaction. */
inline finish(w, j)
{
	st[j] = final;
	pass_key(j)
}

#define STEPS(w, j) \
	:: atomic { ACTS(w) && visible[j] && !deleted[j] && got[AT(w, j)] == 0 -> /* ReceiveMessage */ \
		visible[j] = false; receipt[j]++; got[AT(w, j)] = receipt[j]; RECEIVED(j) } \
	/* Its lease has ended: ERROR_LOST, the batch is tried again until it leaves. */ \
	:: atomic { ACTS(w) && got[AT(w, j)] > 0 && registered[w] -> admit(w, j) } \
	:: atomic { ACTS(w) && registered[w] && owner[j] == NOBODY && st[j] != absent && live[j] && \
		hold[AT(w, j)] == none -> adopt(w, j) } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == held_back && st[j] == queued && MINE(w, j) -> /* the sweep */ \
		hold[AT(w, j)] = ready } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == ready -> \
		if \
		:: MAY_WRITE(w, j) -> WROTE(w, j); attempt[j]++; my_attempt[AT(w, j)] = attempt[j]; st[j] = launching; hold[AT(w, j)] = asking \
		:: else -> hold[AT(w, j)] = none \
		fi } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == asking && !TOO_LATE(w, j) -> \
		if \
		:: TASK(w, j) != refused -> run_task(w, j); hold[AT(w, j)] = naming \
		:: TASK(w, j) != refused && lost > 0 -> lost--; run_task(w, j) \
		:: TASK(w, j) != refused && lost > 0 -> lost-- \
		:: TASK(w, j) == never_run && no_room > 0 && my_attempt[AT(w, j)] < ATTEMPTS -> no_room--; REFUSED(w, j); hold[AT(w, j)] = ready \
		:: TASK(w, j) == refused -> hold[AT(w, j)] = ready \
		fi } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == asking && TOO_LATE(w, j) -> /* exec_look() */ \
		if \
		:: TASK(w, j) != never_run -> hold[AT(w, j)] = naming \
		:: TASK(w, j) == never_run && MAY_WRITE(w, j) -> /* failed: uncertain */ \
			WROTE(w, j); finish(w, j); hold[AT(w, j)] = settling \
		:: else -> hold[AT(w, j)] = none \
		fi } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == naming -> /* store_started() */ \
		if \
		:: MAY_WRITE(w, j) -> WROTE(w, j); st[j] = running; hold[AT(w, j)] = watching \
		:: else -> hold[AT(w, j)] = none \
		fi } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == watching && TASK(w, j) == failed && my_attempt[AT(w, j)] < ATTEMPTS -> \
		if \
		:: MAY_WRITE(w, j) -> WROTE(w, j); st[j] = queued; hold[AT(w, j)] = ready \
		:: else -> hold[AT(w, j)] = none \
		fi } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == watching && \
		(TASK(w, j) == succeeded || (TASK(w, j) == failed && my_attempt[AT(w, j)] == ATTEMPTS)) -> \
		if \
		:: MAY_WRITE(w, j) -> WROTE(w, j); finish(w, j); hold[AT(w, j)] = settling \
		:: else -> hold[AT(w, j)] = none \
		fi } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == settling -> /* DeleteMessage */ \
		if \
		:: known[j] == receipt[j] -> deleted[j] = true \
		:: else \
		fi; \
		hold[AT(w, j)] = noting } \
	:: atomic { ACTS(w) && hold[AT(w, j)] == noting -> \
		if \
		:: MAY_WRITE(w, j) -> WROTE(w, j); live[j] = false \
		:: else \
		fi; \
		hold[AT(w, j)] = none }

#define WROTE(w, j) stale_write = stale_write || !MINE(w, j)
#ifdef BUG_ACKNOWLEDGE_FIRST    /* the message is gone before the store has its job */
#define RECEIVED(j) deleted[j] = true
#else
#define RECEIVED(j) skip
#endif
#ifdef BUG_REFUSAL_FORGOTTEN    /* not ours: ECS answers an ask that it has refused otherwise when it comes again */
#define REFUSED(w, j) skip
#else
#define REFUSED(w, j) TASK(w, j) = refused
#endif
#ifdef BUG_NO_LOOK              /* asks again under a token that may be forgotten */
#define TOO_LATE(w, j) false
#else
#define TOO_LATE(w, j) old[TOKEN(w, j)]
#endif

proctype worker(byte w)
{
	byte i, next;

end:	do
	STEPS(w, 0)
#if J > 1
	STEPS(w, 1)
#endif
	:: atomic { crashes > 0 && ACTS(w) -> crashes--; dead[w] = true; forget_all(w) }
	/* The master has told of the death, or its lease has ended; the next one in its place has another name. */
	:: atomic { dead[w] -> release(w); dead[w] = false; registered[w] = true }
	:: atomic { stops > 0 && ACTS(w) -> stops--; stopped[w] = true }
	:: atomic { stopped[w] && registered[w] -> release(w) }         /* others reap it */
	:: atomic { stopped[w] -> stopped[w] = false }
	/* on_renewed(): its lease had ended; it leaves, and another comes. */
	:: atomic { ACTS(w) && !registered[w] -> forget_all(w); registered[w] = true }
	od
}

/* -- the world ---------------------------------------------------------------------------------- */

#define LATEST(j) ((j) * ATTEMPTS + attempt[j] - 1)
#define IN_HAND(j) (got[j] > 0 || got[AT(1, j)] > 0)

#define WORLD(j) \
	ENDS((j) * ATTEMPTS) \
	ENDS((j) * ATTEMPTS + 1) \
	:: atomic { forgets > 0 && st[j] == launching && !old[LATEST(j)] -> forgets--; old[LATEST(j)] = true } \
	/* Nobody keeps it hidden. */ \
	:: atomic { !visible[j] && !deleted[j] && !IN_HAND(j) && (st[j] == absent || (st[j] == final && !live[j])) -> \
		visible[j] = true } \
	/* At least once: it comes again though somebody does. */ \
	:: atomic { again > 0 && !visible[j] && !deleted[j] -> again--; visible[j] = true }

#define ENDS(t) \
	:: atomic { task[t] == runs -> running_tasks--; task[t] = succeeded } \
	:: atomic { task[t] == runs && fails > 0 -> fails--; running_tasks--; task[t] = failed }

active proctype world()
{
end:	do
	WORLD(0)
#if J > 1
	WORLD(1)
#endif
	/* From now on nothing goes wrong any more: what then still does not end, hangs. */
	:: atomic { crashes + stops + lost + again + fails + forgets + no_room > 0 -> crashes = 0; stops = 0; lost = 0;
		again = 0; fails = 0; forgets = 0; no_room = 0 }
	od
}

active proctype judge()
{
	timeout -> over = true
}

init
{
	atomic {
		run worker(0);
		run worker(1)
	}
}

/* -- what is promised --------------------------------------------------------------------------- */

#define ONCE(j) (starts[(j) * ATTEMPTS] <= 1 && starts[(j) * ATTEMPTS + 1] <= 1)
#define ENDED(j) (st[j] == final && !live[j] && deleted[j])
#if J > 1
#define ALL(what) (what(0) && what(1))
#else
#define ALL(what) what(0)
#endif

/* At most one task for each attempt. */
ltl once { [] ALL(ONCE) }
/* Nothing of one key interleaves. */
ltl alone { [] (running_tasks <= 1) }
/* A task never starts under a grant that is older than one that was used. */
ltl fenced { [] !unfenced }
/* No write of an owner that has been replaced takes effect. */
ltl owners { [] !stale_write }
/* Every job ends, its message is gone, its lock free, nobody owns it. */
ltl ends { [] (over -> (ALL(ENDED) && holder == NOBODY && running_tasks == 0)) }

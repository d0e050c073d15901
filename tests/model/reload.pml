/* SPDX-License-Identifier: Apache-2.0 */
/* reload.pml - the reload transaction, for spin: master, generations, readiness, commit, rollback, drain,
 * hand-over; and what becomes of jobs meanwhile.
 *
 * A generation has N workers; GENERATIONS of them may exist.  Somebody edits the configuration and
 * sends HUP; the edit may be refused by the check, or its workers may refuse it.  Workers and the
 * master die at any step.  All of that has a budget, so that every run ends: what has to happen at last
 * is asked of the state in which nothing can happen any more (over).
 *
 *      here                    there
 *      child                   enum child_state: what the master thinks; src/master/child_state.c
 *      does                    enum worker_state: what the process does; src/worker/worker.h
 *      says_ready, ended       REPORT_READY and SIGCHLD, on their way to the master
 *      go, leave               REPORT_GO; REPORT_DRAIN or REPORT_EXIT, and end of file for a dead master's
 *      state                   enum generation_state: src/master/generation.h
 *      begin, commit, fail     reload_begin(), reload_commit(), reload_fail(): src/master/reload.c
 *      ROOM                    reload_has_room()
 *      reap                    generation_child_gone()
 *      hand_over               drain_release(): src/worker/drain.c
 *      st, owner               the store: ownership.pml has the whole of it
 *
 * The deadlines of the master are not in here: a worker that it kills is one that dies.  Nor is the
 * upgrade, which keeps the table of children as it is. */
#ifndef N
#define N 2             /* workers of a generation */
#endif
#ifndef OLD
#define OLD 1           /* supervisor.old_generations */
#endif
#ifndef GENERATIONS
#define GENERATIONS (OLD + 2)   /* the running one, the old ones, and one that prepares or was rolled back */
#endif
#ifndef HUPS
#define HUPS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef KILLS
#define KILLS 0         /* of the master */
#endif
#ifndef RESTARTS
#define RESTARTS KILLS  /* somebody starts it again */
#endif
#ifndef TERMS
#define TERMS 0
#endif
#ifndef J
#define J 1
#endif

#define C (GENERATIONS * N)
#define NONE 255

mtype = { gone, starting, ready, at_work, draining };           /* child */
mtype = { absent, warming, parked, working, leaving };          /* does */
mtype = { unused, preparing, current, old, aborted };           /* state */
mtype = { sent, admitted, asked, running, done };               /* st; asked is known to the owner alone */

/* the master */
mtype state[GENERATIONS] = unused;
mtype child[C] = gone;
byte cur = NONE, made;                  /* the current one; the one that prepares, while in_reload */
bool alive = true, in_reload, hup, stopping, stopped;
byte edited = 1, checked, runs;         /* versions of the file: on disk, read by the check, of the current one */
bool refused_last;                      /* the last verdict was not "committed" */

/* workers */
mtype does[C] = absent;
bool says_ready[C], ended[C], go[C], leave[C], bad[C];
bool died[C];                           /* not by order, and nobody has taken its place yet */

/* jobs */
mtype st[J] = sent;
byte owner[J] = NONE, starts[J];

byte hups = HUPS, crashes = CRASHES, kills = KILLS, restarts = RESTARTS, terms = TERMS;
bool early, lost, over;

#define PLACE(g, i) ((g) * N + (i))
#if N > 1
#define EACH_OF(g, what) (what(PLACE(g, 0)) && what(PLACE(g, 1)))
#else
#define EACH_OF(g, what) what(PLACE(g, 0))
#endif
#if GENERATIONS > 3
#define COUNT(what) ((state[0] == what) + (state[1] == what) + (state[2] == what) + (state[3] == what))
#define EACH(what) (EACH_OF(0, what) && EACH_OF(1, what) && EACH_OF(2, what) && EACH_OF(3, what))
#define ANY_FREE (FREE(0) || FREE(1) || FREE(2) || FREE(3))
#else
#define COUNT(what) ((state[0] == what) + (state[1] == what) + (state[2] == what))
#define EACH(what) (EACH_OF(0, what) && EACH_OF(1, what) && EACH_OF(2, what))
#define ANY_FREE (FREE(0) || FREE(1) || FREE(2))
#endif
#define GONE(c) (child[c] == gone)
#define ABSENT(c) (does[c] == absent)
#define READY(c) (child[c] == ready)
#define FREE(g) (state[g] == unused && EACH_OF(g, ABSENT) && EACH_OF(g, GONE))


/* -- the master --------------------------------------------------------------------------------- */

/* child_start() */
inline start(c, refuses)
{
	child[c] = starting;
	does[c] = warming;
	bad[c] = refuses;
	go[c] = false;
	leave[c] = false;
	says_ready[c] = false;
	ended[c] = false
}

/* generation_retire(): DRAIN to who works, EXIT to the others. */
inline retire(g, to)
{
	state[g] = to;
	for (i : PLACE(g, 0) .. PLACE(g, N - 1)) {
		if
		:: child[i] != gone -> child[i] = draining; leave[i] = true
		:: else
		fi
	}
}

/* start_workers() of an edition that the last of them may refuse. */
inline start_workers(refuses)
{
	if
	:: FREE(0) -> made = 0
	:: !FREE(0) && FREE(1) -> made = 1
	:: !FREE(0) && !FREE(1) && FREE(2) -> made = 2
#if GENERATIONS > 3
	:: !FREE(0) && !FREE(1) && !FREE(2) -> made = 3
#endif
	fi;
	in_reload = true;
	state[made] = preparing;
	for (i : PLACE(made, 0) .. PLACE(made, N - 1)) {
		died[i] = false;
		start(i, refuses && i == PLACE(made, N - 1))
	}
}

/* The check has read the file.  Nobody has touched the running generation. */
inline begin()
{
#ifndef BUG_CLEAR_LATE
	hup = false;
#endif
	checked = edited;
	if
	:: cur != NONE -> refused_last = true           /* the check refuses it */
	:: cur != NONE -> start_workers(true)
	:: start_workers(false)
	fi;
#ifdef BUG_DRAIN_FIRST          /* the old ones make room before the new ones are ready */
	if
	:: cur != NONE && in_reload ->
		for (i : PLACE(cur, 0) .. PLACE(cur, N - 1)) {
			leave[i] = true
		}
	:: else
	fi
#endif
}

/* reload_commit(): one step, GO to the new and DRAIN to the old. */
inline commit()
{
	was = cur;
	cur = made;
	state[cur] = current;
	in_reload = false;
	refused_last = false;
	runs = checked;
#ifdef BUG_CLEAR_LATE           /* a HUP that came while it prepared is forgotten */
	hup = false;
#endif
	for (i : PLACE(cur, 0) .. PLACE(cur, N - 1)) {
		if
		:: child[i] == ready -> child[i] = at_work; go[i] = true
		:: else
		fi
	}
	if
	:: was != NONE -> retire(was, old)
	:: else
	fi
}

/* reload_fail().  A first start that fails ends the daemon; here it is started again. */
inline fail()
{
	in_reload = false;
	refused_last = true;
	retire(made, aborted)
}

/* generation_child_ready() */
inline hear_ready(c)
{
	says_ready[c] = false;
	g = (c) / N;
	if
	:: child[c] == starting && state[g] == current -> child[c] = at_work; go[c] = true
	:: child[c] == starting && state[g] == preparing ->
		child[c] = ready;
		if
#ifdef BUG_COMMIT_ON_FIRST      /* the first ready worker is enough */
		:: true -> commit()
#else
		:: EACH_OF(g, READY) -> commit()
		:: else
#endif
		fi
	:: else
	fi
}

/* generation_child_gone(), roster_sweep() */
inline reap(c)
{
	ended[c] = false;
	child[c] = gone;
	g = (c) / N;
	if
	:: state[g] == preparing -> fail()
	:: state[g] == current && !stopping -> start(c, false)
	:: else
	fi;
	if
	:: EACH_OF(g, GONE) && (state[g] == old || state[g] == aborted) -> state[g] = unused
	:: else
	fi
}

#ifdef BUG_NO_ROOM              /* as many old generations as there are reloads */
#define ROOM ANY_FREE
#else
#define ROOM (ANY_FREE && COUNT(aborted) == 0 && COUNT(old) < OLD)
#endif

/* A channel's last words are read before the end of its process. */
#define HEARS(c) \
	:: atomic { alive && says_ready[c] -> hear_ready(c) } \
	:: atomic { alive && ended[c] && !says_ready[c] -> reap(c) }

proctype master()
{
	byte i, g, was;

end:	do
	:: atomic { alive && !stopping && !in_reload && (hup || cur == NONE) && ROOM -> begin() }
	HEARS(0)
	HEARS(1)
	HEARS(2)
#if C > 3
	HEARS(3)
#endif
#if C > 4
	HEARS(4)
	HEARS(5)
#endif
#if C > 6
	HEARS(6)
	HEARS(7)
#endif
	/* reload_cancel(), and the graceful stop */
	:: atomic { alive && terms > 0 && !stopping && cur != NONE ->
		terms--;
		stopping = true;
		hup = false;
		if
		:: in_reload -> fail()
		:: else
		fi;
		retire(cur, old) }
	:: atomic { alive && stopping && !stopped && EACH(GONE) -> stopped = true }
	/* It is killed: the ends of its channels tell its children, whom the next one does not know. */
	:: atomic { alive && kills > 0 && !stopping ->
		kills--;
		alive = false;
		cur = NONE;
		in_reload = false;
		hup = false;
		refused_last = false;
		for (i : 0 .. C - 1) {
#ifndef BUG_NO_END_OF_FILE
			leave[i] = leave[i] || does[i] != absent;
#endif
			child[i] = gone;
			says_ready[i] = false;
			ended[i] = false
		}
		for (i : 0 .. GENERATIONS - 1) {
			state[i] = unused
		} }
	:: atomic { !alive && restarts > 0 -> restarts--; alive = true }
	od
}

/* -- a worker ----------------------------------------------------------------------------------- */

/* What the next owner needs is in the store; what only this one knew is asked for again, under the same
 * token. */
inline hand_over(c)
{
	for (j : 0 .. J - 1) {
		if
		:: owner[j] == c ->
			owner[j] = NONE;
			if
			:: st[j] == asked -> st[j] = admitted
			:: else
			fi
		:: else
		fi
	}
}

inline leaves(c)
{
	does[c] = absent;
	ended[c] = child[c] != gone
}

inline run_task(j)
{
#ifdef BUG_NEW_TOKEN            /* the next owner asks under a token of its own */
	starts[j]++
#else
	if
	:: starts[j] == 0 -> starts[j] = 1
	:: else
	fi
#endif
}

#define HAS(c, j) (owner[j] == c && (does[c] == working || does[c] == leaving))

#define JOB(c, j) \
	:: atomic { does[c] == working && st[j] == sent -> TAKE(c, j) } \
	:: atomic { does[c] == working && st[j] != sent && st[j] != done && owner[j] == NONE -> owner[j] = c } \
	:: atomic { HAS(c, j) && st[j] == admitted -> run_task(j); st[j] = asked } \
	:: atomic { HAS(c, j) && st[j] == asked -> st[j] = running } \
	:: atomic { HAS(c, j) && st[j] == running -> st[j] = done; owner[j] = NONE }

#define TAKE(c, j) early = early || state[(c) / N] == preparing; st[j] = admitted; owner[j] = c

#ifdef BUG_ACKNOWLEDGE_FIRST    /* the message is deleted when it is received; the worker alone knows of the job */
#define DIES(c) lost = lost || owner[0] == c
#else
#define DIES(c) skip
#endif

proctype worker(byte c)
{
	byte j;

end:	do
	:: atomic { does[c] == warming && !leave[c] && !bad[c] -> says_ready[c] = child[c] != gone;
#ifdef BUG_EAGER                /* a worker that is ready begins */
		does[c] = working }
#else
		does[c] = parked }
#endif
	:: atomic { does[c] == warming && bad[c] -> leaves(c) }         /* REPORT_REFUSED */
	:: atomic { does[c] == parked && go[c] -> does[c] = working; died[c] = false }
	/* Words come in order: a GO before the DRAIN. */
	:: atomic { (does[c] == warming || (does[c] == parked && !go[c])) && leave[c] -> leaves(c) }
	:: atomic { does[c] == working && leave[c] -> does[c] = leaving }
	JOB(c, 0)
#if J > 1
	JOB(c, 1)
#endif
	/* It holds nothing any more, or its time is over. */
#ifdef BUG_NO_HAND_OVER
	:: atomic { does[c] == leaving -> leaves(c) }
#else
	:: atomic { does[c] == leaving -> hand_over(c); leaves(c) }
#endif
	/* Its jobs are free when the master or the end of its lease says so: ownership.pml. */
	:: atomic { crashes > 0 && does[c] != absent -> crashes--; DIES(c); hand_over(c); died[c] = true; leaves(c) }
	od
}

/* -- the world ---------------------------------------------------------------------------------- */

active proctype operator()
{
end:	do
	:: atomic { hups > 0 && alive && !stopping -> hups--; edited++; hup = true }
	/* From now on nothing happens any more: what then still does not end, hangs. */
	:: atomic { hups + crashes + kills + terms > 0 -> hups = 0; crashes = 0; kills = 0; terms = 0 }
	od
}

active proctype judge()
{
	timeout -> over = true
}

init
{
	byte c;

	atomic {
		run master();
		for (c : 0 .. C - 1) {
			run worker(c)
		}
	}
}

/* -- what is promised --------------------------------------------------------------------------- */

#define RECEIVES(c) ((!leave[c] && (does[c] == working || (does[c] == parked && go[c]))) || died[c])
#define GOOD (alive && !stopping)
#if J > 1
#define OF_ALL(what) (what(0) && what(1))
#else
#define OF_ALL(what) what(0)
#endif
#define ONCE(j) (starts[j] <= 1)
#define DONE(j) (st[j] == done)
#define KEPT(j) (owner[j] == NONE)

/* Each place of the running generation has a worker that receives, or one that died by itself and is
 * being replaced. */
ltl poller { [] (!(GOOD && cur != NONE) || EACH_OF(cur, RECEIVES)) }
/* No generation takes a job before it is committed. */
ltl parked_first { [] !early }
/* No accepted job is lost: it ends, or lies in the store for the next daemon. */
ltl kept { [] (!lost && (over -> (OF_ALL(KEPT) && (!GOOD || OF_ALL(DONE))))) }
/* No task is launched twice. */
ltl once { [] OF_ALL(ONCE) }
/* There is a bound to the generations alive at once. */
ltl bounded { [] (COUNT(old) <= OLD + stopping && GENERATIONS - COUNT(unused) <= OLD + 2) }
/* Every reload ends in a verdict, and every HUP gets one. */
ltl verdict { [] (over -> (!in_reload && (!GOOD || (!hup && cur != NONE)))) }
/* When all is quiet and the last verdict was good, what runs is what was written last. */
ltl newest { [] ((GOOD && cur != NONE && !in_reload && !hup && !refused_last) -> runs == edited) }
/* A stop ends, and nobody outlives the master for ever. */
ltl leaves_all { [] (over -> (GOOD || EACH(ABSENT))) }

"use strict";
/* One stream is open at a time, and none in a tab that nobody looks at: browsers allow few connections to a host.
   The token stays in this tab's storage and goes only into a header, so streams are read with fetch(). */

const FINAL = ["succeeded", "failed", "cancelled", "superseded"];
const STATES = ["queued", "waiting", "launching", "running", "cancelling", ...FINAL];
const SILENT_MS = 40000, HIDDEN_MS = 20000;     /* the server says something every 15 s */
const LOG_TAIL = 512 << 10, LOG_KEPT = 2 << 20;
const at = id => document.getElementById(id);
const sleep = ms => new Promise(resume => setTimeout(resume, ms));
const path = id => "/v1/jobs/" + encodeURIComponent(id);
const page = id => "#/job/" + encodeURIComponent(id);

let token = sessionStorage.getItem("gantry-token") || "", access = null;
let skew = 0;                                   /* the server's clock less ours */

function make(tag, properties = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...inside.filter(part => part !== null && part !== undefined && part !== ""));
  return node;
}

function show(node, on, text) {
  node.hidden = !on;
  if (on && text !== undefined && node.textContent !== text) node.textContent = text;
}

/* -- times and sizes -------------------------------------------------------------------------- */

function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000)), two = n => String(n).padStart(2, "0");
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " m " + two(s % 60) + " s";
  if (s < 86400) return Math.floor(s / 3600) + " h " + two(Math.floor(s % 3600 / 60)) + " m";
  return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
}

function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  return s < 5 ? "just now" : (s < 60 ? s + " s" : s < 3600 ? Math.floor(s / 60) + " m" : s < 86400 ? Math.floor(s / 3600) + " h" :
    Math.floor(s / 86400) + " d") + " ago";
}

const now = () => Date.now() + skew;
/* The date is told when it is not today's. */
function local(stamp) {
  const date = new Date(stamp), today = date.toDateString() === new Date(now()).toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

const size = n => n < 1024 ? n + " B" : n < 1048576 ? (n / 1024).toFixed(1) + " KiB" : (n / 1048576).toFixed(1) + " MiB";

/* Goes on counting by itself. */
function clock(stamp, kind) {
  if (!stamp) return "";
  const node = make("time", { dateTime: stamp, title: local(stamp) });
  node.dataset.kind = kind;
  tick(node);
  return node;
}

function tick(node) {
  const text = (node.dataset.kind === "ago" ? ago : span)(now() - Date.parse(node.dateTime));
  if (node.textContent !== text) node.textContent = text;
}

setInterval(() => { if (!document.hidden) document.querySelectorAll("time[data-kind]").forEach(tick); }, 1000);

/* -- asking the server ------------------------------------------------------------------------ */

class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

async function call(where, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: "Bearer " + token } : {}) };
  const answer = await fetch(where, { ...options, headers, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  const doc = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, (doc.error || "HTTP " + answer.status) + (doc.detail ? ": " + doc.detail : ""));
}

const ask = async (where, options) => (await call(where, options)).json();

/* Reads a stream of server-sent events (WHATWG HTML, 9.2.6) until it ends. */
async function read(answer, heard, take) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    text += value;
    const end = text.lastIndexOf("\n\n");
    if (end < 0) continue;
    for (const block of text.slice(0, end).split("\n\n")) {
      const fields = {};
      for (const line of block.split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
      }
      if (fields.event) take(fields.event, JSON.parse(fields.data), fields.id);
    }
    text = text.slice(end + 2);
  }
}

/* The stream of the view, opened again whenever it breaks. */
const stream = {
  source: null, abort: null, pause: null, hurry: null, last: "",

  follow(source) {
    this.stop();
    this.source = source;
    this.last = source.last || "";
    if (document.hidden) link("", "paused");
    else this.run(this.abort = new AbortController());
  },

  stop() {
    this.source = null;
    if (this.abort) this.abort.abort();
    this.abort = null;
  },

  async run(abort) {
    const { source } = this;
    for (let tries = 0; !abort.signal.aborted; tries++) {
      const once = new AbortController(), stop = () => once.abort();
      let guard = null;
      abort.signal.addEventListener("abort", stop, { once: true });
      const heard = () => { clearTimeout(guard); guard = setTimeout(stop, SILENT_MS); };
      try {
        heard();
        const answer = await call(source.where, { signal: once.signal, headers: this.last ? { "Last-Event-ID": this.last } : {} });
        if (abort.signal.aborted) return;
        tries = 0;
        link("live", "live");
        await read(answer, heard, (event, doc, id) => {
          if (abort.signal.aborted) return;
          this.last = source.resumes ? id : "";
          source.take(event, doc);
        });
      } catch (error) {
        if (abort.signal.aborted) return;
        if (error instanceof Refused && error.status < 500 && error.status !== 429) {
          source.refused(error);
          return;
        }
      } finally {
        clearTimeout(guard);
        abort.signal.removeEventListener("abort", stop);
      }
      if (abort.signal.aborted) return;
      if (source.over && source.over()) {
        link("live", "ended");
        return;
      }
      if (tries > 0) link("lost", "reconnecting");
      await Promise.race([sleep(Math.min(250 * 2 ** tries, 10000)), new Promise(resume => { this.hurry = resume; })]);
    }
  },
};

document.addEventListener("visibilitychange", () => {
  clearTimeout(stream.pause);
  if (document.hidden) {
    stream.pause = setTimeout(() => {
      if (stream.abort) stream.abort.abort();
      stream.abort = null;
      if (stream.source) link("", "paused");
    }, HIDDEN_MS);
  } else if (stream.source && !stream.abort && !(stream.source.over && stream.source.over())) {
    stream.run(stream.abort = new AbortController());
  }
});
addEventListener("online", () => { if (stream.hurry) stream.hurry(); });

/* What is seen while nothing is heard says since when. */
function link(kind, text) {
  if (at("link").className === "link " + kind && kind === "lost") return;
  at("link").className = "link " + kind;
  at("link-text").textContent = kind === "lost" ? text + " since " + new Date().toLocaleTimeString() : text;
  at("main").classList.toggle("stale", kind === "lost");
}

function say(text) {
  at("say").textContent = text;
}

function complain(text) {
  show(at("trouble"), Boolean(text), text || "");
}

/* -- rows of jobs ----------------------------------------------------------------------------- */

const badge = state => make("span", { className: "state " + state }, state);
const version = job => [job.ref, job.commit && job.commit.slice(0, 7)].filter(Boolean).join(" @ ");
const started = job => job.attempt && job.attempt.started;

/* The detail is a sentence that says more than the reason's one word, if there is one. */
function verdict(job) {
  const word = (job.reason || "").replace(/_/g, " ");
  return job.detail ? job.detail : word === "exit code" ? "exit status " + job.exit_code : word;
}

function took(job) {
  const ms = started(job) && job.finished ? Date.parse(job.finished) - Date.parse(started(job)) : -1;
  return ms < 0 ? "" : ms < 9950 ? (ms / 1000).toFixed(1) + " s" : span(ms);
}

function cell(className, title, ...inside) {
  return make("td", { className, title: title || "" }, ...inside);
}

function row(job, behind, ...cells) {
  const line = make("tr", { className: behind ? "behind" : "" },
    cell("", "", badge(job.state)), cell("project", job.project, job.project || ""),
    cell("job", job.id, make("a", { href: page(job.id), textContent: job.id })), cell("", version(job), version(job)), ...cells);
  line.addEventListener("click", event => {
    if (!event.target.closest("a") && getSelection().isCollapsed) location.hash = page(job.id);
  });
  return line;
}

/* Brings a table's body to these rows, each [key, sign, make]: one whose sign is the same stays, and with it the focus. */
function arrange(table, rows) {
  const body = at(table).tBodies[0], old = new Map([...body.children].map(line => [line.dataset.key, line]));
  const focused = document.activeElement && document.activeElement.closest && document.activeElement.closest("tr");
  const wanted = rows.map(([key, sign, create]) => {
    const known = old.get(key);
    if (known && known.dataset.sign === sign) return known;
    const line = create();
    line.dataset.key = key;
    line.dataset.sign = sign;
    return line;
  });
  const kept = new Set(wanted);
  let focus = null;
  for (const line of old.values()) {
    if (kept.has(line)) continue;
    if (line === focused) focus = wanted.find(other => other.dataset.key === line.dataset.key);
    line.remove();
  }
  let place = body.firstChild;
  for (const line of wanted) {
    if (line === place) place = place.nextSibling;
    else body.insertBefore(line, place);
  }
  if (focused && body.contains(focused) && !focused.contains(document.activeElement)) focus = focused;
  if (focus && focus.querySelector("a")) focus.querySelector("a").focus({ preventScroll: true });
  at(table).hidden = rows.length === 0;
}

/* -- now: all at a glance --------------------------------------------------------------------- */

const known = { jobs: new Map(), locks: new Map(), queues: new Map(), workers: new Map(), count: null, daemon: null, ready: false, drawing: false };

function forget() {
  for (const map of [known.jobs, known.locks, known.queues, known.workers]) map.clear();
  known.count = known.daemon = null;
  known.ready = false;
}

function take(event, doc) {
  const [kind, ...rest] = (doc.key || "").split("/"), key = rest.join("/");
  const maps = { job: known.jobs, lock: known.locks, queue: known.queues, worker: known.workers };
  if (event === "hello") {
    forget();
    skew = Date.parse(doc.now) - Date.now();
  } else if (event === "job") known.jobs.set(doc.id, doc);
  else if (event === "lock") known.locks.set(doc.key, doc);
  else if (event === "queue") known.queues.set(doc.name, doc);
  else if (event === "worker") known.workers.set([doc.generation, doc.role, doc.slot].join("/"), doc);
  else if (event === "gone" && maps[kind]) maps[kind].delete(key);
  else if (event === "count") known.count = doc;
  else if (event === "daemon") known.daemon = doc;
  else if (event === "trouble") complain(doc.text && "What is shown may be old: " + doc.text);
  else if (event === "ready") known.ready = true;
  if (!known.ready || known.drawing) return;
  known.drawing = true;
  requestAnimationFrame(() => { known.drawing = false; drawNow(); });
}

function nth(n) {
  return n + (n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] || "th");
}

const rank = job => job.sequence - (job.priority - 5) * 1000;

/* Who holds a key comes first, and below it, in their order, those who wait for it. */
function inOrder(jobs) {
  const open = jobs.filter(job => !FINAL.includes(job.state)), holders = new Map(), behind = new Map(), lines = [];
  for (const job of open) {
    if (job.state !== "waiting" && job.lock) holders.set(job.lock, job);
  }
  for (const job of open) {
    if (job.state !== "waiting" || !job.lock) continue;
    if (!behind.has(job.lock)) behind.set(job.lock, []);
    behind.get(job.lock).push(job);
  }
  const first = open.filter(job => job.state !== "waiting" || !job.lock || !holders.has(job.lock) && behind.get(job.lock)[0] === job);
  first.sort((a, b) => (a.state === "waiting") - (b.state === "waiting") || (a.state === "queued") - (b.state === "queued") || b.sequence - a.sequence);
  for (const job of first) {
    const queue = (job.lock && behind.get(job.lock) || []).sort((a, b) => rank(a) - rank(b));
    if (job.state !== "waiting") lines.push({ job });
    else if (queue.length === 0) lines.push({ job, place: 1 });
    queue.forEach((waiter, i) => lines.push({ job: waiter, holder: holders.get(waiter.lock), place: i + 1 }));
    if (job.lock) behind.delete(job.lock);
  }
  return lines;
}

function waitsFor({ job, holder, place }) {
  if (job.state === "waiting") {
    const lock = known.locks.get(job.lock), id = holder ? holder.id : lock && lock.holder, parts = [];
    if (job.not_before && Date.parse(job.not_before) > now()) parts.push("until " + new Date(job.not_before).toLocaleTimeString());
    else if (id && id !== job.id) parts.push(make("a", { href: page(id), textContent: id }), place > 1 ? ", " + nth(place) + " in line" : ", next");
    else if (job.message && job.message.group) parts.push("earlier ones of group " + job.message.group);
    else if (job.lock) parts.push("key " + job.lock);
    return parts;
  }
  const text = (job.waits_for || "") + (job.next_try && Date.parse(job.next_try) > now() ? ", next try at " + new Date(job.next_try).toLocaleTimeString() : "");
  return [text];
}

function openRow(line) {
  const { job, holder } = line;
  return [job.id, JSON.stringify([job, holder && holder.id, line.place, known.locks.get(job.lock)]), () => row(job, Boolean(holder),
    cell("for", "", ...waitsFor(line)), cell("right", "", clock(started(job) || job.accepted, "span")))];
}

function endedRow(job) {
  return [job.id, JSON.stringify(job), () => row(job, false, cell("", verdict(job), verdict(job)), cell("right", "", took(job)),
    cell("right", "", clock(job.finished || job.accepted, "ago")))];
}

function drawQueues(open) {
  const rows = [...known.queues.values()].map(queue => {
    const pending = open.filter(job => job.queue === queue.name && (job.state === "queued" || job.state === "waiting"));
    const oldest = pending.reduce((least, job) => !least || job.accepted < least ? job.accepted : least, "");
    const depth = queue.depth ?? (queue.type === "store" ? pending.length : null), age = queue.oldest_age_ms ?? -1;
    const trouble = queue.failures > 0 && queue.degraded > 0;
    return [queue.name, JSON.stringify([queue, depth, oldest]), () => make("tr", {},
      make("td", {}, queue.name, make("span", { className: "kind" }, queue.type), trouble ? make("span", { className: "bad" }, " away") : ""),
      make("td", { className: "right" }, depth === null ? "–" : String(depth)),
      make("td", { className: "right" }, age >= 0 && depth > 0 ? span(age) : oldest && depth > 0 ? clock(oldest, "span") : "–"),
      make("td", { className: "right" }, String(queue.held ?? 0)))];
  });
  arrange("queues", rows);
  show(at("queues-empty"), rows.length === 0, "No queue is configured.");
}

function drawWorkers() {
  const newest = known.daemon ? known.daemon.generation : 0, rows = [];
  const workers = [...known.workers.values()].sort((a, b) => b.generation - a.generation ||
    (a.role > b.role ? -1 : a.role < b.role ? 1 : 0) || a.slot - b.slot);
  const older = workers.some(worker => worker.generation !== newest);
  let generation = null;
  for (const worker of workers) {
    if (older && worker.generation !== generation) {
      const text = "Generation " + worker.generation + (worker.generation === newest ? "" : ", leaving");
      rows.push(["generation " + worker.generation, text, () => make("tr", { className: "group" }, make("td", { colSpan: 4 }, text))]);
    }
    generation = worker.generation;
    rows.push([[worker.generation, worker.role, worker.slot].join("/"), JSON.stringify(worker) + newest, () =>
      make("tr", { className: worker.generation === newest ? "" : "old" },
        make("td", {}, worker.role, make("span", { className: "kind" }, worker.pid ? String(worker.pid) : "restarts")),
        make("td", {}, worker.state + (worker.degraded ? ", degraded" : "")),
        make("td", { className: "right" }, worker.role === "api" ? "–" : String(worker.in_flight ?? 0)),
        make("td", { className: "right" }, worker.rss_mib > 0 ? worker.rss_mib + " MiB" : "–"))]);
  }
  arrange("workers", rows);
  show(at("workers-empty"), rows.length === 0, "No process answers.");
  at("generation").textContent = newest ? "generation " + newest : "";
  const reload = known.daemon && known.daemon.last_reload, bad = reload && reload.reason && !["none", "committed", "ok"].includes(reload.verdict);
  show(at("reloaded"), Boolean(bad), bad ? "Last reload " + reload.verdict.replace(/_/g, " ") + ": " + reload.reason : "");
}

function drawNow() {
  const jobs = [...known.jobs.values()], lines = inOrder(jobs), open = lines.map(line => line.job);
  const ended = jobs.filter(job => FINAL.includes(job.state))
    .sort((a, b) => a.finished < b.finished ? 1 : a.finished > b.finished ? -1 : b.sequence - a.sequence).slice(0, 50);
  const all = known.count ? STATES.filter(state => !FINAL.includes(state)).reduce((sum, state) => sum + known.count[state], 0) : open.length;
  arrange("open", lines.map(openRow));
  arrange("ended", ended.map(endedRow));
  show(at("open-empty"), open.length === 0, "Nothing is under way.");
  show(at("ended-empty"), ended.length === 0, "Nothing has ended yet.");
  show(at("open-more"), all > open.length && open.length > 100, open.length + " of " + all + " are shown.");
  at("open-count").textContent = ["running", "launching", "cancelling", "queued", "waiting"]
    .map(state => [state, open.filter(job => job.state === state).length]).filter(([, n]) => n > 0)
    .map(([state, n]) => (known.count && n >= 200 ? known.count[state] : n) + " " + state).join(", ");
  drawQueues(open);
  drawWorkers();
  document.title = (open.length > 0 ? "(" + all + ") " : "") + "gantry";
}

/* -- history ---------------------------------------------------------------------------------- */

const found = { jobs: [], query: "", after: null };

async function findMore() {
  const query = found.query;
  try {
    const doc = await ask("/v1/jobs?count=50" + query + (found.after ? "&after=" + found.after : ""));
    if (query !== found.query) return;
    found.jobs.push(...doc.jobs);
    found.after = doc.after || null;
    complain("");
  } catch (error) {
    if (refused(error)) return;
    complain(error.message);
  }
  arrange("found", found.jobs.map(job => [job.id, JSON.stringify(job), () => row(job, false, cell("", verdict(job), verdict(job)),
    cell("right", "", took(job)), cell("right", "", clock(job.accepted, "ago")))]));
  show(at("found-empty"), found.jobs.length === 0, "No deployment is like that.");
  at("older").hidden = !found.after;
}

function openFind(parameters) {
  at("find-project").value = parameters.get("project") || "";
  at("find-state").value = parameters.get("state") || "";
  stream.stop();
  link("", "");
  Object.assign(found, { jobs: [], after: null, query: [...parameters].map(([key, value]) => value && ["project", "state"].includes(key) ?
    "&" + key + "=" + encodeURIComponent(value) : "").join("") });
  arrange("found", []);
  show(at("found-empty"), true, "Loading…");
  document.title = "History – gantry";
  findMore();
}

at("find-form").addEventListener("submit", event => {
  event.preventDefault();
  const parameters = new URLSearchParams();
  if (at("find-project").value) parameters.set("project", at("find-project").value);
  if (at("find-state").value) parameters.set("state", at("find-state").value);
  const hash = "#/find" + (parameters.size ? "?" + parameters : "");
  if (location.hash === hash) openFind(parameters);
  else location.hash = hash;
});
at("find-state").addEventListener("change", () => at("find-form").requestSubmit());
at("older").addEventListener("click", findMore);
for (const state of STATES) at("find-state").append(new Option(state, state));

/* -- a job ------------------------------------------------------------------------------------ */

const one = { id: null, job: null, why: null, attempt: 0, offset: 0, pending: [], kept: 0, style: [], follow: true, drawing: false, asking: null };

function fact(name, value, className = "") {
  return value === null || value === undefined || value === "" ? null : make("div", { className }, make("dt", {}, name), make("dd", {}, value));
}

function note(job) {
  const why = one.why, parts = [];
  if (job.state === "waiting" && why) {
    if (why.not_before && Date.parse(why.not_before) > now()) parts.push("Starts at " + local(why.not_before) + " at the earliest. ");
    if (why.held_by) {
      parts.push("Waits for ", make("a", { href: page(why.held_by), textContent: why.held_by }), ", which has held ", job.lock, " for ",
        clock(why.held_since, "span") || "a while", why.ahead > 0 ? "; " + why.ahead + " more come before it." : "; it is next.");
    } else if (why.group_head && why.group_head !== job.id) {
      parts.push("Waits for ", make("a", { href: page(why.group_head), textContent: why.group_head }), ", which came earlier in its group.");
    } else if (parts.length === 0) parts.push("Waits for key " + job.lock + ", which another deployment holds.");
  } else if (job.waits_for) {
    parts.push("Waits for " + job.waits_for + (job.next_try ? "; next try at " + new Date(job.next_try).toLocaleTimeString() : "") + ".");
  } else if (FINAL.includes(job.state) && verdict(job)) {
    parts.push(verdict(job));
  } else if (job.state === "cancelling") {
    parts.push("Is being stopped" + (job.cancelled_by ? " for " + job.cancelled_by : "") + ".");
  }
  return parts;
}

function drawJob() {
  const { job } = one, parts = note(job), open = !FINAL.includes(job.state);
  at("job-project").textContent = job.project || job.id;
  at("job-state").replaceChildren(badge(job.state));
  at("job-id").textContent = job.id;
  at("job-note").hidden = parts.length === 0;
  at("job-note").className = "note " + (job.state === "failed" ? "failed" : "");
  at("job-note").replaceChildren(...parts.filter(Boolean));
  at("job-facts").replaceChildren(...[
    fact("Deployer", job.deployer), fact("Queue", job.queue), fact("Ref", job.ref), fact("Commit", job.commit), fact("Stage", job.stage),
    fact("Lock key", job.lock), fact("Priority", job.priority !== 5 ? String(job.priority) : ""),
    fact("Attempt", job.attempt && job.attempt.number > 1 ? String(job.attempt.number) : ""),
    fact("Accepted", local(job.accepted)),
    fact(started(job) ? "Started" : "", started(job) ? local(started(job)) : ""),
    fact("Finished", job.finished ? local(job.finished) : ""),
    fact(open ? started(job) ? "Running for" : "Waiting for" : "Took", open ? clock(started(job) || job.accepted, "span") : took(job)),
    fact("Exit status", job.exit_code === null ? "" : String(job.exit_code)), fact("Cancelled by", job.cancelled_by),
    fact("Task", job.attempt && job.attempt.handle, "long"),
  ].filter(Boolean));
  show(at("cancel"), open && may("admin"));
  at("cancel").disabled = job.state === "cancelling";
  show(at("retry"), !open && may("admin"));
  at("log").dataset.empty = open ? "Nothing was written yet." : "It wrote nothing.";
  document.title = (job.project || job.id) + ": " + job.state + " – gantry";
}

async function askWhy() {
  clearTimeout(one.asking);
  if (!one.job || one.job.state !== "waiting" || !stream.source) return;
  const { id } = one;
  const why = await ask(path(id) + "/why").catch(() => null);
  if (one.id !== id || one.job.state !== "waiting") return;
  if (why) one.why = why;
  drawJob();
  one.asking = setTimeout(askWhy, document.hidden ? 30000 : 3000);
}

function takeJob(event, doc) {
  if (event === "log") {
    if (doc.attempt !== one.attempt) clearLog(doc.attempt);
    one.offset = Math.max(one.offset, doc.offset + doc.text.length);
    one.pending.push(doc.text);
    if (!one.drawing) {
      one.drawing = true;
      requestAnimationFrame(() => { one.drawing = false; drawLog(); });
    }
  } else if (event === "state") {
    const before = one.job && one.job.state;
    one.job = doc;
    one.why = doc.state === "waiting" ? one.why : null;
    drawJob();
    if (before && before !== doc.state) say((doc.project || doc.id) + " is " + doc.state);
    askWhy();
  }
}

/* The few terminal sequences that make logs readable; the others are dropped. */
const INKS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", ""];

function paint(text) {
  const parts = text.replace(/\r+\n/g, "\n").replace(/[^\n]*\r(?!$)/g, "").split(/\x1b\[([0-9;]*)m/), nodes = [];
  for (let i = 0; i < parts.length; i++) {
    if (i % 2 === 1) {
      for (const code of (parts[i] || "0").split(";").map(Number)) {
        if (code === 0) one.style = [];
        else if (code === 1 || code === 2) one.style = [...one.style, code === 1 ? "bold" : "dim"];
        else if (code === 39 || code >= 30 && code <= 37 || code >= 90 && code <= 97)
          one.style = [...one.style.filter(ink => ink === "bold" || ink === "dim"), INKS[code === 39 ? 7 : code % 10]];
      }
      continue;
    }
    const plain = parts[i].replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g, "");
    if (plain === "") continue;
    const ink = one.style.filter(name => name && name !== "bold").join(" "), bold = one.style.includes("bold");
    nodes.push(ink || bold ? make(bold ? "b" : "span", { className: ink }, plain) : plain);
  }
  return nodes;
}

function drawLog() {
  const log = at("log"), chunk = make("span"), text = one.pending.join("");
  one.pending = [];
  chunk.append(...paint(text));
  chunk.dataset.size = text.length;
  log.append(chunk);
  one.kept += text.length;
  while (one.kept > LOG_KEPT && log.childElementCount > 1) {
    one.kept -= Number(log.firstChild.dataset.size);
    log.firstChild.remove();
    show(at("log-note"), true, "The beginning is not shown; the download has it all.");
  }
  at("log-size").textContent = size(one.offset);
  if (one.follow) log.scrollTop = log.scrollHeight;
}

function clearLog(attempt) {
  Object.assign(one, { attempt, offset: 0, kept: 0, style: [], pending: [] });
  at("log").replaceChildren();
  at("log-size").textContent = "";
  at("log-note").hidden = true;
}

function setFollow(on) {
  one.follow = on;
  at("follow").setAttribute("aria-pressed", String(on));
  if (on) at("log").scrollTop = at("log").scrollHeight;
}

/* Of a long log the end is read; the stream goes on from there. */
async function tail(job) {
  const attempt = job.attempt ? job.attempt.number : 0;
  clearLog(attempt);
  if (attempt === 0) return "";
  const answer = await call(path(job.id) + "/log", { method: "HEAD" }).catch(() => null);
  const bytes = answer ? Number(answer.headers.get("Content-Length")) : 0;
  if (!(bytes > LOG_TAIL * 2)) return "";
  show(at("log-note"), true, "The end of " + size(bytes) + "; the download has it all.");
  return attempt + "/" + (bytes - LOG_TAIL) + "/";
}

async function openJob(id) {
  stream.stop();
  clearTimeout(one.asking);
  Object.assign(one, { id, job: null, why: null });
  clearLog(0);
  for (const node of ["job-facts", "job-state"]) at(node).replaceChildren();
  for (const node of ["job-note", "cancel", "retry"]) at(node).hidden = true;
  at("job-project").textContent = at("job-id").textContent = id;
  at("log").dataset.empty = "Loading…";
  setFollow(true);
  try {
    const job = await ask(path(id));
    if (one.id !== id || !location.hash.startsWith("#/job/")) return;
    one.job = job;
    drawJob();
    const last = await tail(job);
    if (one.id !== id || !location.hash.startsWith("#/job/")) return;
    stream.follow({
      where: path(id) + "/events", last, resumes: true, take: takeJob, over: () => one.job && FINAL.includes(one.job.state),
      refused: error => refused(error) || complain(error.message),
    });
  } catch (error) {
    if (one.id !== id || refused(error)) return;
    at("log").dataset.empty = "";
    show(at("job-note"), true, error.status === 404 ? "There is no such deployment, or this token may not see it." : error.message);
    at("job-note").className = "note failed";
    link("", "");
  }
}

function confirmed(title, text, yes) {
  at("ask-title").textContent = title;
  at("ask-text").textContent = text;
  at("ask-yes").textContent = yes;
  at("ask").returnValue = "";
  at("ask").showModal();
  return new Promise(resume => at("ask").addEventListener("close", () => resume(at("ask").returnValue === "yes"), { once: true }));
}

async function act(button, where, method) {
  button.disabled = true;
  try {
    await call(where, { method });
    complain("");
    return true;
  } catch (error) {
    if (!refused(error)) complain(error.message);
    return false;
  } finally {
    button.disabled = false;
  }
}

at("cancel").addEventListener("click", async () => {
  const { id, job } = one;
  if (!await confirmed("Cancel this deployment?", (job.project || id) + " is " + job.state + ". What it has done already stays done.", "Cancel it"))
    return;
  if (await act(at("cancel"), path(id), "DELETE") && one.id === id && !FINAL.includes(one.job.state)) say("Asked to cancel");
});
at("retry").addEventListener("click", async () => {
  const { id } = one;
  if (await act(at("retry"), path(id) + "/retry", "POST") && one.id === id) openJob(id).then(() => at("job-project").focus());
});
at("follow").addEventListener("click", () => setFollow(!one.follow));
at("wrap").addEventListener("click", () => {
  const on = at("log").classList.toggle("wrap");
  at("wrap").setAttribute("aria-pressed", String(on));
});
at("log").addEventListener("scroll", () => {
  const log = at("log"), atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  if (atEnd !== one.follow && one.pending.length === 0) {
    one.follow = atEnd;
    at("follow").setAttribute("aria-pressed", String(atEnd));
  }
});
at("download").addEventListener("click", async () => {
  at("download").disabled = true;
  try {
    const url = URL.createObjectURL(await (await call(path(one.id) + "/log")).blob());
    make("a", { href: url, download: one.id.replace(/[^\w.-]+/g, "-") + ".log" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  } catch (error) {
    if (!refused(error)) complain(error.message);
  }
  at("download").disabled = false;
});

/* -- logging in, and which view --------------------------------------------------------------- */

const may = scope => Boolean(access && access.may.includes(scope));

/* True when it was about who asks. */
function refused(error) {
  if (error.status !== 401) return false;
  logOut(token ? "This token is not valid any more." : "");
  return true;
}

function logOut(text) {
  stream.stop();
  clearTimeout(one.asking);
  sessionStorage.removeItem("gantry-token");
  token = "";
  access = null;
  forget();
  for (const view of ["now", "find", "job", "bar", "keys"]) at(view).hidden = true;
  for (const table of ["open", "ended", "found", "queues", "workers"]) arrange(table, []);
  clearLog(0);
  complain("");
  at("login").hidden = false;
  at("login-error").textContent = text;
  document.title = "Log in – gantry";
  at("token").focus();
}

/* Whether the token is good, or none is needed; false after the login form has appeared. */
async function enter() {
  try {
    access = await ask("/v1/access");
  } catch (error) {
    if (error instanceof Refused) {
      logOut(error.status !== 401 ? error.message : token ? "No configured token is like that." : "");
      return false;
    }
    logOut(error.message + ": gantry does not answer.");
    return false;
  }
  if (!may("read")) {
    logOut("This token may not read; it is good for: " + access.may.join(", ") + ".");
    return false;
  }
  if (token) sessionStorage.setItem("gantry-token", token);
  at("login").hidden = true;
  at("bar").hidden = at("keys").hidden = false;
  show(at("leave"), Boolean(token));
  at("leave").title = "Logged in as " + access.name;
  return true;
}

function route(moved) {
  const [where, query] = location.hash.replace(/^#\/?/, "").split("?");
  const view = where.startsWith("job/") ? "job" : where === "find" ? "find" : "now";
  complain("");
  clearTimeout(one.asking);
  if (view !== "job") one.id = null;
  for (const name of ["now", "find", "job"]) at(name).hidden = name !== view;
  for (const item of document.querySelectorAll("nav a")) {
    if (item.dataset.view === view) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
  if (view === "job") openJob(decodeURIComponent(where.slice(4)));
  else if (view === "find") openFind(new URLSearchParams(query || ""));
  else {
    forget();
    for (const part of ["open", "ended", "queues", "workers"]) if (at(part).tBodies[0].children.length === 0) show(at(part + "-empty"), true, "Loading…");
    stream.follow({ where: "/v1/events", take, refused: error => refused(error) || complain(error.message) });
    document.title = "gantry";
  }
  if (moved) {
    at(view).querySelector("h1").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

at("login-form").addEventListener("submit", async event => {
  event.preventDefault();
  token = at("token").value.trim();
  if (await enter()) {
    at("token").value = "";
    route(true);
  } else at("token").select();
});
at("leave").addEventListener("click", () => logOut(""));
addEventListener("hashchange", () => { if (access) route(true); });

/* j and k go from job to job; in a field keys are letters. */
addEventListener("keydown", event => {
  if (!access || event.ctrlKey || event.metaKey || event.altKey || at("ask").open) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "j" || event.key === "k") {
    const links = [...document.querySelectorAll("main .jobs .job a")].filter(item => item.offsetParent !== null);
    const here = links.indexOf(document.activeElement && document.activeElement.closest("tr") ?
      document.activeElement.closest("tr").querySelector(".job a") : null);
    const next = links[here < 0 ? 0 : here + (event.key === "j" ? 1 : -1)];
    if (next) next.focus();
  } else if (event.key === "Escape" && !at("job").hidden) {
    location.hash = "#/";
  } else if (event.key === "/") {
    if (at("find").hidden) location.hash = "#/find";
    setTimeout(() => at("find-project").focus());
  } else return;
  event.preventDefault();
});

enter().then(ok => { if (ok) route(false); });

// SPDX-License-Identifier: Apache-2.0
// Drives one headless Chromium through the dashboard, as its reader would.
//
//     node drive_dashboard.mjs NODE_MODULES CONFIGURATION.json
//
// The configuration names url, admin and reader (tokens), work (a directory whose files let jobs go on), pictures
// (where screenshots go) and reload (a command).  Prints "ok NAME" for each promise that was kept; the first that
// was not ends it with status 1.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const { chromium } = createRequire(resolve(process.argv[2], "index.js"))("playwright-core");
const given = JSON.parse(readFileSync(process.argv[3], "utf8"));
const PATIENCE_MS = 60000;

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
context.setDefaultTimeout(PATIENCE_MS);
const page = await context.newPage();

const requests = [], complaints = [];
let offline = false;
page.on("request", request => requests.push(request));
page.on("pageerror", error => complaints.push("error: " + error));
page.on("console", message => {
  // Chromium itself writes a line about each refused or broken request; those are meant here.
  const meant = offline ? /ERR_INTERNET_DISCONNECTED|ERR_NETWORK|ERR_INCOMPLETE_CHUNKED/ : /status of (401|404)/;
  if (["error", "warning"].includes(message.type()) && !meant.test(message.text())) complaints.push(message.text());
});
await page.addInitScript(() => {
  addEventListener("securitypolicyviolation", event => console.error("policy: " + event.violatedDirective + " " + event.blockedURI));
});

const submit = async message => {
  const answer = await fetch(given.url + "/v1/jobs", {
    method: "POST", body: JSON.stringify(message), headers: { Authorization: "Bearer " + given.admin },
  });
  assert.equal(answer.status, 202, await answer.text());
};
const shell = script => ["/bin/sh", "-c", script];
const gate = name => `${given.work}/${name}`;
const until = name => `until [ -e ${gate(name)} ]; do sleep 0.1; done`;
const open = name => writeFileSync(gate(name), "");
const picture = name => page.screenshot({ path: `${given.pictures}/${name}.png` });
const row = (table, job) => page.locator(`#${table} tbody tr[data-key=${JSON.stringify(job)}]`);
const state = (table, job, name) => row(table, job).locator(".state", { hasText: new RegExp(`^${name}$`) }).first().waitFor();
const jobState = name => page.locator("#job-state .state", { hasText: new RegExp(`^${name}$`) }).waitFor();
const logHas = text => page.locator("#log", { hasText: text }).waitFor();
const fits = async where => {
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= seen, `${where} is ${wide} wide on a screen of ${seen}`);
};

// The contrast of WCAG 2.2, 1.4.3, of what is seen of each selector.
const contrasts = selectors => page.evaluate(names => {
  const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  return names.map(name => {
    const node = [...document.querySelectorAll(name)].find(one => one.offsetParent !== null);
    if (!node) return [name, null];
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    return [name, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}, selectors);

async function legible(...selectors) {
  for (const [name, ratio] of await contrasts(selectors))
    assert.ok(ratio >= 4.5, `${name} has a contrast of ${ratio}`);
}

const steps = [];
const step = (name, run) => steps.push([name, run]);

step("a token is asked for, and a wrong one is refused", async () => {
  await page.goto(given.url + "/");
  await page.locator("#token").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  await picture("login");
  await page.keyboard.type("a-token-that-nobody-configured");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "No configured token is like that" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

step("the right token opens the dashboard, which says that it is empty", async () => {
  await page.fill("#token", given.admin);
  await page.keyboard.press("Enter");
  await page.getByText("Nothing is under way.").waitFor();
  await page.getByText("Nothing has ended yet.").waitFor();
  await page.locator("#link.live").waitFor();
  await page.locator("#workers tbody tr").filter({ hasText: "worker" }).filter({ hasText: "active" }).first().waitFor();
  await page.locator("#queues tbody tr").filter({ hasText: "local" }).waitFor();
  assert.match(await page.locator("#generation").textContent(), /generation \d/);
  await page.evaluate(() => { window.sameDocument = true; });
});

step("jobs appear and change without a reload, below whom they wait for", async () => {
  await submit({ id: "holds", project: "site", ref: "main", commit: "0123456789abcdef", command: shell(
    `echo '\x1b[32mfirst\x1b[0m line'; ${until("more")}; for i in $(seq 200); do echo "line $i"; done; ${until("end")}; echo last line`) });
  await state("open", "holds", "running");
  await submit({ id: "waits", project: "site", command: shell("echo waited") });
  await submit({ id: "waits-too", project: "site", command: shell("echo waited too") });
  await state("open", "waits-too", "waiting");
  await row("open", "waits").getByText("next").waitFor();
  await row("open", "waits-too").getByText("2nd in line").waitFor();
  assert.deepEqual(await page.locator("#open tbody td.job").allTextContents(), ["holds", "waits", "waits-too"]);
  assert.equal(await row("open", "waits").locator("td.for a").textContent(), "holds");
  await page.locator("#queues tbody tr").filter({ hasText: "local" }).locator("td", { hasText: /^2$/ }).first().waitFor();
  assert.equal(await page.evaluate(() => window.sameDocument), true);
});

step("what a deployment says of itself is text and nothing else", async () => {
  await submit({ id: "<img/src=x/onerror=alert(1)>", project: "<b>bold</b>", command: shell("echo '<script>alert(2)</script>'; exit 3") });
  await state("ended", "<img/src=x/onerror=alert(1)>", "failed");
  await row("ended", "<img/src=x/onerror=alert(1)>").getByRole("link").click();
  await logHas("<script>alert(2)</script>");
  await jobState("failed");
  assert.equal(await page.locator("#job-project").textContent(), "<b>bold</b>");
  await page.locator("#job-facts div", { hasText: "Exit status" }).getByText("3").waitFor();
  assert.equal(await page.locator("img, #log script").count(), 0);
  await page.goBack();
  await state("open", "holds", "running");
});

step("the keyboard is enough to find and open a job", async () => {
  for (let i = 0; i < 50; i++) {
    await page.keyboard.press("j");
    if (await page.evaluate(() => document.activeElement.textContent) === "holds") break;
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "the focus is not seen");
  await picture("now-light");
  await page.keyboard.press("Enter");
  await page.locator("#job-project", { hasText: "site" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "job-project");
});

step("the log is followed as it is written", async () => {
  await logHas("first line");
  assert.equal(await page.locator("#log .green").textContent(), "first");
  open("more");
  await logHas("line 200");
  await page.waitForFunction(() => { const log = document.getElementById("log"); return log.scrollHeight - log.scrollTop - log.clientHeight < 24; });
  await page.locator("#log").evaluate(log => { log.scrollTop = 0; });
  await page.locator("#follow[aria-pressed=false]").waitFor();
  await page.locator("#follow").click();
  await page.waitForFunction(() => { const log = document.getElementById("log"); return log.scrollHeight - log.scrollTop - log.clientHeight < 24; });
  await picture("job-light");
  const text = await page.locator("#log").textContent();
  assert.equal(text.split("\n").filter(line => /^line \d+$/.test(line)).length, 200);
});

step("a waiting job says for whom, and is cancelled after a question", async () => {
  await page.keyboard.press("Escape");
  await row("open", "waits").locator("td.job a").click();
  await page.locator("#job-note a", { hasText: "holds" }).waitFor();
  await page.locator("#cancel").click();
  await page.locator("#ask[open]").waitFor();
  await picture("cancel");
  await page.keyboard.press("Escape");
  await page.locator("#ask[open]").waitFor({ state: "detached" });
  await page.locator("#cancel").focus();
  await page.keyboard.press("Enter");
  await page.locator("#ask-yes").click();
  await jobState("cancelled");
  assert.equal(await page.locator("#cancel").isVisible(), false);
});

step("a cancelled job is retried, and waits again", async () => {
  await page.locator("#retry").click();
  await jobState("waiting");
  await page.locator("#job-note a", { hasText: "holds" }).waitFor();
});

step("without a network the page says since when, and goes on by itself", async () => {
  await page.goto(given.url + "/#/");
  await state("open", "holds", "running");
  offline = true;
  await context.setOffline(true);
  execFileSync(given.reload[0], given.reload.slice(1));
  await page.locator("#link.lost", { hasText: "reconnecting since" }).waitFor();
  await picture("lost");
  await context.setOffline(false);
  await page.locator("#link.live").waitFor();
  offline = false;
  await page.locator("#generation", { hasText: "generation 2" }).waitFor();
  await state("open", "holds", "running");
});

step("a release lets the next ones run, and results come in", async () => {
  open("end");
  for (const job of ["holds", "waits", "waits-too"]) await state("ended", job, "succeeded");
  await page.getByText("Nothing is under way.").waitFor();
  assert.equal(await page.evaluate(() => window.sameDocument), true);
});

step("history is searched by project and state", async () => {
  await page.keyboard.press("/");
  await page.waitForFunction(() => document.activeElement.id === "find-project");
  await page.selectOption("#find-state", "failed");
  await page.waitForFunction(() => document.querySelectorAll("#found tbody tr").length === 1);
  await page.selectOption("#find-state", "");
  await page.fill("#find-project", "site");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("#found tbody tr").length === 3);
  await picture("history");
  await page.fill("#find-project", "nobody");
  await page.keyboard.press("Enter");
  await page.getByText("No deployment is like that.").waitFor();
});

step("dark mode is dark, light mode is light, and both are legible", async () => {
  await submit({ id: "runs", project: "shop", ref: "release/2026-11", command: shell(`echo running; ${until("over")}`) });
  await submit({ id: "next", project: "shop", command: shell("true") });
  await page.goto(given.url + "/#/");
  await state("open", "runs", "running");
  await state("open", "next", "waiting");
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    const [ground] = (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).match(/\d+/g).map(Number);
    assert.ok(scheme === "dark" ? ground < 60 : ground > 200, `${scheme}: the ground is ${ground}`);
    await legible(".name", "nav a", ".link", "h2", ".count", "th", "td.project", "td.job a", ".state.running", ".state.waiting", ".state.failed",
      ".state.succeeded", ".kind", "#leave");
  }
  await picture("now-dark");
  await row("open", "runs").locator("td.job a").click();
  await logHas("running");
  await picture("job-dark");
});

step("who wants less motion gets none", async () => {
  const motion = () => page.evaluate(() => getComputedStyle(document.querySelector("#job-state .running"), "::before").animationName);
  assert.equal(await motion(), "breathe");
  await page.emulateMedia({ reducedMotion: "reduce", colorScheme: "light" });
  assert.equal(await motion(), "none");
});

step("a phone's width is enough", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  await fits("the job page");
  await picture("phone-job");
  await page.goto(given.url + "/#/find");
  await page.waitForFunction(() => document.querySelectorAll("#found tbody tr").length === 6);
  await fits("the history");
  await page.goto(given.url + "/#/");
  await state("open", "next", "waiting");
  await fits("the first page");
  await picture("phone-now");
  await page.screenshot({ path: `${given.pictures}/phone-whole.png`, fullPage: true });
});

step("a page that is opened by its address comes up as it is", async () => {
  await page.goto("about:blank");
  await page.goto(given.url + "/#/job/runs");
  await logHas("running");
  await jobState("running");
  open("over");
  await jobState("succeeded");
});

step("who may only read is offered nothing else", async () => {
  await page.locator("#leave").click();
  await page.locator("#token").waitFor();
  await fits("the login");
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.fill("#token", given.reader);
  await page.keyboard.press("Enter");
  await jobState("succeeded");
  await logHas("running");
  assert.equal(await page.locator("#retry").isVisible(), false);
  await page.goto(given.url + "/#/job/nobody-knows-it");
  await page.getByText("There is no such deployment").waitFor();
});

step("nothing is asked of anybody else, no token is in an address, nothing complains", async () => {
  assert.ok(requests.length > 20);
  for (const request of requests) {
    const url = request.url();
    assert.ok(url.startsWith(given.url + "/") || url.startsWith("data:") || url.startsWith("blob:" + given.url), url);
    for (const token of [given.admin, given.reader]) assert.ok(!url.includes(token), url);
  }
  assert.deepEqual(complaints, []);
});

step("a script that finds its way into the page does not run", async () => {
  await page.evaluate(() => {
    // Most of these throw, by the rule for trusted types.
    const attempts = [
      () => { const script = document.createElement("script"); document.body.append(script); script.append("window.ran = 1"); },
      () => { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = 2'>"); },
      () => { document.body.setAttribute("onclick", "window.ran = 3"); document.body.click(); },
    ];
    for (const attempt of attempts) {
      try { attempt(); } catch { /* meant */ }
    }
  });
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.ok(complaints.some(text => /policy/i.test(text)), "the policy said nothing");
});

let kept = 0;
for (const [name, run] of steps) {
  try {
    await run();
    kept++;
    console.log("ok " + name);
  } catch (error) {
    console.log(`not ok ${name}\n${error.stack}\n${complaints.join("\n")}`);
    await picture("failed").catch(() => {});
    break;
  }
}
await browser.close();
process.exit(kept === steps.length ? 0 : 1);

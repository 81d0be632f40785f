import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRealDoor, type RealDoor } from "./open-real-door.ts";

const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
describe.skipIf(browserPath === undefined)(
  "a page of somebody else, in a browser that is signed in (apt-get install chromium)",
  () => {
    let door: RealDoor;
    let attacker: Server;
    let port: number;
    let browser: Browser;
    let context: BrowserContext;
    /** Requests that reached our door from the browser, with their answers. */
    const seen: { method: string; url: string; host: string; status: number }[] = [];
    /** What pages of the attacker sent home. */
    const stolen: string[] = [];

    beforeAll(async () => {
      door = await openRealDoor();
      door.server.server.on("request", (request, response) => {
        response.on("finish", () =>
          seen.push({
            method: request.method ?? "",
            url: request.url ?? "",
            host: request.headers.host ?? "",
            status: response.statusCode,
          }),
        );
      });
      attacker = createServer((request, response) => {
        if (request.url?.startsWith("/stolen")) stolen.push(request.url);
        response.setHeader("content-type", "text/html");
        response.end("<!doctype html><title>evil</title><body></body>");
      });
      attacker.listen(0, "127.0.0.1");
      await once(attacker, "listening");
      ({ port } = attacker.address() as { port: number });
      browser = await chromium.launch({
        ...(browserPath === undefined ? {} : { executablePath: browserPath }),
        args: [
          "--no-sandbox",
          "--host-resolver-rules=MAP *.example 127.0.0.1",
          // Newer browsers keep pages of elsewhere from this machine by themselves; here it is our own defence that counts.
          "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
        ],
      });
      context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(`${door.url}/#token=${door.app.access.signIn.issueToken()}`);
      await page.getByRole("searchbox").waitFor();
      await page.close();
    });
    afterAll(async () => {
      await browser?.close();
      attacker?.close();
      await door?.close();
    });

    /** Everything that a caller could have changed. */
    async function state() {
      const headers = { ...(await door.as("superadmin")), "x-request-id": "state" };
      const read = async (url: string) => (await door.server.inject({ url, headers })).json();
      return {
        collections: (await read("/api/v1/collections")).items.map(
          ({ name }: { name: string }) => name,
        ),
        keys: (await read("/api/v1/keys")).items.length,
        settings: (await read("/api/v1/settings")).generation,
      };
    }

    /** The ways in which a page can make a browser send something, each as often as it can be done. */
    const attack = (target: string) => `(async () => {
    const target = ${JSON.stringify(target)};
    const body = JSON.stringify({ name: "owned" });
    const done = [];
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const form = (enctype, name, value) => {
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.name = "frame" + done.length;
      const made = document.createElement("form");
      Object.assign(made, { method: "post", action: target + "/api/v1/collections", target: frame.name });
      made.enctype = enctype;
      const field = document.createElement("input");
      Object.assign(field, { name, value });
      made.append(field);
      document.body.append(made);
      made.submit();
      done.push(enctype);
    };
    form("application/x-www-form-urlencoded", "name", "owned");
    form("multipart/form-data", "name", "owned");
    form("text/plain", '{"name":"owned","x":"', '"}');
    const load = (tag, set) => {
      const made = document.createElement(tag);
      Object.assign(made, set);
      document.body.append(made);
      done.push(tag);
    };
    load("img", { src: target + "/api/v1/collections" });
    load("script", { src: target + "/api/v1/collections" });
    load("iframe", { src: target + "/" });
    load("embed", { src: target + "/" });
    load("object", { data: target + "/docs" });
    load("video", { src: target + "/api/v1/collections" });
    load("link", { rel: "stylesheet", href: target + "/static/style.css" });
    load("link", { rel: "prefetch", href: target + "/api/v1/collections" });
    navigator.sendBeacon(target + "/api/v1/collections", body);
    navigator.sendBeacon(target + "/api/v1/collections", new Blob([body], { type: "text/plain" }));
    const stole = [];
    const ask = async (options, path = "/api/v1/collections") => {
      try {
        const answer = await fetch(target + path, { credentials: "include", ...options });
        if (answer.type !== "opaque") stole.push(options.method + " " + path + " " + answer.status);
      } catch { done.push("refused"); }
    };
    for (const mode of ["no-cors", "cors", "same-origin"]) {
      await ask({ method: "GET", mode });
      await ask({ method: "POST", mode, body, headers: { "content-type": "text/plain" } });
    }
    await ask({ method: "POST", mode: "cors", body, headers: { "content-type": "application/json", "x-candor-request": "1" } });
    await ask({ method: "DELETE", mode: "cors", headers: { "x-candor-request": "1" } }, "/api/v1/collections/kitchen");
    await ask({ method: "PATCH", mode: "cors", body, headers: { "content-type": "application/json" } }, "/api/v1/collections/kitchen");
    await ask({ method: "PUT", mode: "cors", body: "{}" }, "/api/v1/settings");
    await ask({ method: "GET", mode: "cors" }, "/health");
    await ask({ method: "GET", mode: "cors" }, "/metrics");
    await new Promise((resolve) => {
      const events = new EventSource(target + "/api/v1/jobs/job_1/events", { withCredentials: true });
      events.onopen = () => stole.push("events");
      events.onerror = () => { events.close(); resolve(); };
    });
    await new Promise((resolve) => {
      const socket = new WebSocket(target.replace("http", "ws") + "/ws");
      socket.onopen = () => stole.push("socket");
      socket.onclose = resolve;
    });
    await wait(300);
    for (const frame of document.querySelectorAll("iframe"))
      try { if (frame.contentDocument.title.includes("Candor")) stole.push("frame"); } catch {}
    return { attempts: done.length, stole };
  })()`;

    test.each([
      ["another site", () => `http://evil.example:${port}`],
      [
        "the same machine, another port: the strictest cookie is sent",
        () => `http://127.0.0.1:${port}`,
      ],
      ["the other name of this machine", () => `http://localhost:${port}`],
    ])("on %s changes nothing and reads nothing", async (_what, origin) => {
      const headers = await door.as("superadmin");
      const url = "/api/v1/collections";
      await door.server.inject({ method: "POST", url, headers, payload: { name: "kitchen" } });
      await door.as("read_only");
      const before = await state();
      seen.length = 0;
      const page = await context.newPage();
      await page.goto(origin());
      const { attempts, stole } = (await page.evaluate(attack(door.url))) as {
        attempts: number;
        stole: string[];
      };
      // A link and a window are the two ways to us that are meant to work: they show a page and change nothing.
      const [opened] = await Promise.all([
        context.waitForEvent("page"),
        page.evaluate(`void window.open(${JSON.stringify(`${door.url}/`)})`),
      ]);
      await opened.waitForLoadState();
      await opened.close();
      await page.close();
      expect(attempts).toBeGreaterThan(10);
      expect(stole).toEqual([]);
      expect(stolen).toEqual([]);
      expect(await state()).toEqual(before);
      const changing = seen.filter(({ method }) => !["GET", "HEAD"].includes(method));
      expect(changing.length).toBeGreaterThan(5);
      expect(changing.filter(({ status }) => status < 400)).toEqual([]);
      const data = seen.filter(({ url: path, status }) => path.startsWith("/api/") && status < 400);
      // What no-cors reads without an Origin stays opaque to the page; a cookie goes along only within one site.
      expect(data.filter(({ method }) => method !== "GET")).toEqual([]);
    });

    test("whose name was rebound to this machine gets 403 for everything, the cookie included", async () => {
      const before = await state();
      seen.length = 0;
      const page = await context.newPage();
      const rebound = `http://rebound.example:${door.port}`;
      // The first answer is the attacker's; then the name leads to us, under the same origin.
      await page.route(`${rebound}/evil`, (route) =>
        route.fulfill({
          contentType: "text/html",
          body: "<!doctype html><title>evil</title><body>",
        }),
      );
      await page.goto(`${rebound}/evil`);
      const { stole } = (await page.evaluate(attack(rebound))) as { stole: string[] };
      // To the browser this is the page's own server: it may read the answers, and all of them are refusals.
      expect(stole.length).toBeGreaterThan(5);
      for (const one of stole) expect(one).toMatch(/ 403$/);
      const reached = seen.filter(({ host }) => host.startsWith("rebound.example"));
      expect(reached.length).toBeGreaterThan(3);
      expect(reached.filter(({ status }) => status !== 403)).toEqual([]);
      await page.close();
      expect(await state()).toEqual(before);
    });

    test("can be seen to be seen: the same attack from our own page does change something", async () => {
      const page = await context.newPage();
      await page.goto(`${door.url}/docs`);
      const status = await page.evaluate(`fetch("/api/v1/collections", {
      method: "POST",
      headers: { "content-type": "application/json", "x-candor-request": "1" },
      body: JSON.stringify({ name: "ours" }),
    }).then((answer) => answer.status)`);
      expect(status).toBe(201);
      await page.close();
      expect((await state()).collections).toContain("ours");
    });
  },
);

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { errorCatalogue, noticeCatalogue } from "#base/errors/index.ts";
import { localPrincipal } from "#base/access/index.ts";
import { operations } from "#operations/index.ts";
import { openRealDoor, type RealDoor } from "./open-real-door.ts";

const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);

/** A title that is markup, and a name that turns itself around: both must stay what they are. */
const hostile = '<img src=x onerror="document.title=1">';

let door: RealDoor;
beforeAll(async () => {
  door = await openRealDoor();
  const folder = join(door.app.home.home, "sample");
  await mkdir(folder);
  await writeFile(
    join(folder, "bread.md"),
    `# Bread\n\nKnead the dough ${hostile} and let it rise.\n`,
  );
  await writeFile(
    join(folder, "gpj.\u202Emd.md"),
    "# Soup\n\nA dough for dumplings in the soup.\n",
  );
  const headers = await door.as("superadmin");
  await door.server.inject({
    method: "POST",
    url: "/api/v1/collections",
    headers,
    payload: { name: "kitchen" },
  });
  const { authorization } = { authorization: `Bearer ${door.app.access.localKey}` };
  const synced = await door.server.inject({
    method: "POST",
    url: "/api/v1/collections/kitchen/sync?wait=true",
    headers: { ...headers, authorization },
    payload: { path: folder },
  });
  expect(synced.json().job).toMatchObject({ state: "succeeded", done: 2 });
});
afterAll(() => door.close());

const get = async (url: string, method: "GET" | "HEAD" = "GET") =>
  door.server.inject({ method, url, headers: await door.as(null) });

describe("for everybody", () => {
  test.each(["/", "/docs", "/docs/errors", "/docs/errors/not_found"])(
    "%s is a page",
    async (url) => {
      const answer = await get(url);
      expect(answer.statusCode).toBe(200);
      expect(answer.headers["content-type"]).toBe("text/html; charset=utf-8");
      expect(answer.body).toMatch(/^<!doctype html>\s*<html lang="en">/);
      // Nothing inline, nothing remote: the policy would refuse it.
      expect(answer.body).not.toMatch(/<style|\s(?:style|on[a-z]+)=|<script>|https?:/);
      const policy = String(answer.headers["content-security-policy"]);
      for (const part of [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
      ])
        expect(policy.split("; ")).toContain(part);
      expect(policy).not.toContain("unsafe");
      for (const [, file = ""] of answer.body.matchAll(/(?:src|href)="(\/static\/[^"]+)"/g))
        expect((await get(file)).statusCode, file).toBe(200);
      const head = await get(url, "HEAD");
      expect(head.statusCode).toBe(200);
      expect(head.body).toBe("");
    },
  );

  test("every code of the catalogue has its page, with title and help", async () => {
    for (const { code, title, status } of errorCatalogue.values()) {
      const answer = await get(`/docs/errors/${code}`);
      expect(answer.statusCode, code).toBe(200);
      expect(answer.body).toContain(`<h1>${title.replaceAll("'", "&#39;")}</h1>`);
      expect(answer.body).toContain(`<code>${status}</code>`);
    }
    const list = await get("/docs/errors");
    for (const code of [...errorCatalogue.keys(), ...Object.keys(noticeCatalogue)])
      expect(list.body).toContain(`<code>${code}</code>`);
  });

  test("static files have their types, and there are no others", async () => {
    expect((await get("/static/home.js")).headers["content-type"]).toMatch(/^text\/javascript/);
    expect((await get("/static/style.css")).headers["content-type"]).toMatch(/^text\/css/);
    expect((await get("/static/icon.svg")).headers["content-type"]).toBe("image/svg+xml");
    for (const name of ["home.html", "none.js", "", "..%2fdoor.ts", "%2e%2e/door.ts"])
      expect((await get(`/static/${name}`)).statusCode, name).toBe(404);
  });
});

describe.skipIf(browserPath === undefined)("in a browser", () => {
  let browser: Browser;
  let page: Page;
  let violations: string[];

  beforeAll(async () => {
    browser = await chromium.launch({
      ...(browserPath === undefined ? {} : { executablePath: browserPath }),
      args: ["--no-sandbox"],
    });
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    page = await browser.newPage();
    violations = [];
    page.on("console", (message) => {
      if (message.type() === "error") violations.push(message.text());
    });
    page.on("pageerror", (error) => violations.push(String(error)));
  });
  afterEach(() => page.close());

  const signIn = () => page.goto(`${door.url}/#token=${door.app.access.signIn.issueToken()}`);

  test("who is not signed in is told what to do", async () => {
    await page.goto(door.url);
    await page.getByRole("heading", { name: "Sign in first" }).waitFor();
    expect(await page.locator("#search").isVisible()).toBe(false);
    await page.goto(`${door.url}/docs`);
    await page.getByText("Sign in first").waitFor();
  });

  test("a link signs in once, and the token is gone from the address", async () => {
    await signIn();
    await page.getByRole("searchbox").waitFor();
    expect(page.url()).toBe(`${door.url}/`);
    await page.reload();
    await page.getByRole("searchbox").waitFor();
    expect(violations).toEqual([]);
  });

  test("a spent link says so", async () => {
    const token = door.app.access.signIn.issueToken();
    await door.app.access.signIn.redeem(token);
    await page.goto(`${door.url}/#token=${token}`);
    await page.getByRole("heading", { name: "The sign-in link is not valid" }).waitFor();
    expect(page.url()).toBe(`${door.url}/`);
  });

  test("a search shows hits with their scores, and documents stay text", async () => {
    await signIn();
    await page.getByRole("searchbox").fill("dough");
    await page.getByLabel("Collection").selectOption({ label: "kitchen (2 documents)" });
    await page.getByRole("button", { name: "Search" }).click();
    const hits = page.getByRole("list", { name: "Hits" }).getByRole("listitem");
    await hits.first().waitFor();
    expect(await hits.count()).toBe(2);
    const text = (await hits.allInnerTexts()).join("\n");
    expect(text).toContain(hostile);
    expect(text).toContain("‹U+202E›");
    expect(text).toMatch(/fused \d\.\d{4}/);
    expect(text).toMatch(/line/);
    expect(text).toContain("up to date");
    expect(await page.locator("mark").first().innerText()).toBe("dough");
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.getByRole("status").innerText()).toMatch(
      /^2 hits in 2 documents of 1 collection,/,
    );
    expect(await page.title()).toBe("Search · Candor");
    expect(violations).toEqual([]);
  });

  test("a refused search shows its problem", async () => {
    await signIn();
    await page.getByRole("searchbox").fill("dough");
    await page.evaluate(
      "document.getElementById('collection').append(new Option('gone', 'col_gone'))",
    );
    await page.getByLabel("Collection").selectOption("col_gone");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("alert").getByText('There is no collection "col_gone".').waitFor();
    expect(await page.getByRole("list", { name: "Hits" }).getByRole("listitem").count()).toBe(0);
  });

  test("the API page shows every operation and filters them", async () => {
    await signIn();
    await page.getByRole("searchbox").waitFor();
    await page.goto(`${door.url}/docs`);
    await page.locator("details").first().waitFor();
    const shown = await page.locator("details").evaluateAll((all) => all.map(({ id }) => id));
    const wanted = operations.filter(({ http }) => http !== null).map(({ name }) => name);
    expect(new Set(shown)).toEqual(new Set(wanted));
    expect(shown).toHaveLength(wanted.length);
    await page.getByRole("searchbox").fill("documents add batch");
    expect(await page.getByRole("status").innerText()).toBe("1 operation");
    await page.locator("summary:visible").click();
    expect(await page.locator("details[open]").innerText()).toContain("batchSize");
    expect(violations).toEqual([]);
  });

  test("a page of another origin gets nothing, with or without the cookie", async () => {
    await signIn();
    await page.getByRole("searchbox").waitFor();
    const { key } = await door.app.access.keys.create(localPrincipal, { name: "page" });
    await page.goto(door.url.replace("127.0.0.1", "localhost"));
    const asked = await page.evaluate(
      `Promise.allSettled([
        fetch("${door.url}/health", { credentials: "include" }),
        fetch("${door.url}/api/v1/collections", { headers: { authorization: "Bearer ${key}" } }),
      ]).then((all) => all.map(({ status }) => status))`,
    );
    expect(asked).toEqual(["rejected", "rejected"]);
  });
});

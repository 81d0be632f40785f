import { callApi, ProblemError } from "./call-api.js";
import { element, markedText, problemPanel, visibleText } from "./elements.js";

const find = (id) => document.getElementById(id);
const hitsPerPage = 20;

/** The search whose hits are shown; `More` goes on with it. */
let shown = { input: null, cursor: null };

/** The sign-in token of the address, which is gone from it before anything else happens. */
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (location.hash !== "") history.replaceState(null, "", location.pathname);
  return token;
}

async function start() {
  const token = takeToken();
  try {
    if (token) await callApi("POST", "/api/v1/auth/signin", { token });
    await offerCollections();
    find("search").hidden = false;
    find("query").focus();
  } catch (thrown) {
    showFailure(thrown);
  }
}

async function offerCollections() {
  let cursor = null;
  do {
    const position = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await callApi("GET", `/api/v1/collections?limit=100${position}`);
    for (const { id, name, counts } of page.items)
      find("collection").append(
        element(
          "option",
          { value: id },
          `${name} (${counted(counts.documents, "document", "documents")})`,
        ),
      );
    cursor = page.nextCursor;
  } while (cursor !== null);
  if (find("collection").options.length === 1)
    find("status").textContent =
      "There is no collection yet: `candor index PATH --collection NAME` makes one.";
}

async function search(input, cursor) {
  const button = find("search").querySelector("button");
  clearFailure();
  button.disabled = true;
  find("more").disabled = true;
  find("status").textContent = "Searching";
  try {
    const found = await callApi("POST", "/api/v1/search", {
      ...input,
      limit: hitsPerPage,
      ...(cursor === null ? {} : { cursor }),
    });
    if (cursor === null) find("hits").replaceChildren();
    show(input, found);
  } catch (thrown) {
    // Hits of an earlier search below a problem would look like its answer.
    if (cursor === null) clearHits();
    find("status").textContent = "";
    showFailure(thrown);
  } finally {
    button.disabled = false;
    find("more").disabled = false;
  }
}

function show(input, found) {
  shown = { input, cursor: found.nextCursor };
  find("hits").append(...found.items.map(hitItem));
  find("more").hidden = found.nextCursor === null;
  const notices = (found.notices ?? []).map(({ code, message }) =>
    element("li", {}, element("code", {}, code), " ", ...visibleText(message)),
  );
  find("notices").replaceChildren(...notices);
  find("notices").hidden = notices.length === 0;
  const count = find("hits").childElementCount;
  const { collections, documents } = found.searched;
  const legs = found.legs.map(
    ({ name, state, candidates, reason }) =>
      `${name} ${state === "run" ? `${candidates} candidates` : state}${reason ? ` (${reason})` : ""}`,
  );
  const hits = count === 0 ? "No hits" : counted(count, "hit", "hits");
  const within = `${counted(documents, "document", "documents")} of ${counted(collections, "collection", "collections")}`;
  find("status").textContent =
    `${hits} in ${within}, ${Math.round(found.tookMs)} ms · ${legs.join(" · ")}`;
}

function hitItem(hit) {
  const { from, to } = hit.location.lines ?? {};
  const lines = from === undefined ? null : from === to ? `line ${from}` : `lines ${from} to ${to}`;
  const pages = hit.location.pages ? `page ${hit.location.pages.from}` : null;
  const title = hit.title && hit.title !== hit.key ? ` · ${hit.title}` : "";
  return element(
    "li",
    {},
    element("h3", {}, ...visibleText(hit.key), ...visibleText(title)),
    element(
      "p",
      { class: "facts-line" },
      ...[lines, pages].filter((fact) => fact !== null).map((fact) => element("span", {}, fact)),
      ...Object.entries(hit.scores).map(([name, value]) => score(name, value, hit.ranks[name])),
      freshness(hit.freshness),
    ),
    element("p", { class: "snippet" }, ...markedText(hit.snippet, hit.highlights)),
  );
}

function score(name, value, rank) {
  return element(
    "span",
    {},
    `${name} `,
    element("span", { class: "number" }, value.toFixed(4)),
    rank === undefined || rank === null ? "" : ` (rank ${rank})`,
  );
}

function freshness({ state, indexedAt }) {
  const words = { current: "up to date", stale: "changed since", unknown: "freshness unknown" };
  const time = element(
    "time",
    { dateTime: indexedAt, title: indexedAt },
    new Date(indexedAt).toLocaleString(),
  );
  return element(
    "span",
    { class: state === "stale" ? "caution" : "" },
    `${words[state]}, indexed `,
    time,
  );
}

function clearHits() {
  find("hits").replaceChildren();
  find("notices").replaceChildren();
  find("notices").hidden = true;
  find("more").hidden = true;
}

function counted(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}

function clearFailure() {
  find("problem").replaceChildren();
}

function showFailure(thrown) {
  if (!(thrown instanceof ProblemError)) throw thrown;
  const { problem } = thrown;
  const signedOut = problem.status === 401;
  find("sign-in").hidden = !signedOut;
  if (signedOut) find("search").hidden = true;
  if (problem.code !== "authentication_required")
    find("problem").replaceChildren(problemPanel(problem));
}

find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const collection = find("collection").value;
  void search(
    {
      query: find("query").value,
      mode: find("mode").value,
      ...(collection === "" ? {} : { collections: [collection] }),
    },
    null,
  );
});
find("more").addEventListener("click", () => void search(shown.input, shown.cursor));

void start();

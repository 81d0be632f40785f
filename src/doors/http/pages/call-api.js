/** A failed call: `problem` is what the server said, or what kept it from saying anything. */
export class ProblemError extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** Calls an operation and gives its answer. Raises ProblemError for everything else. */
export async function callApi(method, path, body) {
  const answer = await send(method, path, body);
  const type = answer.headers.get("content-type") ?? "";
  if (!/^application\/(?:problem\+)?json/.test(type))
    throw new ProblemError(
      unreadable(`The server answered ${answer.status} with ${type || "no type"}.`),
    );
  const content = await answer.json();
  if (!answer.ok) throw new ProblemError(content);
  return content;
}

async function send(method, path, body) {
  try {
    // The header shows that a page of this server made the call: no form and no foreign page can send it.
    return await window.fetch(path, {
      method,
      credentials: "same-origin",
      headers: {
        "X-Candor-Request": "page",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    throw new ProblemError(unreadable("The server does not answer. Is it still running?"));
  }
}

function unreadable(detail) {
  return { title: "No answer", detail, code: "server_unreachable", requestId: null };
}

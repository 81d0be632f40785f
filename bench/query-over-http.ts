import { Agent, request } from "node:http";
import { timeEach } from "./measurement.ts";

/** What the client process is told: the server, its key and the bodies to send. */
export type Asked = {
  readonly url: string;
  readonly key: string;
  readonly bodies: readonly unknown[];
};

/** What it answers: milliseconds of each request, or what went wrong. */
export type Timed = { readonly times: readonly number[]; readonly error: string | null };

// One connection, kept open.
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** Sends one query and reads the whole answer. */
function send({ url, key }: Asked, body: unknown): Promise<unknown> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/api/v1/search`,
      {
        agent,
        method: "POST",
        headers: {
          authorization: `Bearer ${key}`,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(text),
        },
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () => {
          const content = Buffer.concat(parts).toString("utf8");
          if (answer.statusCode === 200) resolve(JSON.parse(content));
          else reject(new Error(`the server answered ${answer.statusCode}: ${content}`));
        });
      },
    );
    sent.on("error", reject);
    sent.end(text);
  });
}

async function answer(asked: Asked): Promise<Timed> {
  try {
    return { times: await timeEach(asked.bodies, (body) => send(asked, body)), error: null };
  } catch (thrown) {
    return { times: [], error: String(thrown) };
  }
}

process.on("message", (asked: Asked) => {
  void answer(asked).then((timed) => process.send?.(timed));
});

import { randomBytes } from "node:crypto";

/** Letters drawn at random. */
export const random = (length: number) =>
  randomBytes(length)
    .toString("base64")
    .replaceAll(/[^A-Za-z]/g, "x")
    .slice(0, length);

/** A secret of each kind, new for each test, so that wherever it is found it leaked there. */
export const makeSecrets = () => ({
  candor: `candor_${random(40)}`,
  hub: `hf_${random(34)}`,
  provider: `sk-${random(32)}`,
  host: `ghp_${random(36)}`,
  store: `AKIA${random(16).toUpperCase()}`,
  token: `eyJ${random(20)}.${random(30)}.${random(30)}`,
  address: random(24),
  assigned: random(24),
});

/** As they stand in texts, names and headers; the last two are secrets by what stands around them. */
export const toldAs = (secrets: ReturnType<typeof makeSecrets>) => [
  secrets.candor,
  secrets.hub,
  secrets.provider,
  secrets.host,
  secrets.store,
  secrets.token,
  `postgres://user:${secrets.address}@db.example/x`,
  `password=${secrets.assigned}`,
];

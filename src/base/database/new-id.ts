import { monotonicFactory } from "ulid";

const nextUlid = monotonicFactory();

/** What an id names: the prefix says it, so no id can be taken for another's or for a name. */
export type IdPrefix =
  | "aud"
  | "boot"
  | "chk"
  | "col"
  | "doc"
  | "job"
  | "key"
  | "led"
  | "ses"
  | "spc"
  | "trs"
  | "usr";

/** A fresh id such as `col_01K…`: prefix and ULID in upper case, increasing within this process. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${nextUlid()}`;
}

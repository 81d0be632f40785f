import {
  AnswerRefusedError,
  CandorError,
  DestinationRefusedError,
  DestinationUnreachableError,
} from "#base/errors/index.ts";
import type { Watch } from "./watch-exchange.ts";

/**
 * What happened on the wire as an error of the catalogue; our own errors, and faults that are not of the wire, as they
 * are. Node's texts are not shown, because they name addresses; the cause keeps them for the ledger.
 */
export function toOutgoingError(thrown: unknown, origin: string, { signal }: Watch): unknown {
  if (signal.aborted) return signal.reason;
  if (thrown instanceof CandorError || !(thrown instanceof Error)) return thrown;
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : null;
  if (code === null) return thrown;
  if (code === "ERR_IP_BLOCKED")
    return new DestinationRefusedError(`${origin} leads to an address that is not opened.`, {
      cause: thrown,
    });
  if (code === "HPE_HEADER_OVERFLOW")
    return new AnswerRefusedError(`${origin} answers with headers of more than 16 KiB.`, {
      cause: thrown,
    });
  if (code.startsWith("HPE_"))
    return new AnswerRefusedError(`${origin} answers with what is not HTTP (${code}).`, {
      cause: thrown,
    });
  return new DestinationUnreachableError(`There is no connection to ${origin} (${code}).`, {
    cause: thrown,
  });
}

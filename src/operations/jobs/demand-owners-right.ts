import type { JobScope } from "#base/jobs/index.ts";
import type { App } from "../define-operation.ts";

/**
 * Raises PermissionDeniedError unless the owner of a job that could go on may still write where it writes: what it does is done
 * in its owner's name, whoever lets it go on. Raises NotFoundError as `jobs.get` does.
 */
export async function demandOwnersRight(app: App, id: string, own: JobScope): Promise<void> {
  const { owner, target, resumable } = await app.jobs.get(id, own);
  if (resumable && target.type === "collection") await app.access.demandWriter(owner, target.id);
}

import { roleIncludes } from "#base/access/index.ts";
import { PermissionDeniedError } from "#base/errors/index.ts";
import type { JobScope } from "#base/jobs/index.ts";
import type { App } from "../define-operation.ts";

/**
 * Raises PermissionDeniedError unless the owner of a job that could go on may still write where it writes: what it does is done
 * in its owner's name, whoever lets it go on. Raises NotFoundError as `jobs.get` does.
 */
export async function demandOwnersRight(app: App, id: string, own: JobScope): Promise<void> {
  const { owner, target, resumable } = await app.jobs.get(id, own);
  if (!resumable || target.type !== "collection") return;
  const principal = await app.access.principalOf(owner);
  const right = principal && (await app.access.rightOn(principal, target.id));
  const may = principal && roleIncludes(principal.role, "api_user");
  if (!may || (right !== "write" && right !== "owner"))
    throw new PermissionDeniedError(
      `Job ${id} writes into collection ${target.id} in the name of ${owner}, who has no right to write there any more.`,
    );
}

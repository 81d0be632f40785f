import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder, openRooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { keyPrincipal } from "../../../test/fixtures/rooms/principals.ts";
import { roleIncludes, roles } from "./index.ts";

describe("roles", () => {
  it("are in a strict order, each with those below", () => {
    for (const [place, role] of roles.entries())
      for (const [other, needed] of roles.entries())
        expect(roleIncludes(role, needed)).toBe(place <= other);
  });

  it("admit those who have them and nobody else", async () => {
    const rooms = await openRooms(freshFolder(onTestFinished));
    onTestFinished(() => rooms.close());
    const { access } = rooms;
    expect(access.admit(null, "public")).toBeNull();
    for (const needed of roles) {
      expect(() => access.admit(null, { role: needed })).toThrow(
        expect.objectContaining({ code: "authentication_required", status: 401 }),
      );
      for (const role of roles) {
        const who = keyPrincipal(role, role);
        if (roleIncludes(role, needed)) expect(access.admit(who, { role: needed })).toBe(who);
        else
          expect(() => access.admit(who, { role: needed })).toThrow(
            expect.objectContaining({ code: "permission_denied", status: 403 }),
          );
      }
    }
  });
});

/** A first action: written into the hook that was used last, or into a new one, for its owner to look at and publish. */

import { useQuery } from "@tanstack/react-query";
import { useLocation } from "wouter";
import * as queries from "../api/queries.ts";
import { byRecency } from "../recent.ts";
import { Button } from "./button.tsx";
import { useNewHook } from "./new_hook.tsx";

/** What a hook's page is opened with, that shall add one to its code. */
export const ADD_ACTION = "add=action";

const SAMPLE = `
export const actions = {
  greet: async (io, ctx) => {
    const name = await io.input.text("Name");
    await io.display.heading(\`Hello, \${name}\`);
    return { greeted: name };
  },
};
`;

/** Nothing where there are actions already: whoever wrote them knows how. */
export function withAction(code: string): string | undefined {
  if (/^\s*export\s+(const|let|var)\s+actions\b/m.test(code)) return undefined;
  return `${code.trimEnd()}\n${SAMPLE}`;
}

export function AddAction() {
  const { data: hooks } = useQuery(queries.hooks);
  const [, go] = useLocation();
  const newHook = useNewHook(ADD_ACTION);
  const last = hooks && byRecency(hooks)[0];
  return (
    <Button
      icon="plus"
      isBusy={newHook.isPending}
      onClick={() => (last ? go(`/hooks/${last.id}?${ADD_ACTION}`) : newHook.make())}
    >
      Add an action
    </Button>
  );
}

/** A new hook, with nothing to fill in: its name is given when it has one. */

import { useQueryClient } from "@tanstack/react-query";
import { useLocation } from "wouter";
import * as queries from "../api/queries.ts";
import { Button } from "./button.tsx";
import { useToast } from "./toast.tsx";

/** Makes a hook and goes to it. `search` says what its page shall begin with. */
export function useNewHook(search = "") {
  const cache = useQueryClient();
  const toast = useToast();
  const [, go] = useLocation();
  const create = queries.useChange(queries.createHook, [queries.hooks.queryKey]);
  const make = () => {
    if (create.isPending) return;
    // The promise outlives the empty list, or the command bar, that asked for it.
    create.mutateAsync({}).then((hook) => {
      cache.setQueryData(queries.hook(hook.id).queryKey, hook);
      go(`/hooks/${hook.id}${search && `?${search}`}`);
    }, toast.failed);
  };
  return { make, isPending: create.isPending };
}

export function NewHook({ kind = "plain" }: { kind?: "plain" | "main" }) {
  const { make, isPending } = useNewHook();
  return (
    <Button kind={kind} icon="plus" isBusy={isPending} onClick={make}>
      New hook
    </Button>
  );
}

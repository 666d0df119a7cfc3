/** Whether something may be loaded from elsewhere, which tells elsewhere who looks on: a person says so, once a visit. */

import { useCallback, useSyncExternalStore } from "react";
import { Button } from "../components/button.tsx";

const STORED = "everfold-loads-from";
const listeners = new Set<() => void>();

const stored = () => sessionStorage.getItem(STORED) ?? "";

type Kind = "images" | "video";

const entry = (kind: Kind, origin: string) => `${kind}:${origin}`;

function agree(entries: readonly string[]) {
  sessionStorage.setItem(STORED, [...new Set([...stored().split(" "), ...entries])].join(" ").trim());
  for (const listener of listeners) listener();
}

/** Which origins a person agreed to. */
export function useAgreed(kind: Kind): (origin: string) => boolean {
  const agreed = useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, stored);
  return useCallback((origin) => agreed.split(" ").includes(entry(kind, origin)), [kind, agreed]);
}

export function Load({ what, origins }: { what: Kind; origins: readonly string[] }) {
  const hosts = origins.map((origin) => new URL(origin).host).join(", ");
  return (
    <Button icon="download" onClick={() => agree(origins.map((origin) => entry(what, origin)))}>
      Load {what} from {hosts}
    </Button>
  );
}

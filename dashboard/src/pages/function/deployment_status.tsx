/** How a deployment stands, and what it is known by: in a list, a sheet, and beside its function. */

import type { Deployment, DeploymentStatus } from "../../api/types.ts";
import type { IconName } from "../../components/icon.tsx";
import { Sign, type Tone } from "../../components/status.tsx";
import { count } from "../../components/time.tsx";
import { bytes } from "../../components/units.ts";

const SHOWN: Record<DeploymentStatus | "active", { icon: IconName; tone: Tone; why: string }> = {
  waiting: { icon: "clock", tone: "plain", why: "It waits for its turn to be built." },
  building: { icon: "play", tone: "warn", why: "It is being built." },
  active: { icon: "check", tone: "ok", why: "Requests go to it." },
  ready: { icon: "check", tone: "plain", why: "It is built, and can be activated." },
  failed: { icon: "cross", tone: "bad", why: "It could not be built." },
  cancelled: { icon: "minus", tone: "plain", why: "A person ended its build." },
};

export function DeploymentState({ of: { status, isActive } }: { of: Deployment }) {
  const name = isActive ? "active" : status;
  return <Sign {...SHOWN[name]}>{name}</Sign>;
}

const DIGITS_SHOWN = 8;

/** As the hash of its code begins. */
export const digitsOf = ({ hash }: Deployment) => hash.slice(0, DIGITS_SHOWN);

/** What was built of it; nothing where that is not so. */
export function treeOf({ files, builtBytes }: Deployment): string | null {
  if (files === null || builtBytes === null) return null;
  return `${files === 1 ? "one file" : `${count(files)} files`}, ${bytes(builtBytes)}`;
}

/** What is gone back to: the one that was built last before the one that answers. */
export function earlierOf(deployments: readonly Deployment[]): Deployment | undefined {
  const active = deployments.findIndex(({ isActive }) => isActive);
  return active < 0 ? undefined : deployments.slice(active + 1).find(({ status }) => status === "ready");
}

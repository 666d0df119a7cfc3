/** Where links of an action lead: to another action, to a page, or out of here. */

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { actions, pathOf } from "../../api/actions.ts";
import type { Action, ButtonTheme, Target } from "../../api/types.ts";
import button from "../../components/button.module.css";
import { safeAddress } from "../sanitise.ts";
import { decoded } from "../superjson.ts";

/** An address: of these pages, or elsewhere. */
export interface Place {
  href: string;
  isElsewhere: boolean;
}

export function placeOfTarget(target: Target, known: readonly Action[] = []): Place | undefined {
  const route = target.route ?? target.action;
  if (route) {
    const page = known.find(({ slug }) => slug === route)?.isPage ? "p" : "a";
    return { href: `/${page}/${pathOf(route)}${query(target)}`, isElsewhere: false };
  }
  const address = target.url ?? target.href;
  const href = address ? safeAddress(address) : undefined;
  if (href === undefined) return undefined;
  const isElsewhere = !href.startsWith(`${location.origin}/`);
  return { href: isElsewhere ? href : href.slice(location.origin.length), isElsewhere };
}

function query({ params, paramsMeta }: Target): string {
  const read = decoded(params, paramsMeta);
  if (typeof read !== "object" || read === null) return "";
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(read)) {
    if (value === null || value === undefined) continue;
    search.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  return search.size > 0 ? `?${search}` : "";
}

export function usePlace(target: Target | undefined): Place | undefined {
  const isRoute = Boolean(target?.route ?? target?.action);
  const { data } = useQuery({ ...actions, enabled: isRoute });
  return target && placeOfTarget(target, data);
}

interface LeadProps {
  target: Target;
  className?: string | undefined;
  children: ReactNode;
}

/** A link, where there is a place to lead to. */
export function Lead({ target, className, children }: LeadProps) {
  const place = usePlace(target);
  if (!place) return <span className={className}>{children}</span>;
  if (!place.isElsewhere) {
    return (
      <Link href={place.href} className={className}>
        {children}
      </Link>
    );
  }
  return (
    <a href={place.href} className={className} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}

const KINDS: Record<ButtonTheme, string | undefined> = {
  default: undefined,
  primary: button.main,
  secondary: undefined,
  danger: button.danger,
};

interface LeadButtonProps {
  item: Target & { label: string; theme?: ButtonTheme; disabled?: boolean };
}

/** A link that looks like a button. */
export function LeadButton({ item }: LeadButtonProps) {
  const className = [button.button, KINDS[item.theme ?? "default"]].filter(Boolean).join(" ");
  if (item.disabled) {
    return (
      <button type="button" className={className} disabled>
        {item.label}
      </button>
    );
  }
  return (
    <Lead target={item} className={className}>
      {item.label}
    </Lead>
  );
}

/** Pages: shown for as long as somebody looks. */

import { queryOptions, skipToken, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { actions } from "./actions.ts";
import { call } from "./http.ts";
import { listen } from "./line.ts";
import { client } from "./queries.ts";
import { waiting } from "./runs.ts";
import type { Component, Json, PageShown } from "./types.ts";

/** Never read, only told. `params` are those of its address. */
export const page = (slug: string, params: string) =>
  queryOptions<PageShown>({
    queryKey: ["page", slug, params],
    queryFn: skipToken,
    staleTime: Number.POSITIVE_INFINITY,
  });

/** As long as its code is there it is open, and changes come as they are made. */
export function usePageLive(slug: string, params: string, isThere: boolean) {
  const cache = useQueryClient();
  useEffect(() => {
    if (!isThere) return;
    const { queryKey } = page(slug, params);
    const search = new URLSearchParams({
      slug,
      params: JSON.stringify(Object.fromEntries(new URLSearchParams(params))),
    });
    const end = listen({
      path: `/page-events?${search}`,
      onFrame: (text) => {
        const shown = JSON.parse(text) as PageShown;
        cache.setQueryData<PageShown>(queryKey, shown);
        if (shown.isOver) void cache.invalidateQueries({ queryKey: actions.queryKey });
      },
    });
    return () => {
      end();
      // The key of this look is worth nothing to the next.
      cache.removeQueries({ queryKey });
    };
  }, [slug, params, isThere, cache]);
}

interface Place {
  slug: string;
  params: string;
  index: number;
  /** How often its code tells what came of a move. */
  toldTimes: number;
}

/** Tells a part of a page what a person looks for in it, and waits for what it looks like then. */
export async function askPage({ slug, params, index, toldTimes }: Place, state: Json): Promise<Component> {
  const { queryKey } = page(slug, params);
  const shown = client.getQueryData(queryKey);
  const read = () => client.getQueryData(queryKey)?.layout?.children?.toRender ?? [];
  const times = () => client.getQueryState(queryKey)?.dataUpdateCount ?? 0;
  const parts = read();
  const before = parts[index];
  if (!shown || !before) throw new Error("This is no longer shown.");
  const values = parts.map((_, place) => (place === index ? state : null));
  const told = times() + toldTimes;
  const look = waiting(() => read()[index]?.props !== before.props || times() >= told);
  try {
    await call("POST", `/api/pages/${encodeURIComponent(shown.key)}/state`, { values });
    await look.isThere;
  } finally {
    look.stop();
  }
  return read()[index] ?? before;
}

/** What pages read and change of schedules: actions that are begun by themselves. */

import { queryOptions } from "@tanstack/react-query";
import { call } from "./http.ts";
import type { NewSchedule, Page, Schedule } from "./types.ts";

/** Nobody tells when nothing could be begun. */
const UNTOLD_MS = 10_000;

export const schedules = queryOptions({
  queryKey: ["schedules"],
  queryFn: async () => {
    const all: Schedule[] = [];
    let token: string | null = null;
    do {
      const search: string = token === null ? "" : `?token=${encodeURIComponent(token)}`;
      const page: Page<Schedule> = await call<Page<Schedule>>("GET", `/api/schedules${search}`);
      all.push(...page.objects);
      token = page.nextToken;
    } while (token !== null);
    return all.sort((one, other) => (one.nextAt ?? Number.MAX_VALUE) - (other.nextAt ?? Number.MAX_VALUE));
  },
  refetchInterval: ({ state }) => (state.error ? false : UNTOLD_MS),
});

const schedulePath = (id: string) => `/api/schedules/${encodeURIComponent(id)}`;

export const makeSchedule = (body: NewSchedule) => call<Schedule>("POST", "/api/schedules", body);

export const changeSchedule = ({ id, ...change }: Partial<NewSchedule> & { id: string }) =>
  call<Schedule>("PUT", schedulePath(id), change);

export const deleteSchedule = (id: string) => call<unknown>("DELETE", schedulePath(id));

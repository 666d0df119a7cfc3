/** Actions that a hook has, and their runs, made over the API before a person comes to look. */

import type { Page } from "@playwright/test";
import type { Run } from "../src/api/types.ts";
import { expect } from "./journey.ts";

/** Ask and end; end at once; end badly; are not shown. */
export const ACTIONS = `export function reducer(state = 0) {
  return state + 1;
}
export const actions = {
  greet: {
    name: "Greet somebody",
    description: "Says hello to whom you like.",
    handler: async (io) => {
      const name = await io.input.text("Whom to greet");
      return { greeted: name };
    },
  },
  count: async () => ({ counted: 3 }),
  break: async () => {
    throw new Error("this cannot be done");
  },
  secret: { name: "Secret errand", unlisted: true, handler: async () => "done" },
};
`;

/** Resolves when it stands still: waits, or is over. */
export async function run(page: Page, slug: string): Promise<Run> {
  const begun = await page.request.post(`/api/actions/${encodeURIComponent(slug)}/runs`, { data: {} });
  expect(begun.status(), await begun.text()).toBe(201);
  const { id } = await begun.json();
  await expect.poll(async () => (await read(page, id)).status).not.toBe("running");
  return read(page, id);
}

export async function read(page: Page, id: string): Promise<Run> {
  return (await page.request.get(`/api/runs/${id}`)).json();
}

/** As if from another tab. */
export async function answer(page: Page, { id, question }: Run, ...values: unknown[]) {
  const taken = await page.request.post(`/api/runs/${id}/answers`, { data: { key: question?.key, values } });
  expect(taken.status(), await taken.text()).toBe(200);
}

/** The pages of hooks, and those that are nobody's: with a shop's webhook full of orders. */

import type { Json } from "../../src/api/types.ts";
import { beGuest, changeHook, folded, hookPage, makeHook, publish } from "../hook.ts";
import { expect, refusal, test } from "../journey.ts";
import { DESK, PHONE, shoot, signIn } from "./shoot.ts";

const ORDERS = 300;

const FIRST = `type State = { orders: number; revenue: number };

export function reducer(state: State = { orders: 0, revenue: 0 }, request): State {
  const { order, total } = request.body;
  return order ? { orders: state.orders + 1, revenue: state.revenue + total } : state;
}
`;

const CODE = `// Each order of the shop: what was earned, what is left.
type State = {
  orders: number;
  revenue: number;
  byCountry: Record<string, number>;
  stock: Record<string, number>;
  last: { order: string; customer: string; total: number } | null;
};

const none = { orders: 0, revenue: 0, byCountry: {}, stock: {}, last: null };

/** A webhook may come twice; an order counts once. */
export function getIdempotencyKey(request) {
  return request.headers["x-delivery"] ?? request.id;
}

export function reducer(state: State = none, request): State {
  const { order, customer, total, country, sku, quantity, count } = request.body;
  if (count !== undefined) {
    return { ...state, stock: { ...state.stock, [sku]: count } };
  }
  if (total <= 0) {
    throw new RangeError(\`order \${order} has a total of \${total}\`);
  }
  if (total > 180) console.warn("a large order", order, total);
  else console.log("sold", quantity, sku);
  return {
    orders: state.orders + 1,
    revenue: Math.round((state.revenue + total) * 100) / 100,
    byCountry: { ...state.byCountry, [country]: (state.byCountry[country] ?? 0) + 1 },
    stock: { ...state.stock, [sku]: (state.stock[sku] ?? 0) - quantity },
    last: { order, customer, total },
  };
}

export function query(state, params) {
  const country = params.get("country");
  return country ? { orders: state.byCountry[country] ?? 0 } : state;
}

template("A paid order", () => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: { order: "A-1301", customer: "Mira", total: 23.8, country: "DE", sku: "tea-green", quantity: 2 },
}));
`;

const CUSTOMERS = ["Mira", "Jonas", "Aiko", "Lucía", "Noah", "Priya", "Emil", "Zoë", "Tariq", "Ada"];
const COUNTRIES = ["DE", "FR", "JP", "ES", "US", "IN"];
const GOODS: [sku: string, price: number][] = [
  ["tea-green", 11.9],
  ["tea-black", 9.5],
  ["cup-white", 18],
  ["pot-iron", 64],
  ["honey", 7.25],
];

function pick<Value>(values: readonly Value[], number: number): Value {
  return values[number % values.length] as Value;
}

/** The same orders each time, and none like the one before. */
function orders(): { delivery: string; body: Json }[] {
  const counted = GOODS.map(([sku], index) => ({ delivery: `s-${sku}`, body: { sku, count: 220 + 40 * index } }));
  const sold = Array.from({ length: ORDERS - counted.length }, (_, index) => {
    const number = (index * 7919 + 104_729) % 10_007;
    const [sku, price] = pick(GOODS, number);
    const quantity = 1 + (number % 4);
    const isTwice = index % 58 === 57;
    const isBad = index % 42 === 41;
    const body = {
      order: `A-${1000 + index}`,
      customer: pick(CUSTOMERS, number >> 2),
      total: isBad ? 0 : Math.round(price * quantity * 100) / 100,
      country: pick(COUNTRIES, number >> 3),
      sku,
      quantity,
    };
    return { delivery: `d-${isTwice ? index - 1 : index}`, body };
  });
  return [...counted, ...sold];
}

test("hooks", async ({ page, server, voice }) => {
  await page.setViewportSize(DESK);
  await page.goto("/");
  await expect(hookPage(page).code).toBeVisible();
  await expect(page.getByText("No requests yet")).toBeVisible();
  await shoot(page, "first-visit");
  await page.evaluate(() => localStorage.setItem("everfold-welcomed", "yes"));

  await beGuest(page);
  await page.goto("/hooks");
  await page.getByRole("banner").getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("textbox", { name: "E-mail" }).fill("ada@tea.example");
  await shoot(page, "sign-in-dialog");
  const link = await signIn(page);
  await page.goto("/dev/mail");
  await shoot(page, "mail");
  await page.goto(link);
  await shoot(page, "sign-in");
  await page.getByRole("button").click();

  const made = await makeHook(page, {
    name: "shop-orders",
    description: "Paid orders and counted stock, from the shop",
    code: FIRST,
  });
  await changeHook(page, made.id, { code: CODE });
  await publish(page, made.id);
  await page.request.post(`/api/secrets/${made.id}`, { data: { key: "SHOP_WEBHOOK_SECRET", value: "whsec_1" } });
  await page.request.post(`/api/secrets/${made.id}`, { data: { key: "MAIL_TOKEN", value: "mt_2" } });
  await page.request.post(`/api/hooks/${made.id}/keys`, { data: { type: "read" } });
  for (const { delivery, body } of orders()) {
    await page.request.post(`/write/${made.writeKeys[0]}`, { data: body, headers: { "x-delivery": delivery } });
  }
  await folded(page, made, ORDERS);
  await changeHook(page, made.id, {
    code: CODE.replace("total > 180", "total > 240").replace(
      "orders: state.orders + 1,",
      "orders: state.orders + quantity,",
    ),
  });
  for (const [name, description, many] of [
    ["newsletter", "Who wants to hear from us", 24],
    ["sensor-cellar", "Temperature and humidity, every minute", 60],
    ["github-stars", "", 9],
  ] as const) {
    const other = await makeHook(page, { name, description });
    await server.write(
      other.writeKeys[0] ?? "",
      Array.from({ length: many }, (_, n) => ({ name: `n${n}` })),
    );
  }

  const hook = hookPage(page);
  await hook.open(made.id);
  await expect(hook.row(ORDERS)).toBeVisible();
  await expect(hook.code).toBeVisible();
  await shoot(page, "hook");
  await shoot(page, "hook-phone", PHONE);
  await page.setViewportSize(DESK);

  await hook.open(made.id, "?at=121");
  await expect(hook.state).toContainText("after request 121");
  await shoot(page, "time-travel");

  await hook.open(made.id);
  await hook.row(ORDERS - 2).click();
  await expect(hook.dialog.getByRole("list", { name: "Diff" })).toBeVisible();
  await shoot(page, "request");
  await hook.open(made.id);
  await hook.row(ORDERS - 1).click();
  await expect(hook.dialog.getByRole("region", { name: "Error" })).toBeVisible();
  await shoot(page, "error");

  await hook.open(made.id);
  await expect(hook.code).toBeVisible();
  await hook.button("Preview").click();
  await expect(page.getByRole("list", { name: "What would change" })).toBeVisible();
  await shoot(page, "preview");

  await hook.open(made.id, "?tab=state");
  await expect(page.getByRole("img", { name: /orders|revenue/ })).toBeVisible();
  await shoot(page, "state");
  for (const [tab, sign] of [
    ["versions", page.getByRole("button", { name: "Restore" }).first()],
    ["console", page.getByRole("link", { name: /^Request / }).first()],
    ["keys", page.getByRole("group", { name: /^curl for/ })],
    ["secrets", page.getByRole("cell", { name: "MAIL_TOKEN" })],
    ["settings", hook.button("Delete")],
  ] as const) {
    await hook.open(made.id, `?tab=${tab}`);
    await expect(sign).toBeVisible();
    await page.waitForLoadState("networkidle");
    await shoot(page, `hook-${tab}`);
  }

  await page.goto("/hooks");
  await expect(page.getByRole("img", { name: /300 requests/ })).toBeVisible();
  await shoot(page, "hooks");
  await shoot(page, "hooks-phone", PHONE);
  await page.setViewportSize(DESK);
  await page.keyboard.press("ControlOrMeta+k");
  await page.keyboard.type("shop");
  await expect(hook.dialog.getByRole("option").first()).toContainText("shop-orders");
  await shoot(page, "command-bar");
  await page.goto("/settings");
  await expect(page.getByRole("checkbox", { name: "Closed to guests" })).toBeVisible();
  await shoot(page, "settings");
  await page.goto("/health");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await page.waitForTimeout(2_500);
  await shoot(page, "health");
  await page.goto("/docs");
  await shoot(page, "docs");
  await voice.expecting([refusal(404)], async () => {
    await page.goto("/nowhere");
    await shoot(page, "not-found");
  });
});

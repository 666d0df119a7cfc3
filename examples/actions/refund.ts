/** A shop's charges, folded from what was sent here, and the tool with which support gives money back. */

interface Charge {
  id: string;
  email: string;
  what: string;
  amount: number;
  refunded?: boolean;
}

const FIRST: Charge[] = [
  { id: "ch_1", email: "ada@example.com", what: "Analytical engine, monthly", amount: 49 },
  { id: "ch_2", email: "ada@example.com", what: "Punched cards, 1,000", amount: 12.5 },
  { id: "ch_3", email: "ada@example.com", what: "Analytical engine, monthly", amount: 49 },
  { id: "ch_4", email: "grace@example.com", what: "Moth repellent", amount: 3 },
];

export function reducer(charges: Charge[] = FIRST, request): Charge[] {
  const { charge, refund } = request.body ?? {};
  if (charge) return [...charges, charge];
  return charges.map((known) => (known.id === refund ? { ...known, refunded: true } : known));
}

export const actions = {
  refund: async (io, ctx) => {
    const email = await io.input.email("Email", { helpText: "ada@example.com has bought something" });
    const charges: Charge[] = (await ctx.state()) ?? FIRST;
    const data = charges.filter((charge) => charge.email === email && !charge.refunded);
    const chosen = await io.select.table("Select charges to refund", { data, minSelections: 1 });

    await ctx.loading.start({ label: "Refunding", itemsInQueue: chosen.length });
    for (const charge of chosen) {
      // Done once, whatever ends the server meanwhile.
      await ctx.step(`refund ${charge.id}`, () => ctx.send({ refund: charge.id }));
      await ctx.sleep(500);
      await ctx.loading.completeOne();
    }
    return { refunded: chosen.length, amount: chosen.reduce((sum, { amount }) => sum + amount, 0) };
  },
};

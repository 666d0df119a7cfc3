/** A support tool: find a customer's charges, choose some, give the money back. */

interface Charge {
  id: string;
  description: string;
  amount: number;
}

const SHOP = "https://shop.example";

export const actions = {
  refund: async (io, ctx) => {
    const email = await io.input.email("Email");
    const found = await ctx.fetch(`${SHOP}/charges?email=${encodeURIComponent(email)}`);
    const charges: Charge[] = await found.json();
    const chosen = await io.select.table("Select charges to refund", { data: charges, minSelections: 1 });

    await ctx.loading.start({ label: "Refunding", itemsInQueue: chosen.length });
    for (const charge of chosen) {
      await ctx.step(`refund ${charge.id}`, ({ idempotencyKey }) =>
        ctx.fetch(`${SHOP}/charges/${charge.id}/refund`, {
          method: "POST",
          headers: { "idempotency-key": idempotencyKey },
        }).then((response) => response.json()),
      );
      await ctx.loading.completeOne();
    }
    return { refunded: chosen.length };
  },
};

// Money that came and went, by currency, in the smallest unit (cents), as Stripe counts it.
// Developers > Webhooks > Add endpoint: this hook's write URL; its signing secret in place of
// secrets.STRIPE_SECRET, as "…".

type State = { paid: Record<string, number>; refunded: Record<string, number>; failed: number };

export function responder(request, secrets) {
  const isSigned = !secrets.STRIPE_SECRET || verifyWebhook(request, secrets.STRIPE_SECRET, "stripe");
  return isSigned ? { statusCode: 200, body: { received: true } } : { statusCode: 401, body: "wrong signature" };
}

export function reducer(state: State = { paid: {}, refunded: {}, failed: 0 }, request): State {
  const { type, data } = request.body;
  switch (type) {
    case "payment_intent.succeeded":
      return { ...state, paid: plus(state.paid, data.object.currency, data.object.amount_received) };
    case "refund.created":
      return { ...state, refunded: plus(state.refunded, data.object.currency, data.object.amount) };
    case "payment_intent.payment_failed":
      return { ...state, failed: state.failed + 1 };
    default:
      return state;
  }
}

// GET <read URL>?currency=eur
export function query(state: State | null, params: URLSearchParams) {
  const currency = params.get("currency");
  if (!state || !currency) return state;
  return { body: { currency, balance: (state.paid[currency] ?? 0) - (state.refunded[currency] ?? 0) } };
}

function plus(sums: Record<string, number>, currency: string, amount: number) {
  return { ...sums, [currency]: (sums[currency] ?? 0) + amount };
}

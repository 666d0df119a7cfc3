// Prints real webhooks, one JSON object a line: every payload of @octokit/webhooks-examples as GitHub would send it,
// and Stripe's and Slack's beside them. Signed here, by Node, so that the test trusts no code of Everfold for it.
//   GITHUB_SECRET=… STRIPE_SECRET=… SLACK_SECRET=… node payloads.mjs
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";

const examples = createRequire(import.meta.url)("@octokit/webhooks-examples");

const { GITHUB_SECRET = "", STRIPE_SECRET = "", SLACK_SECRET = "" } = process.env;
const seconds = Math.floor(Date.now() / 1000);
const sign = (secret, text) => createHmac("sha256", secret).update(text).digest("hex");
const say = (hook, headers, body) => console.log(JSON.stringify({ hook, headers, body }));

let delivery = 0;
for (const { name, examples: payloads } of examples) {
  for (const payload of payloads) {
    const body = JSON.stringify(payload);
    say("github", {
      "x-github-event": name,
      "x-github-delivery": `00000000-0000-4000-8000-${String(++delivery).padStart(12, "0")}`,
      "x-hub-signature-256": `sha256=${sign(GITHUB_SECRET, body)}`,
      "user-agent": "GitHub-Hookshot/044aadd",
    }, body);
  }
}

const stripe = (id, type, object) => {
  const body = JSON.stringify({ id, object: "event", api_version: "2025-06-30.basil", created: seconds, livemode: false, type, data: { object } }, null, 2);
  say("stripe", { "stripe-signature": `t=${seconds},v1=${sign(STRIPE_SECRET, `${seconds}.${body}`)}` }, body);
};
stripe("evt_1", "payment_intent.succeeded", { id: "pi_1", object: "payment_intent", amount: 2000, amount_received: 2000, currency: "eur", status: "succeeded" });
stripe("evt_2", "payment_intent.succeeded", { id: "pi_2", object: "payment_intent", amount: 1599, amount_received: 1599, currency: "usd", status: "succeeded" });
stripe("evt_6", "customer.updated", { id: "cus_2", object: "customer" });
stripe("evt_3", "refund.created", { id: "re_1", object: "refund", amount: 500, currency: "eur", payment_intent: "pi_1", status: "succeeded" });
stripe("evt_4", "payment_intent.payment_failed", { id: "pi_3", object: "payment_intent", amount: 900, amount_received: 0, currency: "eur", status: "requires_payment_method" });
stripe("evt_5", "customer.created", { id: "cus_1", object: "customer" });

const slack = (value) => {
  const body = JSON.stringify(value);
  say("slack", { "x-slack-request-timestamp": String(seconds), "x-slack-signature": `v0=${sign(SLACK_SECRET, `v0:${seconds}:${body}`)}` }, body);
};
const message = (event_id, user, channel, more = {}) => slack({
  token: "ZZZZZZWSxiZZZ2yIvs3peJ", team_id: "T123ABC456", api_app_id: "A123ABC456", type: "event_callback", event_id, event_time: seconds,
  event: { type: "message", channel, user, text: "Live long and prosper", ts: `${seconds}.000100`, event_ts: `${seconds}.000100`, channel_type: "channel", ...more },
});
slack({ token: "Jhj5dZrVaK7ZwHHjRyZWjbDl", challenge: "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", type: "url_verification" });
message("Ev1", "U1", "C1");
message("Ev2", "U2", "C1");
message("Ev5", "U2", "C1", { subtype: "channel_join" });
message("Ev3", "U1", "C2");
message("Ev4", "U1", "C2", { subtype: "message_changed" });

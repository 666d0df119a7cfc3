// Who writes how much in which Slack channel.
// api.slack.com > Your app > Event Subscriptions: this hook's write URL; subscribe to message.channels; the app's
// signing secret in place of secrets.SLACK_SECRET, as "…".

type State = Record<string, { messages: number; byPerson: Record<string, number> }>; // by channel

// Slack asks once whether this URL is yours: say its challenge back. That request is no message.
export function responder(request, secrets) {
  const isSigned = !secrets.SLACK_SECRET || verifyWebhook(request, secrets.SLACK_SECRET, "slack");
  if (!isSigned) return { statusCode: 401, body: "wrong signature" };
  if (request.body.type === "url_verification") {
    return { statusCode: 200, headers: { "content-type": "text/plain" }, body: request.body.challenge };
  }
  return { statusCode: 200, body: "" };
}

export function reducer(state: State = {}, request): State {
  const event = request.body.event;
  if (event?.type !== "message" || event.subtype) return state; // an edit or a join is not a new message

  const channel = state[event.channel] ?? { messages: 0, byPerson: {} };
  const byPerson = { ...channel.byPerson, [event.user]: (channel.byPerson[event.user] ?? 0) + 1 };
  return { ...state, [event.channel]: { messages: channel.messages + 1, byPerson } };
}

// What GitHub says about your repositories: stars, open issues, open pull requests.
// In a repository: Settings > Webhooks > Add webhook; payload URL: this hook's write URL; content type:
// application/json; the secret you choose in place of secrets.GITHUB_SECRET, as "…".

type Titles = Record<string, string>; // by number
type Repository = { stars: number; openIssues: Titles; openPullRequests: Titles };
type State = Record<string, Repository>; // by full name, such as "octocat/hello-world"

// A stranger's request is answered 401: it is kept and shown as ignored, and never reaches the reducer.
export function responder(request, secrets) {
  const isSigned = !secrets.GITHUB_SECRET || verifyWebhook(request, secrets.GITHUB_SECRET, "github");
  return isSigned ? { statusCode: 202, body: "thank you" } : { statusCode: 401, body: "wrong signature" };
}

export function reducer(state: State = {}, request): State {
  const { action, repository, issue, pull_request } = request.body;
  if (!repository) return state;

  const known = state[repository.full_name] ?? { stars: 0, openIssues: {}, openPullRequests: {} };
  const next = { ...known, stars: repository.stargazers_count ?? known.stars };

  switch (request.headers["x-github-event"]) {
    case "issues":
      next.openIssues = listed(known.openIssues, issue, action);
      break;
    case "pull_request":
      next.openPullRequests = listed(known.openPullRequests, pull_request, action);
      break;
  }
  return { ...state, [repository.full_name]: next };
}

// The titles with this one added or taken away.
function listed(titles: Titles, subject, action: string): Titles {
  const { [subject.number]: known, ...others } = titles;
  const isOpen = action === "transferred" || action === "deleted" ? false : (subject.state ?? "open") === "open";
  return isOpen ? { ...others, [subject.number]: subject.title } : others;
}

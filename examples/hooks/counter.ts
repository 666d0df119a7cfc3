// Counts what arrives, by name. Change a line and save: everything that ever arrived is counted again.
//   curl -d '{"name":"tea"}' -H 'content-type: application/json' <write URL>

type State = { total: number; byName: Record<string, number> };

export function reducer(state: State = { total: 0, byName: {} }, request): State {
  const name = request.body?.name ?? "nobody";
  return { total: state.total + 1, byName: { ...state.byName, [name]: (state.byName[name] ?? 0) + 1 } };
}

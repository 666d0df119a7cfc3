/** HooksPage. */

export function HooksPage() {
  return <h1>HooksPage</h1>;
}

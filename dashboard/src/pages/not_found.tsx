/** No page stands at this address. */

import { Link } from "wouter";
import { Page } from "../components/page.tsx";
import { withModifier } from "../keys.ts";
import { useTitle } from "../title.ts";

export function NotFoundPage() {
  useTitle("Not found");
  return (
    <Page title="Not found" isNarrow about="No page stands at this address, or it is not yours to see.">
      <p>
        <Link href="/">Go home</Link>, look through <Link href="/hooks">all hooks</Link>, or press{" "}
        <kbd>{withModifier("K")}</kbd> and type what you look for.
      </p>
    </Page>
  );
}

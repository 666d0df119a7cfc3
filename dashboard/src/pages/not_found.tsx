/** No page stands at this address. */

import { Link } from "wouter";
import { Empty } from "../components/empty.tsx";
import { useTitle } from "../title.ts";

export function NotFoundPage() {
  useTitle("Not found");
  return (
    <Empty title="Not found">
      No page stands at this address. <Link href="/">Go home</Link>, or press Ctrl+K and type what you look for.
    </Empty>
  );
}

/** What the browser's tab says. */

import { useEffect } from "react";

export function useTitle(title: string | undefined) {
  useEffect(() => {
    if (title) document.title = title === "Everfold" ? title : `${title} · Everfold`;
  }, [title]);
}

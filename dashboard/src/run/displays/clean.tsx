/** HTML of others, cleaned, put into the page node by node. */

import { useLayoutEffect, useMemo, useRef } from "react";
import { Load, useAgreed } from "../consent.tsx";
import { cleanHtml } from "../sanitise.ts";
import style from "./clean.module.css";

export function Clean({ html }: { html: string }) {
  const place = useRef<HTMLDivElement>(null);
  const isAgreed = useAgreed("images");
  const { content, withheld } = useMemo(() => cleanHtml(html, isAgreed), [html, isAgreed]);
  useLayoutEffect(() => {
    place.current?.replaceChildren(content.cloneNode(true));
  }, [content]);
  return (
    <div className={style.clean}>
      <div ref={place} className={style.text} />
      {withheld.length > 0 && <Load what="images" origins={withheld} />}
    </div>
  );
}

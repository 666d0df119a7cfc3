/** An image, which is loaded from elsewhere only when a person agrees. */

import { useState } from "react";
import { Load, useAgreed } from "../consent.tsx";
import { remoteOrigin, safeAddress } from "../sanitise.ts";
import style from "./picture.module.css";

export type Size = "thumbnail" | "small" | "medium" | "large";

export interface PictureProps {
  url: string;
  alt?: string;
  size?: Size;
  width?: Size;
  height?: Size;
}

export function Picture({ url, alt = "", size, width, height }: PictureProps) {
  const isAgreed = useAgreed("images");
  const [isBroken, setBroken] = useState(false);
  const origin = remoteOrigin(url);
  if (origin !== undefined && !isAgreed(origin)) return <Load what="images" origins={[origin]} />;
  if (isBroken) return <NotLoaded what="image" url={url} words={alt} />;
  return (
    <img
      className={`${style.picture} ${style[size ?? width ?? height ?? "large"]}`}
      src={url}
      alt={alt}
      loading="lazy"
      referrerPolicy="no-referrer"
      onError={() => setBroken(true)}
    />
  );
}

/** It is not there, or the page may not load it: who wants it follows the link. */
export function NotLoaded({ what, url, words }: { what: string; url: string; words?: string }) {
  const address = url.startsWith("data:") ? undefined : safeAddress(url);
  return (
    <span className={style.notLoaded}>
      {words || `This ${what}`} could not be loaded.{" "}
      {address && (
        <a href={address} target="_blank" rel="noopener noreferrer">
          Open it by itself
        </a>
      )}
    </span>
  );
}

/** A video, which is loaded from elsewhere only when a person agrees. */

import { useState } from "react";
import type { DisplayProps } from "../component.ts";
import { Load, useAgreed } from "../consent.tsx";
import { remoteOrigin } from "../sanitise.ts";
import { Figure } from "./figure.tsx";
import { NotLoaded, type Size } from "./picture.tsx";
import style from "./picture.module.css";

interface Props {
  url: string;
  loop?: boolean;
  muted?: boolean;
  width?: Size;
  height?: Size;
}

export function Video({ shown }: DisplayProps<Props>) {
  const isAgreed = useAgreed("video");
  const [isBroken, setBroken] = useState(false);
  const { url, loop, muted, width, height } = shown.props;
  const origin = remoteOrigin(url);
  return (
    <Figure label={shown.label}>
      {origin !== undefined && !isAgreed(origin) ? (
        <span>
          <Load what="video" origins={[origin]} />
        </span>
      ) : isBroken ? (
        <NotLoaded what="video" url={url} />
      ) : (
        <video
          className={`${style.picture} ${style[width ?? height ?? "large"]}`}
          src={url}
          aria-label={shown.label}
          controls
          loop={loop}
          muted={muted}
          playsInline
          onError={() => setBroken(true)}
        />
      )}
    </Figure>
  );
}

/** A button, plain or the one that the page is about. */

import type { ButtonHTMLAttributes } from "react";
import style from "./button.module.css";
import { Icon, type IconName } from "./icon.tsx";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "plain" | "main" | "quiet" | "danger";
  icon?: IconName;
  /** It is at work: what was pressed stays where it is, and cannot be pressed again. */
  isBusy?: boolean;
}

export function Button({ kind = "plain", icon, isBusy = false, disabled, children, className, ...rest }: Props) {
  return (
    <button
      type="button"
      {...rest}
      className={[style.button, style[kind], className].filter(Boolean).join(" ")}
      disabled={disabled}
      aria-busy={isBusy || undefined}
      onClick={isBusy ? undefined : rest.onClick}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A button, plain or the one that the page is about. */

import type { AnchorHTMLAttributes, ButtonHTMLAttributes } from "react";
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
      className={[style.button, style[kind], !children && style.alone, className].filter(Boolean).join(" ")}
      disabled={disabled}
      aria-busy={isBusy || undefined}
      onClick={isBusy ? undefined : rest.onClick}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** Leads somewhere, or downloads something, and looks like a button. */
export function LinkButton({ icon, children, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { icon?: IconName }) {
  return (
    <a {...rest} className={style.button}>
      {icon && <Icon name={icon} />}
      {children}
    </a>
  );
}

/** A dialog, as the browser has it: focus stays inside, Escape closes it, and focus goes back to where it was. */

import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { Button } from "./button.tsx";
import style from "./dialog.module.css";

interface Props {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
  /** Beside the page, from top to bottom, instead of in its middle. */
  isSheet?: boolean;
}

export function Dialog({ isOpen, ...rest }: Props) {
  return isOpen ? <Open {...rest} /> : null;
}

function Open({ title, onClose, children, isSheet = false }: Omit<Props, "isOpen">) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // It is closed while it is still part of the page: only then focus goes back.
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    // Where there is something to fill in, one begins there; elsewhere with its title, and not at *Close*.
    (shown?.querySelector<HTMLElement>("input, textarea, select") ?? shown)?.focus();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      className={isSheet ? style.sheet : style.dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div className={style.inside}>
        <header>
          <h2 id={id}>{title}</h2>
          <Button kind="quiet" icon="cross" aria-label="Close" onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

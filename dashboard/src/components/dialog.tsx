/** A dialog, as the browser has it: focus stays inside, Escape closes it, and focus goes back to where it was. */

import { type ReactNode, useEffect, useId, useRef } from "react";
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

export function Dialog({ title, isOpen, onClose, children, isSheet = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const shown = dialog.current;
    if (!isOpen || !shown) return;
    shown.showModal();
    return () => shown.close();
  }, [isOpen]);
  if (!isOpen) return null;
  return (
    <dialog
      ref={dialog}
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

/** The one form field: a label, something to fill in, what it is for, what is wrong with it. */

import { type ComponentProps, type ReactNode, useId } from "react";
import style from "./field.module.css";

interface Common {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  /** Beside the label: that it may be left empty. */
  note?: string | undefined;
  /** What stands in front of what is filled in, such as a currency. */
  lead?: string | undefined;
  isLabelUnseen?: boolean;
  /** Sentences rather than code, which is what an area is for otherwise. */
  isProse?: boolean;
}

type Props =
  | (Common & { as?: "input" } & ComponentProps<"input">)
  | (Common & { as: "textarea" } & ComponentProps<"textarea">)
  | (Common & { as: "select" } & ComponentProps<"select">);

export function Field({ label, hint, error, note, lead, isLabelUnseen = false, isProse = false, ...rest }: Props) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const shared = {
    id,
    className: isProse ? `${style.control} ${style.prose}` : style.control,
    "aria-describedby": described,
    "aria-invalid": error ? true : undefined,
  };
  return (
    <div className={style.field}>
      <div className={isLabelUnseen ? "unseen" : style.head}>
        <label htmlFor={id} className={style.label}>
          {label}
        </label>
        {note && <span className={style.note}>{note}</span>}
      </div>
      {lead ? (
        <div className={style.led}>
          <span aria-hidden="true">{lead}</span>
          {control(rest, shared)}
        </div>
      ) : (
        control(rest, shared)
      )}
      {hint && (
        <p id={`${id}-hint`} className={style.hint}>
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className={style.error} data-pw="field-error">
          {error}
        </p>
      )}
    </div>
  );
}

function control(rest: DistributiveOmit<Props, keyof Common>, shared: object) {
  switch (rest.as) {
    case "textarea": {
      const { as: _, ...own } = rest;
      return <textarea {...own} {...shared} />;
    }
    case "select": {
      const { as: _, ...own } = rest;
      return <select {...own} {...shared} />;
    }
    default: {
      const { as: _, ...own } = rest;
      return <input {...own} {...shared} />;
    }
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

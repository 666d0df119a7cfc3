/** A text box, and below it what fits the words in it. */

import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Icon } from "../../components/icon.tsx";
import style from "./combobox.module.css";
import { Frame } from "./frame.tsx";

export interface Offer {
  key: string;
  isChosen: boolean;
  content: ReactNode;
}

interface Props {
  label: string;
  hint?: string | undefined;
  note?: string | undefined;
  error?: string | undefined;
  placeholder?: string | undefined;
  isDisabled: boolean;
  /** What is offered is still looked for. */
  isBusy?: boolean;
  words: string;
  onWords: (words: string) => void;
  onClose: () => void;
  offers: Offer[];
  /** What is left out. */
  more?: string | undefined;
  onChoose: (key: string) => void;
  children?: ReactNode;
}

export function Combobox(props: Props) {
  const { label, hint, note, error, placeholder, isDisabled, isBusy = false, words, offers, more, children } = props;
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const [marked, setMarked] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const at = Math.min(marked, offers.length - 1);
  useEffect(() => {
    if (isOpen) list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at, isOpen]);
  const close = () => {
    setOpen(false);
    props.onClose();
  };
  const choose = (key: string) => {
    props.onChoose(key);
    setOpen(false);
  };
  const onKey = (event: KeyboardEvent) => {
    // With a modifier the form is sent.
    if (event.ctrlKey || event.metaKey) return;
    const go = (to: number) => {
      setOpen(true);
      setMarked(offers.length === 0 ? 0 : (to + offers.length) % offers.length);
    };
    const offer = offers[at];
    if (event.key === "ArrowDown") go(isOpen ? at + 1 : at);
    else if (event.key === "ArrowUp") go(at - 1);
    else if (event.key === "Enter" && isOpen && offer) choose(offer.key);
    else if (event.key === "Escape" && isOpen) close();
    else return;
    event.preventDefault();
  };
  return (
    <Frame label={label} htmlFor={id} hint={hint} note={note} error={error}>
      <div className={style.combobox}>
        <div className={style.box} aria-busy={isBusy || undefined}>
          <Icon name="search" />
          <input
            id={id}
            type="text"
            role="combobox"
            autoComplete="off"
            spellCheck={false}
            aria-expanded={isOpen}
            aria-controls={`${id}-list`}
            aria-autocomplete="list"
            aria-activedescendant={isOpen && offers[at] ? `${id}-${offers[at].key}` : undefined}
            aria-invalid={error ? true : undefined}
            placeholder={placeholder}
            disabled={isDisabled}
            value={words}
            onChange={(event) => {
              props.onWords(event.target.value);
              setOpen(true);
              setMarked(0);
            }}
            onFocus={(event) => event.target.select()}
            onBlur={close}
            onClick={() => setOpen(true)}
            onKeyDown={onKey}
          />
        </div>
        {isOpen && (
          <div className={style.offers}>
            <div ref={list} id={`${id}-list`} role="listbox" aria-label="Results">
              {offers.map(({ key, isChosen, content }, place) => (
                <div
                  key={key}
                  id={`${id}-${key}`}
                  role="option"
                  tabIndex={-1}
                  aria-selected={isChosen}
                  data-pw-search-result
                  className={place === at ? `${style.offer} ${style.marked}` : style.offer}
                  // The text box keeps the focus.
                  onMouseDown={(event) => event.preventDefault()}
                  onMouseMove={() => setMarked(place)}
                  onClick={() => choose(key)}
                >
                  {content}
                  {isChosen && <Icon name="check" />}
                </div>
              ))}
            </div>
            {more && <p className={style.none}>{more}</p>}
            {offers.length === 0 && (
              <p className={style.none} role="status">
                {isBusy ? "Searching…" : "No results found"}
              </p>
            )}
          </div>
        )}
      </div>
      {children}
    </Frame>
  );
}

/** Where the focus goes when what has it goes away: not to the page's beginning, but to what stands before. */

import { type RefObject, useLayoutEffect } from "react";

const TAKES_FOCUS =
  "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex='0'], [contenteditable='true']";

export function useFocusKept(going: RefObject<HTMLElement | null>) {
  // It is still part of the page when this is undone.
  useLayoutEffect(() => {
    const gone = going.current;
    return () => {
      if (gone?.contains(document.activeElement)) before(gone)?.focus();
    };
  }, [going]);
}

function before(gone: HTMLElement): HTMLElement | undefined {
  const all = [...document.querySelectorAll<HTMLElement>(TAKES_FOCUS)];
  const isBefore = (element: HTMLElement) =>
    (gone.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_PRECEDING) !== 0 && element.checkVisibility();
  return all.findLast(isBefore);
}

/** What others wrote in HTML or Markdown, with nothing in it that acts, reaches out or dresses up. */

import DOMPurify from "dompurify";
import { marked } from "marked";

const TAGS =
  "a b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var";
const ATTRIBUTES = "align alt colspan href open reversed rowspan scope src start title";
/** What a person writes with the toolbar of rich text. */
const WRITTEN_TAGS = "a b blockquote br code del div em h2 h3 i li ol p pre s span strong u ul";

const purify = DOMPurify(window);
purify.addHook("afterSanitizeAttributes", (element) => {
  if (element.tagName !== "A") return;
  if (!safeAddress(element.getAttribute("href") ?? "")) element.removeAttribute("href");
  element.setAttribute("target", "_blank");
  element.setAttribute("rel", "noopener noreferrer");
});

interface Clean {
  content: DocumentFragment;
  /** Where images would be loaded from that nobody agreed to. */
  withheld: string[];
}

export function cleanHtml(html: string, isAgreed: (origin: string) => boolean): Clean {
  const content = purify.sanitize(html, {
    ALLOWED_TAGS: TAGS.split(" "),
    ALLOWED_ATTR: ATTRIBUTES.split(" "),
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  const withheld = new Set<string>();
  for (const image of content.querySelectorAll("img")) {
    image.alt ||= "";
    const origin = remoteOrigin(image.getAttribute("src") ?? "");
    if (origin === undefined || isAgreed(origin)) continue;
    withheld.add(origin);
    const words = document.createElement("em");
    words.textContent = image.alt ? `Image: ${image.alt}` : "Image";
    image.replaceWith(words);
  }
  return { content, withheld: [...withheld] };
}

/** GitHub's Markdown. */
export function markdownToHtml(markdown: string): string {
  return marked.parse(markdown, { gfm: true, breaks: false, async: false });
}

/** What a person wrote, as it is sent. */
export function cleanWritten(html: string): string {
  return purify.sanitize(html, {
    ALLOWED_TAGS: WRITTEN_TAGS.split(" "),
    ALLOWED_ATTR: ["href"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
  });
}

/** The words alone. */
export function textOf(html: string): string {
  const content = purify.sanitize(html, { ALLOWED_TAGS: WRITTEN_TAGS.split(" "), RETURN_DOM_FRAGMENT: true });
  for (const block of content.querySelectorAll("p, div, li, br, h2, h3")) block.append(" ");
  return (content.textContent ?? "").replace(/\s+/g, " ").trim();
}

/** `undefined` for what comes from here, or with the page. */
export function remoteOrigin(address: string): string | undefined {
  try {
    const url = new URL(address, location.href);
    return url.protocol === "data:" || url.protocol === "blob:" || url.origin === location.origin
      ? undefined
      : url.origin;
  } catch {
    return undefined;
  }
}

/** An address that a link may lead to: nothing that runs. */
export function safeAddress(address: string): string | undefined {
  try {
    const url = new URL(address, location.href);
    return ["http:", "https:", "mailto:", "tel:"].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}
